"""What an Airflow user does first, on a real scheduler: a manual run, the daily run, a backfill."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.api_server import ApiServer
from tests.support.running_airflow import RunningAirflow

KEY = "s3cr3t/+key=%&"
# The scheduled run covers yesterday; a backfill ends before it.
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A collection of 250 records that cannot be asked for its past."""
    with ApiServer(records=[{"id": number, "name": f"n{number}"} for number in range(250)], key=KEY) as server:
        yield server


def rows(database: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute("SELECT id, name FROM datasets_raw.datasets ORDER BY id").fetchall()


def test_manual_scheduled_and_backfill_runs_each_leave_the_table_as_the_api_is(
    running: RunningAirflow, api: ApiServer, tmp_path: Path
) -> None:
    database = tmp_path / "warehouse.duckdb"
    running.connection("datasets_api", api.connection_json())
    running.connection("datasets_destination", json.dumps({"conn_type": "duckdb", "host": str(database)}))

    def expected() -> list[tuple[Any, ...]]:
        return [(record["id"], record["name"]) for record in api.records]

    # Unpaused: Airflow makes one run, for yesterday, at once.
    running.api("PATCH", "dags/datasets", {"is_paused": False})
    states = running.wait_for(lambda run: run["run_type"] == "scheduled")
    assert set(states.values()) == {"success"}
    (scheduled,) = (run for run in running.runs() if run["run_type"] == "scheduled")
    assert scheduled["data_interval_start"] < scheduled["data_interval_end"]
    assert rows(database) == expected()

    api.records.append({"id": 250, "name": "new"})
    run_id = running.trigger()
    assert running.wait_for(lambda run: run["dag_run_id"] == run_id) == {run_id: "success"}
    assert rows(database) == expected()

    api.records[0]["name"] = "changed"
    before = api.count()
    first, last = TODAY - timedelta(days=5), TODAY - timedelta(days=3)
    running.backfill(first, last)
    states = running.wait_for(lambda run: run["run_type"] == "backfill", count=3)
    assert len(states) == 3
    assert set(states.values()) == {"success"}
    assert rows(database) == expected()
    # Three days of a past that the API does not give: it is read once, the others say which load holds it.
    tasks = sorted(running.task(run_id)["state"] for run_id in states)
    assert tasks == ["skipped", "skipped", "success"]
    assert api.count() - before == 4, "three pages and the question for the total"
    skipped = next(run_id for run_id in states if running.task(run_id)["state"] == "skipped")
    assert "set the option `cursor_path`" in running.log_of(skipped)

    running.api("PATCH", "dags/datasets", {"is_paused": True})
    for form in (KEY, "s3cr3t%2F%2Bkey%3D%25%26"):
        for path in running.home.rglob("*.log"):
            assert form not in path.read_text(errors="replace"), path


def test_a_wrong_key_fails_at_once_and_says_why(running: RunningAirflow, api: ApiServer, tmp_path: Path) -> None:
    running.connection("datasets_api", api.connection_json(key="wrong-key-of-somebody"))
    running.connection("datasets_destination", json.dumps({"conn_type": "duckdb", "host": str(tmp_path / "w.duckdb")}))
    running.api("PATCH", "dags/datasets", {"is_paused": False})
    run_id = running.trigger()
    assert running.wait_for(lambda run: run["dag_run_id"] == run_id) == {run_id: "failed"}
    running.api("PATCH", "dags/datasets", {"is_paused": True})
    assert api.count() == 1
    assert running.task(run_id)["try_number"] == 1
    log = running.log_of(run_id)
    assert "check the password of the connection `datasets_api`" in log
    assert "wrong-key-of-somebody" not in log
