"""A load in a process of its own that stands still at a point which the test chooses: until it is told to go on, or until SIGTERM.

In: what to load, its kind of destination, where it stands still, and a folder for two files: `reached`, which says that it
does, and `go`, by which the test says that it may go on. Out: the exit code: 0 where it was green, or SIGTERM has ended it in order.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.forked import processes
from tests.support.killed_load import Load

# What lasts an hour, in each dialect.
SLOW = {
    "duckdb": "SELECT count(*) FROM range(1000000000000) a WHERE hash(a.range) = 1",
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "mysql": "SELECT SLEEP(3600)",
}
NOWHERE = "nowhere"
SLOW_IN_A_JOB = "a slow statement in a job"
SLOW_IN_THE_MAIN_THREAD = "a slow statement in the main thread"
BEFORE_THE_LAST_JOB = "before the last job"
IN_THE_LAST_JOB = "in the last job, when rows have been deleted"
BEFORE_THE_COMMIT = "in the last job, before its commit"


class HeldLoad:
    """A started process."""

    def __init__(self, load: Load, kind: str, where: str, signs: Path) -> None:
        self.reached, self._go = signs / "reached", signs / "go"
        for sign in (self.reached, self._go):
            sign.unlink(missing_ok=True)
        self.process = processes.Process(target=_run, args=(load, kind, where, self.reached, self._go), daemon=True)
        self.process.start()

    def wait(self) -> None:
        """Until it stands still."""
        deadline = time.monotonic() + 60
        while not self.reached.exists():
            assert self.process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def go(self) -> int:
        """Have it go on to its end: the exit code."""
        self._go.touch()
        self.process.join(60)
        self.process.kill()
        code: int = self.process.exitcode
        return code


def run(load: Load, kind: str, signs: Path) -> int:
    """A whole load: the exit code."""
    return HeldLoad(load, kind, NOWHERE, signs).go()


def _run(load: Load, kind: str, where: str, reached: Path, go: Path) -> None:
    import dlt
    from dlt.destinations.job_client_impl import SqlLoadJob

    from include.decide.sync_mode import SYNC_MODES
    from include.load.kinds import kinds
    from include.load.staging import staging
    from include.load.termination import Terminated, terminable
    from tests.support.remembered import worked_out_once

    # Until the process ends.
    worked_out_once().__enter__()
    os.environ |= {
        "DLT_DATA_DIR": str(load.home),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__INTERCEPT_SIGNALS": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }

    def stand_still() -> None:
        reached.touch()
        while not go.exists():
            time.sleep(0.01)

    class Held(list[str]):
        """The statements of a job, of which a database is asked for each by itself."""

        def __iter__(self) -> Iterator[str]:
            is_held = False
            for statement in super().__iter__():
                yield statement
                if not is_held and where == IN_THE_LAST_JOB and statement.startswith("DELETE FROM"):
                    is_held = True
                    stand_still()
            if where == BEFORE_THE_COMMIT:
                stand_still()

    split, run_job = SqlLoadJob._split_fragments, SqlLoadJob.run

    def held_statements(self: Any, sql: str) -> list[str]:
        self._job_client.sql_client.capabilities.supports_multiple_statements = False
        return Held(split(self, sql))

    def with_a_slow_one(self: Any, sql: str) -> list[str]:
        fragments = split(self, sql)
        # What is changed before it has to be undone.
        first = next(n for n, text in enumerate(fragments, 1) if text.startswith("DELETE FROM"))
        reached.touch()
        return [*fragments[:first], SLOW[kind], *fragments[first:]]

    def held_job(self: Any) -> None:
        stand_still()
        run_job(self)

    if where == SLOW_IN_A_JOB:
        SqlLoadJob._split_fragments = with_a_slow_one  # type: ignore[method-assign]
    elif where in (IN_THE_LAST_JOB, BEFORE_THE_COMMIT):
        SqlLoadJob._split_fragments = held_statements  # type: ignore[method-assign]
    elif where == BEFORE_THE_LAST_JOB:
        SqlLoadJob.run = held_job  # type: ignore[method-assign]
    pipeline = dlt.pipeline(
        "datasets",
        destination=load.destination(**load.arguments),
        dataset_name=load.dataset_name,
        pipelines_dir=str(load.home / f"pipelines_{os.getpid()}"),
    )
    try:
        with terminable(lambda: None) as termination:
            try:
                with staging(pipeline, kinds()[kind]):
                    if where == SLOW_IN_THE_MAIN_THREAD:
                        with pipeline.sql_client() as client:
                            reached.touch()
                            client.execute_sql(SLOW[kind])
                    pipeline.run(
                        list(load.records),
                        table_name="datasets",
                        primary_key="id",
                        write_disposition=SYNC_MODES[load.mode].write_disposition,
                        loader_file_format=load.file_format,
                    )
            finally:
                termination.hold_back()
    except Terminated:
        sys.exit(0)
    assert where not in (SLOW_IN_A_JOB, SLOW_IN_THE_MAIN_THREAD)
