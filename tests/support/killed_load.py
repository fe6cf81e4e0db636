"""A load in a process of its own, which is killed (SIGKILL) inside its last job, before a statement that the test chooses.

In: what to load, by dlt alone with the project's destinations and modes. Out: how many statements the last job has; or
nothing, as a killed process has nothing to say. Processes are forked from one that has imported everything.
"""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.forked import processes

SEEN = "statements.txt"


@dataclass(frozen=True)
class Load:
    """One load. `destination` opens dlt's destination, by a name that a forked process finds."""

    destination: Callable[..., Any]
    arguments: dict[str, Any]
    mode: str
    records: Sequence[dict[str, Any]]
    home: Path
    dataset_name: str = "datasets_raw"
    nested: str = "tables"
    file_format: Any = "parquet"
    hints: dict[str, Any] = field(default_factory=dict)


def run(load: Load, killed_before: int | None = None) -> list[str]:
    """Run `load` to its end; or until the last job has executed `killed_before` statements. Its statements."""
    seen = load.home / SEEN
    seen.unlink(missing_ok=True)
    process = processes.Process(target=_run, args=(load, killed_before))
    process.start()
    process.join()
    assert process.exitcode == (0 if killed_before is None else -signal.SIGKILL), process.exitcode
    return seen.read_text().splitlines()


def _run(load: Load, killed_before: int | None) -> None:
    import dlt
    from dlt.destinations.job_client_impl import SqlLoadJob

    from include.decide.sync_mode import SYNC_MODES
    from tests.support.remembered import worked_out_once

    # Until the process ends.
    worked_out_once().__enter__()
    os.environ |= {"DLT_DATA_DIR": str(load.home), "RUNTIME__DLTHUB_TELEMETRY": "false"}

    class Watched(list[str]):
        """The statements of a job; a database is asked for each by itself, and the process dies among them."""

        def __iter__(self) -> Any:
            with (load.home / SEEN).open("a") as seen:
                for number, statement in enumerate(super().__iter__()):
                    if number == killed_before:
                        os.kill(os.getpid(), signal.SIGKILL)
                    seen.write(statement + "\n")
                    seen.flush()
                    yield statement
            if killed_before is not None and killed_before >= len(self):
                os.kill(os.getpid(), signal.SIGKILL)

    split = SqlLoadJob._split_fragments

    def watched(self: Any, sql: str) -> Watched:
        # One statement at a time, as a database executes them anyway: between two of them the process may die.
        self._job_client.sql_client.capabilities.supports_multiple_statements = False
        return Watched(split(self, sql))

    SqlLoadJob._split_fragments = watched  # type: ignore[method-assign]
    pipeline = dlt.pipeline(
        "datasets",
        destination=load.destination(**load.arguments),
        dataset_name=load.dataset_name,
        pipelines_dir=str(load.home / f"pipelines_{os.getpid()}"),
    )

    @dlt.resource(
        name="datasets",
        **{"primary_key": "id"} | load.hints,
        write_disposition=SYNC_MODES[load.mode].write_disposition,
        max_table_nesting=0 if load.nested == "json" else None,  # type: ignore[arg-type]  # as in dlt: None is none
    )
    def records() -> Any:
        yield list(load.records)

    pipeline.run(records(), loader_file_format=load.file_format)
