"""Runs that overlap, on PostgreSQL, with one killed in the middle: the table is the API's, exactly.

By default dlt's runs share staging tables and lose rows silently; with `staging_dataset_name_layout` in
`destination.open_destination` taken back to dlt's default this test fails.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import psycopg2
import pytest

from tests.support.api_server import ApiServer, Request
from tests.support.running_airflow import RunningAirflow, postgres_connection, wait_until

pytestmark = pytest.mark.postgres

DAYS = 30
RECORDS_PER_DAY = 1000
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
# Away from the days of other tests of this Airflow.
FIRST_DAY = TODAY - timedelta(days=60)


def record(day: datetime, number: int, id_: int) -> dict[str, Any]:
    # The first of each day lies exactly on the boundary of its window.
    changed = day + timedelta(seconds=number * 86_400 // RECORDS_PER_DAY)
    return {
        "id": id_,
        "name": f"record {id_}",
        "updated_at": changed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tags": [f"t{id_ % 7}", f"u{id_ % 3}"],
    }


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """30 days of records, one more day for the scheduled run, and some of today for the manual one."""
    days = [FIRST_DAY + timedelta(days=day) for day in range(DAYS)] + [TODAY - timedelta(days=1)]
    records = [
        record(day, number, index * RECORDS_PER_DAY + number)
        for index, day in enumerate(days)
        for number in range(RECORDS_PER_DAY)
    ]
    with ApiServer(records=records, start_param="since", end_param="until", end_inclusive=True) as server:
        yield server


@pytest.fixture
def destination(running: RunningAirflow, database: str) -> None:
    """PostgreSQL as the destination, where nothing but what a test sets makes runs wait."""
    running.connection("datasets_destination", postgres_connection(database))


@pytest.mark.usefixtures("destination")
def test_a_backfill_beside_a_scheduled_and_a_manual_run_loses_nothing(
    running: RunningAirflow, api: ApiServer, database: str
) -> None:
    options = {"cursor_path": "updated_at", "start_param": "since", "end_param": "until", "page_size": 100}
    running.connection("datasets_api", api.connection_json(**options))
    with psycopg2.connect(database) as connection:
        connection.autocommit = True
        cursor = connection.cursor()

        def staging_schemas() -> int:
            cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'datasets\\_raw\\_staging\\_%'")
            return int(cursor.fetchone()[0])

        running.api("PATCH", "dags/datasets", {"is_paused": False})
        last_day = FIRST_DAY + timedelta(days=DAYS - 1)
        flags = ("--max-active-runs", "8", "--run-backwards", "--reprocess-behavior", "completed")
        running.backfill(FIRST_DAY, last_day, *flags)
        manual = running.trigger(window_start=(TODAY - timedelta(days=1)).isoformat(), window_end=TODAY.isoformat())
        # Pages of at least three windows have been asked for: their loads are under way.
        wait_until(
            lambda: len({r.query.get("since") for r in api.requests}) >= 3, 300, "no three runs at the same time"
        )
        kill_one_task(running)
        states = running.wait_for(lambda run: run["run_type"] == "backfill" and is_ours(run), count=DAYS)
        assert running.wait_for(lambda run: run["dag_run_id"] == manual) == {manual: "success"}
        assert len(states) == DAYS
        assert set(states.values()) == {"success"}, states
        scheduled = running.wait_for(lambda run: run["run_type"] == "scheduled")
        assert set(scheduled.values()) == {"success"}
        running.api("PATCH", "dags/datasets", {"is_paused": True})

        tries = [running.task(run_id)["try_number"] for run_id in (*states, *scheduled, manual)]
        # Runs that meet do not disturb each other: only the killed one had to be tried again.
        assert sum(number > 1 for number in tries) == 1, tries
        assert at_the_same_time(cursor) >= 3, "runs on PostgreSQL do not wait for each other"
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("SELECT id, name, updated_at FROM datasets_raw.datasets ORDER BY id")
        loaded = [(id_, name, at.strftime("%Y-%m-%dT%H:%M:%SZ")) for id_, name, at in cursor.fetchall()]
        assert loaded == [(r["id"], r["name"], r["updated_at"]) for r in api.records]
        cursor.execute(
            "SELECT d.id, t.value FROM datasets_raw.datasets d JOIN datasets_raw.datasets__tags t "
            "ON t._dlt_parent_id = d._dlt_id ORDER BY d.id, t._dlt_list_idx"
        )
        assert cursor.fetchall() == [(r["id"], tag) for r in api.records for tag in r["tags"]]
        cursor.execute("SELECT count(*) FROM datasets_raw.datasets__tags")
        assert cursor.fetchone() == (len(api.records) * 2,), "no child row without its parent"
        assert staging_schemas() == 0, "what the killed run staged is gone as well"


@pytest.mark.usefixtures("destination")
def test_where_the_destination_takes_one_writer_the_scheduler_makes_runs_wait(
    running: RunningAirflow, api: ApiServer, database: str
) -> None:
    options = {"cursor_path": "updated_at", "start_param": "since", "end_param": "until", "page_size": 1000}
    running.connection("datasets_api", api.connection_json(**options))
    api.script(slowly)
    days = [TODAY - timedelta(days=90 + number) for number in range(4)]
    running.environment["DATASETS_TASK_MAX_ACTIVE"] = "1"
    restart_dag_processor(running, limited=True)
    try:
        running.api("PATCH", "dags/datasets", {"is_paused": False})
        running.backfill(days[-1], days[0], "--max-active-runs", "8")
        manual = running.trigger(window_start=days[0].isoformat(), window_end=TODAY.isoformat())
        wait_until(lambda: api.count() > 0, 120, "no run has begun")
        states = running.wait_for(lambda run: run["dag_run_id"] == manual or in_days(run, days), count=len(days) + 1)
        assert set(states.values()) == {"success"}, states
        running.api("PATCH", "dags/datasets", {"is_paused": True})
    finally:
        del running.environment["DATASETS_TASK_MAX_ACTIVE"]
        restart_dag_processor(running, limited=False)
    with closing(psycopg2.connect(database)) as connection:
        cursor = connection.cursor()
        ids = ", ".join(f"'{run_id}'" for run_id in states)
        assert at_the_same_time(cursor, f"WHERE run_id IN ({ids})") == 1


def slowly(request: Request) -> None:
    """Long enough for the scheduler to begin others, if it would."""
    time.sleep(2)


def restart_dag_processor(running: RunningAirflow, limited: bool) -> None:
    """It reads the environment of this moment; back when the scheduler knows whether the task has a limit."""
    running.stop("dag-processor")
    running.start("dag-processor")

    def is_known() -> bool:
        return bool(running.api("GET", "dags/datasets")["has_task_concurrency_limits"]) == limited

    wait_until(is_known, 120, "the DAG was not parsed anew")


def in_days(run: dict[str, Any], days: list[datetime]) -> bool:
    return run["run_type"] == "backfill" and datetime.fromisoformat(run["logical_date"]) in days


def at_the_same_time(cursor: Any, which: str = "") -> int:
    """The largest number of loads that were under way together, by the history of loads."""
    cursor.execute(f"SELECT started_at, finished_at FROM datasets_raw._load_reports {which}")
    loads = cursor.fetchall()
    return max(sum(start <= moment < end for start, end in loads) for moment, _ in loads)


def is_ours(run: dict[str, Any]) -> bool:
    day = datetime.fromisoformat(run["logical_date"])
    return FIRST_DAY <= day < FIRST_DAY + timedelta(days=DAYS)


def kill_one_task(running: RunningAirflow) -> None:
    """SIGKILL to one process that runs a task at this moment."""
    scheduler = psutil.Process(running.process_id("scheduler"))
    # The executor's worker takes the name of its task, and so does the process that it forks to run it.
    tasks = [
        child
        for child in scheduler.children(recursive=True)
        if is_worker(child) and is_worker(child.parent()) and not child.children()
    ]
    assert tasks, [" ".join(child.cmdline()) for child in scheduler.children(recursive=True)]
    tasks[-1].kill()


def is_worker(process: psutil.Process | None) -> bool:
    try:
        return process is not None and "airflow worker -- " in " ".join(process.cmdline())
    except psutil.Error:
        return False
