"""`make run`: one run of the DAG through Airflow, from the demo API into the embedded DuckDB file.

Out: what was loaded, read back from the file, and exit code 0; or one sentence as the last line, and 1.
"""

import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from demo.processes import DUCKDB_FILE, PROJECT, DemoError, demo_api, last_line, prepare, running, stop_on_signals


def run_demo() -> str:
    """Runs the DAG once; the summary of what is in the table afterwards. Raises DemoError."""
    started_at, began = datetime.now(UTC), time.monotonic()
    home = prepare("run")
    log_file = home / "demo-run.log"
    with demo_api() as api:
        say(f"Demo API   {api.base_url} with {api.records} datasets (this run uses no connection of yours)")
        say(f"Airflow    runs the DAG `datasets`; its log is {log_file}")
        # A demo that fails says so now, not after Airflow's retries.
        environment = {**api.environment(home), "DATASETS_TASK_RETRIES": "0"}
        command = [str(PROJECT / "bin" / "airflow"), "dags", "test", "datasets"]
        with log_file.open("wb") as log, running(command, environment, log) as process:
            exit_code = process.wait()
    if exit_code:
        raise DemoError(f"{failure(log_file)} The whole log is {log_file}")
    return summary(DUCKDB_FILE, log_file, started_at, api.records, time.monotonic() - began)


def summary(database: Path, log_file: Path, started_at: datetime, served_rows: int, seconds: float) -> str:
    """What the run that began at `started_at` left in `database`. Raises DemoError unless all is there."""
    try:
        with duckdb.connect(str(database), read_only=True) as connection:
            report = fetch_one(
                connection,
                "SELECT loaded_rows, pages, seconds FROM datasets_raw._load_reports"
                " WHERE resource = 'datasets' AND started_at >= ? ORDER BY started_at DESC LIMIT 1",
                [started_at],
            )
            counted = fetch_one(connection, "SELECT count(*), count(DISTINCT id) FROM datasets_raw.datasets")
    except duckdb.Error as error:
        raise DemoError(f"The run succeeded, but {database} cannot be read: {error}") from error
    if report is None or counted is None:
        raise DemoError(f"The run succeeded, but {database} holds no report of it; the log is {log_file}")
    rows, ids = counted
    if not rows == ids == served_rows:
        raise DemoError(f"The API serves {served_rows} datasets, but the table holds {rows} rows with {ids} ids.")
    loaded_rows, pages, load_seconds = report
    return (
        f"Loaded     {loaded_rows} rows from {pages} pages in {load_seconds:.1f} s"
        f" ({seconds:.0f} s with Airflow)\n"
        f"Table      datasets_raw.datasets: {rows} rows, {ids} distinct ids\n"
        f"Where      {database} (DuckDB)"
    )


def fetch_one(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> Any:
    """The first row, None: there is none."""
    return connection.execute(query, list(values)).fetchone()


def failure(log_file: Path) -> str:
    """Why the run failed, from its log: what the task raised, else the last line."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log_file.read_text(errors="replace"))
    sentences = re.findall(r"^include\.decide\.failure\.LoadFailed: (.+)$", text, re.MULTILINE)
    return as_sentence(sentences[-1] if sentences else last_line(log_file))


def as_sentence(text: str) -> str:
    """`text` on one line, with a full stop."""
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def say(text: str) -> None:
    """One line to the user, at once."""
    print(text, flush=True)


def main() -> None:
    """Exits with 1 and a last line on stderr when the demo fails, with 130 when it was stopped."""
    stop_on_signals()
    try:
        say(run_demo())
    except DemoError as error:
        sys.exit(f"make run failed: {error}")
    except KeyboardInterrupt:
        print("make run was stopped before its end; nothing of it is still running.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
