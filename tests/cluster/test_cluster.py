"""The stack of docker-compose.yaml without Docker: what one and two workers carry, and what survives their death.

It prints the throughput, which docs/scaling.md quotes.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import psycopg2
import pytest

from tests.cluster.conftest import WORKER_SLOTS
from tests.support.api_server import ApiServer, Request
from tests.support.running_airflow import RunningAirflow, postgres_connection, wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

RECORDS_PER_DAY = 300
AT_A_TIME = 8
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
# Three stretches of days: measured with one worker, with two, and loaded while things break.
ONE_WORKER = [TODAY - timedelta(days=day) for day in range(100, 88, -1)]
TWO_WORKERS = [TODAY - timedelta(days=day) for day in range(80, 68, -1)]
BROKEN = [TODAY - timedelta(days=day) for day in range(60, 30, -1)]


def records_of(days: list[datetime], first_id: int) -> list[dict[str, Any]]:
    """`RECORDS_PER_DAY` for each day, the first exactly on the boundary of its window."""
    return [
        {
            "id": first_id + index * RECORDS_PER_DAY + number,
            "name": f"record {number} of {day.date()}",
            "updated_at": (day + timedelta(seconds=number * 86_400 // RECORDS_PER_DAY)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for index, day in enumerate(days)
        for number in range(RECORDS_PER_DAY)
    ]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a line past pytest's capture: the numbers are for people."""

    def print_line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="", flush=True)  # noqa: T201

    return print_line


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    """Yesterday's records; the tests add the past that they load."""
    with ApiServer(
        records=records_of([TODAY - timedelta(days=1)], 0), start_param="since", end_param="until", end_inclusive=True
    ) as server:
        yield server


@pytest.fixture(scope="module")
def ready(cluster: RunningAirflow, api: ApiServer, databases: dict[str, str]) -> RunningAirflow:
    """The cluster with one worker, its connections, and its first scheduled run done.

    That run reads the whole collection: only what is added to the API afterwards is left to the backfills.
    """
    cluster.connection(
        "datasets_api",
        api.connection_json(cursor_path="updated_at", start_param="since", end_param="until", page_size=50),
    )
    cluster.connection("datasets_destination", postgres_connection(databases["warehouse"]))
    start_worker(cluster, "worker-1")
    cluster.api("PATCH", "dags/datasets", {"is_paused": False})
    first = cluster.wait_for(lambda run: run["run_type"] == "scheduled")
    assert set(first.values()) == {"success"}
    return cluster


def test_one_worker_then_two(
    ready: RunningAirflow, api: ApiServer, databases: dict[str, str], say: Callable[[str], None]
) -> None:
    one = load(ready, api, ONE_WORKER)
    start_worker(ready, "worker-2")
    two = load(ready, api, TWO_WORKERS)
    for workers, seconds in ((1, one), (2, two)):
        runs = len(ONE_WORKER)
        say(
            f"{workers} worker(s) of {WORKER_SLOTS} slots, {AT_A_TIME} runs at a time, {psutil.cpu_count()} cores: "
            f"{runs} runs in {seconds:.1f} s, {runs * 60 / seconds:.0f} runs a minute, "
            f"{runs * RECORDS_PER_DAY / seconds:.0f} rows a second"
        )
    assert table(databases) == expected(api)


