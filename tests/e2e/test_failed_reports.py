"""What is told of a load that failed: a row of the history, an XCom of the try, and never instead of the failure itself."""

import threading
import time
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2
import pytest

from include.report import failed
from tests.e2e.conftest import Deployment
from tests.support.api_server import Answer, ApiServer, numbered, refused_port

COLUMNS = ("status", "reason", "message", "read_rows", "loaded_rows")


def test_a_failed_load_is_a_row_of_the_history_and_an_xcom(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(3)
    loaded = deployment.run()
    api.fail(1, Answer(404, {"error": f"no {api.key}"}))
    outcome = deployment.airflow.run()
    assert outcome.state == "failed"
    (first, second) = deployment.reports(*COLUMNS)
    assert first == ("loaded", None, None, 3, 3)
    assert second == ("failed", "RefusedRequest, permanent", outcome.reason, 0, 0)
    assert str(api.key) not in outcome.reason
    assert (loaded.xcom["status"], loaded.xcom["requests"], loaded.xcom["retries"]) == ("loaded", api.count() - 1, 0)
    assert {name: outcome.xcom[name] for name in COLUMNS} == dict(zip(COLUMNS, second, strict=True))
    assert (outcome.xcom["requests"], outcome.xcom["run_id"]) == (1, outcome.run_id)
    assert list(loaded.xcom)[:2] == ["read_rows", "loaded_rows"]


def test_what_fails_before_there_is_a_plan_is_told_by_its_xcom_alone(deployment: Deployment, api: ApiServer) -> None:
    deployment.options(page_size=0)
    outcome = deployment.airflow.run()
    assert outcome.xcom == {
        "resource": "datasets",
        "status": "failed",
        "reason": "ConfigurationError, permanent",
        "message": outcome.reason,
    }


def test_a_failed_load_covers_nothing(deployment: Deployment, api: ApiServer) -> None:
    """The next run reads from the beginning, as if it had not been."""
    deployment.options(cursor_path="updated_at")
    api.records = [{**record, "updated_at": "2026-10-01T00:00:00Z"} for record in numbered(3)]
    api.fail(1, Answer(404))
    assert deployment.airflow.run().state == "failed"
    deployment.run()
    assert deployment.reports("status", "window_start") == [("failed", None), ("loaded", None)]
    assert deployment.ids() == [0, 1, 2]


def test_a_destination_that_is_away_is_the_failure_that_is_told(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(3)

    deployment.run()
    deployment.destination(
        conn_type="postgres", host="127.0.0.1", port=refused_port(), login="u", password="p", schema="d"
    )
    outcome = deployment.airflow.run()
    assert "The destination cannot be reached" in outcome.reason
    assert outcome.xcom["status"] == "failed"
    assert deployment.reports("status") == [("loaded",)]


def test_a_destination_that_does_not_answer_delays_no_failure(
    deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(failed, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(failed, "write_report", lambda *_: ended.wait(30))
    api.fail(9, Answer(404))
    began = time.monotonic()
    outcome = deployment.airflow.run()
    took_seconds = time.monotonic() - began
    ended.set()
    assert "answered 404" in outcome.reason
    assert took_seconds < 25


def test_a_history_that_cannot_be_written_hides_no_failure(
    deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise duckdb.IOException("the disk is away")

    monkeypatch.setattr(failed, "write_report", refuse)
    api.fail(9, Answer(404))
    outcome = deployment.airflow.run()
    assert "answered 404" in outcome.reason
    assert "the disk is away" not in outcome.log


@pytest.mark.postgres
def test_on_postgresql_too(deployment: Deployment, api: ApiServer, postgres_url: str) -> None:
    place = urlsplit(postgres_url)
    deployment.destination(
        conn_type="postgres",
        host=place.hostname,
        port=place.port,
        login=place.username,
        password=place.password or "unused",
        schema=place.path[1:],
    )
    api.fail(9, Answer(404))
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("DROP SCHEMA IF EXISTS datasets_raw CASCADE")
        try:
            outcome = deployment.airflow.run()
            cursor.execute("SELECT status, message FROM datasets_raw._load_reports")
            assert cursor.fetchall() == [("failed", outcome.reason)]
        finally:
            cursor.execute("DROP SCHEMA IF EXISTS datasets_raw CASCADE")
