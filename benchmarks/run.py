"""Runs the benchmarks and prints them as Markdown. `make bench`, `make bench-quick`, or

    python -m benchmarks.run --records 100000 --latency-ms 50 --repeats 3 --only json --only limit
    python -m benchmarks.run --records 100000 --destination postgres --again

Every contender runs in turn, then all again: what the machine does meanwhile meets all of them.
"""

import argparse
import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.contenders import CONTENDERS, LIMIT, Job
from benchmarks.environments import FOLDER, PROJECT, python_of, versions
from benchmarks.measure import Measurement, RunFailed, measure

WORK = FOLDER / "work"
POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL") or "postgresql://postgres@127.0.0.1:5432/test"
# What `make bench` runs. One million records are for the fast ones: the others need minutes and gigabytes.
FULL = [
    ["--records", "10000"],
    ["--records", "10000", "--latency-ms", "50"],
    ["--records", "10000", "--error-percent", "2"],
    ["--records", "100000", "--again"],
    ["--records", "100000", "--latency-ms", "50"],
    ["--records", "100000", "--destination", "postgres"],
    ["--records", "1000000", "--only", "this project, "],
]

Results = dict[str, list[Measurement]]


@contextlib.contextmanager
def api(given: argparse.Namespace) -> Iterator[str]:
    """The benchmark's own API; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "--records": given.records,
        "--latency-ms": given.latency_ms,
        "--error-percent": given.error_percent,
        "--requests-per-second": given.requests_per_second,
    }
    arguments = [text for name, value in options.items() for text in (name, str(value))]
    command = [python_of("server"), "-m", "benchmarks.server", str(port), *arguments]
    server = subprocess.Popen(command, cwd=PROJECT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/stats", timeout=1).close()
                break
            if server.poll() is not None:
                raise SystemExit("The benchmark's server did not start.")
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def new_destination(kind: str, name: str) -> str:
    """An empty DuckDB file, or an empty database of PostgreSQL."""
    if kind == "duckdb":
        path = WORK / f"{name}.duckdb"
        for old in WORK.glob(f"{name}.duckdb*"):
            old.unlink()
        return str(path)
    database = f"bench_{name}"
    drop_database(database)
    _admin(f"CREATE DATABASE {database}")
    parts = urlsplit(POSTGRES_URL)
    # dlt wants a password, also where the server does not.
    user = parts.netloc if parts.password else parts.netloc.replace("@", ":unused@")
    return parts._replace(netloc=user, path=f"/{database}").geturl()


def drop_database(database: str) -> None:
    """Drop it if it is there."""
    _admin(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def _admin(statement: str) -> None:
    script = (
        "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]); c.autocommit = True; c.cursor().execute(sys.argv[2])"
    )
    subprocess.run([PROJECT / ".venv/bin/python", "-c", script, POSTGRES_URL, statement], check=True)


def run_all(given: argparse.Namespace) -> tuple[Results, Results]:
    """All contenders, `repeats` times; the first loads, and the loads of the same records again."""
    chosen = [
        name
        for name, contender in CONTENDERS.items()
        if (contender.postgres or given.destination == "duckdb")
        and (not given.only or name == LIMIT or any(part in name for part in given.only))
    ]
    for name in chosen:
        for environment in CONTENDERS[name].environments:
            python_of(environment)
    first: Results = {}
    again: Results = {}
    with api(given) as url:
        for turn in range(given.repeats):
            for name in chosen:
                label = f"{[*CONTENDERS].index(name)}_{turn}"
                job = Job(url, new_destination(given.destination, label), WORK / label)
                with contextlib.suppress(RunFailed) if given.keep_going else contextlib.nullcontext():
                    CONTENDERS[name].prepare(job)
                    first.setdefault(name, []).append(measure(CONTENDERS[name], job))
                    print(f"{name}: {first[name][-1]}", file=sys.stderr)
                    if given.again:
                        again.setdefault(name, []).append(measure(CONTENDERS[name], job))
                        print(f"{name}, again: {again[name][-1]}", file=sys.stderr)
                if given.destination == "postgres":
                    drop_database(f"bench_{label}")
                else:
                    Path(job.destination).unlink(missing_ok=True)
    return first, again


def table(given: argparse.Namespace, first: Results, again: Results) -> str:
    """Medians, as Markdown."""

    def median(results: list[Measurement], name: str) -> float:
        return statistics.median(getattr(result, name) for result in results)

    limit_seconds = median(first[LIMIT], "wall_seconds")
    columns = ["contender", "wall s", "of the limit", "CPU s", "peak MiB", "requests", "rows", "ids"]
    columns += ["again, wall s"] if again else []
    what = f"{given.records:,} records, {given.latency_ms:g} ms a request, into {given.destination}"
    what += f", {given.error_percent:g} % of 503" if given.error_percent else ""
    what += f", {given.requests_per_second} requests a second" if given.requests_per_second else ""
    lines = [f"### {what}", "", f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * (len(columns) - 1)}"]
    for name, results in sorted(first.items(), key=lambda item: median(item[1], "wall_seconds")):
        wall_seconds = median(results, "wall_seconds")
        cells = [
            name,
            f"{wall_seconds:.1f}",
            f"{wall_seconds / limit_seconds:.1f}",
            f"{median(results, 'cpu_seconds'):.1f}",
            f"{median(results, 'peak_mib'):,.0f}",
            *(
                "" if value is None else f"{value:,}"
                for value in (results[0].requests, results[0].rows, results[0].ids)
            ),
        ]
        if again:
            cells.append(f"{median(again[name], 'wall_seconds'):.1f}" if CONTENDERS[name].loads else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all tables")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--error-percent", type=float, default=0)
    parser.add_argument("--requests-per-second", type=int, default=0, help="what the API allows")
    parser.add_argument("--destination", choices=["duckdb", "postgres"], default="duckdb")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="load the same records a second time")
    parser.add_argument("--only", action="append", default=[], help="contenders whose name has this text")
    parser.add_argument("--keep-going", action="store_true", help="leave out what fails")
    return parser.parse_args(arguments)


def main() -> None:
    """Print the tables."""
    WORK.mkdir(parents=True, exist_ok=True)
    given = parse(sys.argv[1:])
    rest = [argument for argument in sys.argv[1:] if argument != "--full"]
    commit = subprocess.check_output(["git", "-C", PROJECT, "describe", "--always", "--dirty"], text=True).strip()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}, {os.cpu_count()} cores ({platform.machine()}), ",
        end="",
    )
    print(f"Python {platform.python_version()}, load before {load}; median of {given.repeats}.\n", flush=True)
    for arguments in FULL if given.full else [[]]:
        one = parse([*arguments, *rest])
        print(table(one, *run_all(one)), end="\n\n", flush=True)
    print(versions())
    shutil.rmtree(WORK, ignore_errors=True)


if __name__ == "__main__":
    main()
