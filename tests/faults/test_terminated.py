"""SIGTERM ends a load within three seconds, and what a killed load leaves on this machine goes with the next one."""

import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2
import pytest

from tests.support.airflow_run import PROJECT
from tests.support.api_server import HANG, ApiServer, Request, numbered
from tests.support.cases import proves

# What SIGTERM leaves of the five seconds before SIGKILL.
SECONDS = 3
START_TIMEOUT_SECONDS = 120

# One run of the DAG as a task's process, which ends at once when the task has ended (`supervisor._fork_main`).
RUN = """
import json, os, sys, time
from tests.support.airflow_run import StartedAirflow, _numbers
for _ in range(int(sys.argv[1])):
    next(_numbers)  # each process has runs of its own
outcome = StartedAirflow().run()
print(json.dumps({"state": outcome.task_state, "reason": str(outcome.tries[-1].error), "at": time.time()}), flush=True)
os._exit(0)
"""

_processes = itertools.count()


class Task:
    """A process with one task, its folder of temporary files, and what it says at its end."""

    def __init__(self, home: Path, api: ApiServer, **variables: str) -> None:
        self.temporary = home / "tmp"
        self.temporary.mkdir(exist_ok=True)
        number = next(_processes)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home / f"airflow-{number}"),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(PROJECT),
            "DATASETS_DUCKDB_PATH": str(home / "data" / "warehouse.duckdb"),
            "DATASETS_TASK_RETRIES": "0",
            "AIRFLOW_CONN_DATASETS_API": api.connection_json(),
            **variables,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", RUN, str(number)],
            env=environment,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def folders(self) -> list[Path]:
        """The folders of loads."""
        return sorted(self.temporary.glob("dlt_*"))

    def terminate(self) -> tuple[float, dict[str, Any] | None]:
        """SIGTERM: how many seconds the task took to end, and how; None: it said nothing more."""
        began = time.time()
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=30)
        ended = _said(output)
        return (ended["at"] if ended else time.time()) - began, ended

    def end(self) -> dict[str, Any]:
        """How it ends by itself."""
        output, _ = self.process.communicate(timeout=START_TIMEOUT_SECONDS)
        ended = _said(output)
        assert ended is not None, output
        return ended


def _said(output: str) -> dict[str, Any] | None:
    # Airflow writes there, too.
    lines = [line for line in output.splitlines() if line.startswith('{"state"')]
    said: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
    return said


@contextmanager
def task(home: Path, api: ApiServer, **variables: str) -> Iterator[Task]:
    """A started task; killed if it is still there at the end."""
    started = Task(home, api, **variables)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def wait_until(condition: Any) -> None:
    """Raises AssertionError when `condition` does not come."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def mode(path: Path) -> int:
    """The rights of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """An API of 250 records whose second page never comes."""
    with ApiServer(records=numbered(250), key="k3y-of-the-tests") as server:
        yield server


def second_page_hangs(request: Request) -> Any:
    """The read stands still."""
    return HANG if request.offset else None


@proves(
    "SIGTERM during the read, as an Airflow task",
    "the task ends within 3 s; staging and temporary folder are gone",
    "DuckDB",
)
def test_sigterm_ends_a_read_and_leaves_nothing(tmp_path: Path, api: ApiServer) -> None:
    api.script(second_page_hangs)
    with task(tmp_path, api) as started:
        wait_until(lambda: any(request.offset for request in api.requests))
        (folder,) = started.folders()
        assert mode(folder) == 0o700
        database = tmp_path / "data" / "warehouse.duckdb"
        assert (mode(database), mode(database.parent)) == (0o600, 0o700)
        seconds, ended = started.terminate()
        assert seconds < SECONDS
        assert ended is not None
        assert ended["state"] == "failed"
        assert ended["reason"].startswith("SIGTERM ended the load: ")
        assert started.folders() == []
    with duckdb.connect(str(database)) as connection:
        schemas = {name for (name,) in connection.execute("SELECT schema_name FROM duckdb_schemas()").fetchall()}
    assert not [name for name in schemas if "staging" in name]


@proves(
    "SIGKILL during the read, as an Airflow task",
    "the next load on the machine removes the temporary folder, and no other",
    "DuckDB",
)
def test_the_next_load_removes_what_sigkill_left_and_nothing_else(tmp_path: Path, api: ApiServer) -> None:
    api.script(second_page_hangs)
    with task(tmp_path, api) as killed:
        wait_until(lambda: any(request.offset for request in api.requests))
        (left,) = killed.folders()
        (left / "secret.jsonl").write_text("a record")
        killed.process.kill()
        killed.process.wait()
    unmarked = killed.temporary / "dlt_0123456789abcdef"
    unmarked.mkdir()
    requests = len(api.requests)
    with task(tmp_path, api) as alive:
        wait_until(lambda: any(request.offset for request in api.requests[requests:]))
        (of_the_living,) = set(alive.folders()) - {unmarked}
        assert of_the_living != left
        api.reset()
        api.records, api.key = numbered(250), "k3y-of-the-tests"
        beside = tmp_path / "beside"
        beside.mkdir()
        with task(beside, api, TMPDIR=str(alive.temporary)) as other:
            assert other.end()["state"] == "success"
        assert set(alive.folders()) == {unmarked, of_the_living}


WAITS = {
    "in a job": "LOCK TABLE datasets_raw.datasets IN SHARE MODE",
    "in the main thread": "SELECT pg_advisory_lock(hashtextextended('ddl datasets_raw', 0))",
}


@proves(
    "SIGTERM during a statement",
    "it is interrupted within 3 s; the table is as it was, and staging is gone",
    "PostgreSQL",
)
@pytest.mark.postgres
@pytest.mark.parametrize("where", WAITS)
def test_sigterm_ends_a_load_that_waits_in_the_database(
    tmp_path: Path, api: ApiServer, postgres_url: str, where: str
) -> None:
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    place = urlsplit(url)
    destination = json.dumps(
        {"conn_type": "postgres", "host": place.hostname, "port": place.port, "login": place.username, "schema": name}
    )
    with closing(psycopg2.connect(postgres_url)) as server:
        server.autocommit = True
        server.cursor().execute(f"CREATE DATABASE {name}")
        try:
            with task(tmp_path, api, AIRFLOW_CONN_DATASETS_DESTINATION=destination) as first:
                assert first.end()["state"] == "success"
            with (
                closing(psycopg2.connect(url)) as holder,
                closing(psycopg2.connect(url)) as watching,
                task(tmp_path, api, AIRFLOW_CONN_DATASETS_DESTINATION=destination) as second,
            ):
                cursor = holder.cursor()
                cursor.execute(f"{WAITS[where]}; SELECT _dlt_load_id FROM datasets_raw.datasets")
                before = cursor.fetchall()
                watching.autocommit = True
                look = watching.cursor()

                def waits() -> bool:
                    look.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    return bool(look.fetchone()[0])

                wait_until(waits)
                seconds, ended = second.terminate()
                assert seconds < SECONDS
                assert ended is not None, "the statement was not interrupted: the process had to end by itself"
                assert ended["reason"].startswith("SIGTERM ended the load: ")
                assert second.folders() == []
                look.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%staging%'")
                assert look.fetchall() == []
                # Nobody waits any more in the name of a load that is gone.
                assert not waits()
                holder.rollback()
                cursor.execute("SELECT _dlt_load_id FROM datasets_raw.datasets")
                assert cursor.fetchall() == before
        finally:
            server.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
