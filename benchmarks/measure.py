"""One run of one contender, as a whole process: seconds, CPU, memory, requests, and what is in the destination.

In: a contender and a job. Out: a `Measurement`. Memory is the largest of the process and its descendants, not their
sum (getrusage(2), `ru_maxrss`).
"""

import os
import shutil
import subprocess
import time
import urllib.request
from dataclasses import dataclass

from benchmarks.contenders import Contender, Job
from benchmarks.environments import PROJECT, python_of

# Run with the interpreter of whoever wrote the file: DuckDB's versions do not all read each other's.
_COUNT_DUCKDB = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    tables = connection.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = 'datasets'")
    schemas = [schema for (schema,) in tables.fetchall() if 'staging' not in schema]
    print(*connection.execute(f'SELECT count(*), count(DISTINCT id) FROM "{schemas[0]}".datasets').fetchone())
"""
_COUNT_POSTGRES = """
import psycopg2, sys
cursor = psycopg2.connect(sys.argv[1]).cursor()
cursor.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = 'datasets'")
schemas = [schema for (schema,) in cursor.fetchall() if 'staging' not in schema]
cursor.execute(f'SELECT count(*), count(DISTINCT id) FROM "{schemas[0]}".datasets')
print(*cursor.fetchone())
"""


@dataclass(frozen=True)
class Measurement:
    """`cpu_seconds` and `peak_mib` include all descendants. `rows` and `ids`: in the destination; None: not loaded."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    requests: int
    rows: int | None
    ids: int | None


class RunFailed(Exception):
    """A contender ended with an error; what it said is in the log of its working folder."""


def measure(contender: Contender, job: Job) -> Measurement:
    """Run once. Raises RunFailed."""
    shutil.rmtree(job.work, ignore_errors=True)
    job.work.mkdir(parents=True)
    log = job.work.with_suffix(".log")
    # Without bytecode each run would compile all it imports.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    _requests(job.url)
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            contender.command(job), env=environment | contender.variables(job), stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RunFailed(f"{process.args} ended with {process.returncode}; see {log}")
    rows, ids = _count(contender, job) if contender.loads else (None, None)
    return Measurement(
        wall_seconds=wall_seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
        requests=_requests(job.url),
        rows=rows,
        ids=ids,
    )


def _requests(url: str) -> int:
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as response:
        return int(response.read())


def _count(contender: Contender, job: Job) -> tuple[int, int]:
    script = _COUNT_POSTGRES if job.to_postgres else _COUNT_DUCKDB
    writers = [name for name in contender.environments if name in ("airbyte", "target-duckdb")]
    python = python_of(writers[0]) if writers and not job.to_postgres else PROJECT / ".venv" / "bin" / "python"
    found = subprocess.check_output([python, "-c", script, job.destination], text=True)
    rows, ids = map(int, found.split())
    return rows, ids