def test_a_dead_worker_and_a_restarted_scheduler_lose_nothing(
    ready: RunningAirflow, api: ApiServer, databases: dict[str, str], say: Callable[[str], None]
) -> None:
    create_backfill(ready, api, BROKEN)
    wait_until(lambda: ended(ready, BROKEN) >= 6, 200, "nothing to break yet")
    with held(api) as windows:
        # Each run has a window of its own, and none ends now. Worker 1 has no more slots, so two at least are worker 2's.
        wait_until(lambda: len(windows) >= WORKER_SLOTS + 2, 120, "too few runs wait for the API")
        ready.kill("worker-2")
        killed = len(windows) - WORKER_SLOTS
    ready.stop("scheduler")
    ready.start("scheduler")
    # As `restart: unless-stopped` does.
    start_worker(ready, "worker-3")

    states = ready.wait_for(lambda run: is_of(run, BROKEN), count=len(BROKEN))
    assert len(states) == len(BROKEN)
    assert set(states.values()) == {"success"}, states
    tries = {run_id: ready.task(run_id)["try_number"] for run_id in states}
    say(
        f"a worker killed, the scheduler restarted: {sum(n > 1 for n in tries.values())} of {len(tries)} runs tried again"
    )
    assert sum(n > 1 for n in tries.values()) >= killed, "the dead worker's tasks were tried again"
    assert table(databases) == expected(api)
    with psycopg2.connect(databases["warehouse"]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'datasets_raw_staging_')")
        assert cursor.fetchone() == (0,), "what the dead worker staged is gone as well"
        cursor.execute("SELECT window_start, sum(loaded_rows) FROM datasets_raw._load_reports GROUP BY window_start")
        loaded = dict(cursor.fetchall())
    assert [loaded.get(day) for day in BROKEN] == [RECORDS_PER_DAY] * len(BROKEN), "each day by its own run, once"


def start_worker(cluster: RunningAirflow, name: str) -> None:
    """A Celery worker; it serves no logs, as all of this machine share a folder."""
    cluster.start(name, "celery", "worker", "--celery-hostname", f"{name}@%h", "--skip-serve-logs")
    log = cluster.home / f"{name}.log"
    wait_until(lambda: "ready." in log.read_text(errors="replace"), 90, f"{name} did not start; see {log}")


def create_backfill(cluster: RunningAirflow, api: ApiServer, days: list[datetime]) -> None:
    # One at a time for a DAG, and Airflow takes up to 30 seconds to see that the last one has ended.
    wait_until(
        lambda: all(one["completed_at"] for one in cluster.api("GET", "backfills", dag_id="datasets")["backfills"]),
        120,
        "the last backfill is still open",
    )
    api.records.extend(records_of(days, len(api.records)))
    cluster.cli(
        *("backfill", "create", "--dag-id", "datasets", "--max-active-runs", str(AT_A_TIME)),
        *("--from-date", days[0].date().isoformat(), "--to-date", days[-1].date().isoformat()),
    )


def load(cluster: RunningAirflow, api: ApiServer, days: list[datetime]) -> float:
    """Seconds from the first task's start to the last one's end of a backfill of `days`."""
    create_backfill(cluster, api, days)
    states = cluster.wait_for(lambda run: is_of(run, days), count=len(days))
    assert set(states.values()) == {"success"}, states
    tasks = [cluster.task(run_id) for run_id in states]
    first = min(datetime.fromisoformat(task["start_date"]) for task in tasks)
    return (max(datetime.fromisoformat(task["end_date"]) for task in tasks) - first).total_seconds()


def is_of(run: dict[str, Any], days: list[datetime]) -> bool:
    return run["run_type"] == "backfill" and datetime.fromisoformat(run["logical_date"]) in days


def ended(cluster: RunningAirflow, days: list[datetime]) -> int:
    return sum(run["state"] == "success" for run in cluster.runs() if is_of(run, days))


@contextmanager
def held(api: ApiServer) -> Iterator[set[str]]:
    """The API answers nothing until the end; the starts of the windows that it was asked for."""
    windows: set[str] = set()
    go_on = threading.Event()

    def wait(request: Request) -> None:
        if not go_on.is_set():
            windows.add(request.query["since"])
            go_on.wait()

    api.script(wait)
    try:
        yield windows
    finally:
        go_on.set()


def table(databases: dict[str, str]) -> list[tuple[Any, ...]]:
    with psycopg2.connect(databases["warehouse"]) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("SELECT id, name, updated_at FROM datasets_raw.datasets ORDER BY id")
        return [(id_, name, at.strftime("%Y-%m-%dT%H:%M:%SZ")) for id_, name, at in cursor.fetchall()]


def expected(api: ApiServer) -> list[tuple[Any, ...]]:
    return [(record["id"], record["name"], record["updated_at"]) for record in api.records]
