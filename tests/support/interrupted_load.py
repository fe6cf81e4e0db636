"""A load in a process of its own that stands in a statement for longer than anybody waits, until SIGTERM comes.

In: what to load, its kind of destination, where it stands still, and a file that says that it does. Out: the exit code:
0 where SIGTERM has ended it in order.
"""

import os
import sys
from pathlib import Path
from typing import Any

from tests.support.forked import processes
from tests.support.killed_load import Load

# What lasts an hour, in each dialect.
SLOW = {
    "duckdb": "SELECT count(*) FROM range(1000000000000) a WHERE hash(a.range) = 1",
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "mysql": "SELECT SLEEP(3600)",
    "postgres": "SELECT pg_sleep(3600)",
}


def start(load: Load, kind: str, where: str, reached: Path) -> Any:
    """The started process."""
    process = processes.Process(target=_run, args=(load, kind, where, reached), daemon=True)
    process.start()
    return process


def _run(load: Load, kind: str, where: str, reached: Path) -> None:
    import dlt
    from dlt.destinations.job_client_impl import SqlLoadJob

    from include.decide.sync_mode import SYNC_MODES
    from include.load.kinds import kinds
    from include.load.staging import staging
    from include.load.termination import Terminated, terminable

    os.environ |= {
        "DLT_DATA_DIR": str(load.home),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__INTERCEPT_SIGNALS": "false",
    }
    split = SqlLoadJob._split_fragments

    def with_a_slow_one(self: Any, sql: str) -> list[str]:
        fragments = split(self, sql)
        # What is changed before it has to be undone.
        first = next(n for n, text in enumerate(fragments, 1) if text.startswith("DELETE FROM"))
        reached.touch()
        return [*fragments[:first], SLOW[kind], *fragments[first:]]

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
                    if where == "in the main thread":
                        with pipeline.sql_client() as client:
                            reached.touch()
                            client.execute_sql(SLOW[kind])
                    elif where == "in a job":
                        SqlLoadJob._split_fragments = with_a_slow_one  # type: ignore[method-assign]
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
    assert where == "nowhere"
