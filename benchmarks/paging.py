"""How fast each kind of paging is read, beside offsets and beside dlt as it comes: the last tables of `make bench`.

    python -m benchmarks.paging --records 100000 --latency-ms 50 --repeats 3

Every kind runs in turn, by both, then all again.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.environments import PROJECT
from benchmarks.run import api

KINDS = ("offset", "page_number", "json_link", "children")
WHO = {"project": "this project", "dlt": "dlt as it comes"}


def run_once(who: str, kind: str, url: str) -> tuple[float, int, int]:
    """Seconds of the whole process, requests, rows in the table."""
    _requests(url)
    with tempfile.TemporaryDirectory(prefix="bench-paging-") as folder:
        database = Path(folder) / "measured.duckdb"
        environment = {
            **os.environ,
            "DLT_DATA_DIR": folder,
            "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        command = [sys.executable, "-m", "benchmarks.contenders.paging", who, kind, url, str(database)]
        started = time.perf_counter()
        subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        count = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('SELECT count(*) FROM bench.datasets').fetchone()[0])"
        rows = subprocess.run(
            [sys.executable, "-c", count, str(database)], check=True, capture_output=True, text=True
        ).stdout
    return seconds, _requests(url), int(rows)


def _requests(url: str) -> int:
    with urllib.request.urlopen(f"{url}/stats") as answer:
        return int(answer.read())


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], choices=WHO)
    given = parser.parse_args()
    given.error_percent, given.requests_per_second = 0, 0
    found: dict[tuple[str, str], list[tuple[float, int, int]]] = {}
    with api(given) as url:
        for _ in range(given.repeats):
            for kind in KINDS:
                for who in given.only or WHO:
                    found.setdefault((kind, who), []).append(run_once(who, kind, url))
    print(f"### {given.records:,} records, {given.latency_ms:g} ms a request, by kind of paging, into duckdb\n")
    print("| paging | by | wall s | of offsets | requests | rows |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for (kind, who), runs in found.items():
        seconds = statistics.median(run[0] for run in runs)
        offsets = statistics.median(run[0] for run in found["offset", who])
        print(f"| `{kind}` | {WHO[who]} | {seconds:.1f} | {seconds / offsets:.2f} | {runs[0][1]:,} | {runs[0][2]:,} |")


if __name__ == "__main__":
    main()
