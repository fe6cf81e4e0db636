"""Where a run's settings come from, what it makes of failures, and that no secret gets out of it."""

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import dlt
import duckdb
import pytest
from dlt.pipeline.state_sync import decompress_state

from include import redaction
from tests.e2e.conftest import Deployment
from tests.support.airflow_run import DAGS, Outcome, load_dag
from tests.support.api_server import CLOSE, HANG, Answer, ApiServer, Request, numbered, refused_port

# --- where options come from


def test_options_come_from_the_connection_before_the_environment_before_the_file(
    deployment: Deployment, api: ApiServer, tmp_path: Path
) -> None:
    api.records = numbered(10)
    dags = tmp_path / "dags"
    shutil.copytree(DAGS, dags, ignore=shutil.ignore_patterns("__pycache__"))
    with (dags / ".dlt" / "config.toml").open("a") as file:
        file.write('\n[sources.datasets]\npage_size = 3\nparams = { place = "file", file = 1 }\n')
    deployment.set(AIRFLOW__CORE__DAGS_FOLDER=str(dags))

    def last_query(**extra: Any) -> dict[str, str]:
        deployment.options(**extra)
        outcome = deployment.airflow.run(dag=load_dag(dags))
        assert outcome.state == "success", outcome.log
        return {name: value for name, value in api.requests[-1].query.items() if name not in ("api_key", "offset")}

    assert last_query() == {"limit": "3", "place": "file", "file": "1"}
    deployment.set(SOURCES__DATASETS__PAGE_SIZE="4")
    assert last_query() == {"limit": "4", "place": "file", "file": "1"}
    deployment.set(SOURCES__DATASETS__PARAMS='{"place": "environment"}')
    assert last_query() == {"limit": "4", "place": "environment"}
    assert last_query(page_size=5) == {"limit": "5", "place": "environment"}
    assert last_query(page_size=5, params={"place": "connection"}) == {"limit": "5", "place": "connection"}
    assert deployment.ids() == list(range(10))


def test_the_form_wins_over_the_connection(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(2)
    deployment.options(sync_mode="append")
    modes = [deployment.run(sync_mode=mode).xcom["sync_mode"] for mode in (None, "replace")]
    assert modes == ["append", "replace"]


def test_another_api_is_a_matter_of_options(deployment: Deployment, api: ApiServer) -> None:
    api.path, api.records_at, api.total_at = "/catalog/list", "result.items", "result.meta.count"
    api.key_param, api.key_in = "X-Token", "header"
    api.offset_param, api.limit_param = "skip", "take"
    api.records = [{"code": f"c{number}", "list": [{"deep": [1, 2]}]} for number in range(7)]
    deployment.options(
        path="/catalog/list",
        data_selector="result.items",
        total_path="result.meta.count",
        page_size=3,
        offset_param="skip",
        limit_param="take",
        api_key_param="X-Token",
        api_key_location="header",
        primary_key="code",
        nested="json",
    )
    outcome = deployment.run()
    assert [row[0] for row in deployment.rows("SELECT code FROM datasets ORDER BY 1")] == [
        f"c{number}" for number in range(7)
    ]
    assert deployment.rows("SELECT list ->> '$[0].deep[1]' FROM datasets LIMIT 1") == [("2",)]
    assert (outcome.xcom["promised_rows"], outcome.xcom["pages"]) == (7, 3)
    assert all("X-Token" not in request.query for request in api.requests)


# --- connections


@pytest.mark.parametrize(
    ("connection", "sentence"),
    [
        (None, "The Airflow connection `datasets_api` does not exist: add it with type `http`"),
        (
            '{"conn_type": "http", "password": "key"}',
            "Connection `datasets_api`: the field `host` is missing",
        ),
        (
            '{"conn_type": "http", "host": "http://127.0.0.1:9"}',
            "put the key, the token or the password into the field `password` of the Airflow connection `datasets_api`",
        ),
        (
            '{"conn_type": "http", "host": "h", "password": "key", "extra": {"page_size": "many"}}',
            "The option `page_size`",
        ),
        (
            '{"conn_type": "http", "host": "h", "password": "key", "extra": {"page_size": 0}}',
            "The option `page_size` has to be at least 1",
        ),
        (
            '{"conn_type": "http", "host": "h", "password": "key", "extra": {"sync_mode": "upsert"}}',
            "The option `sync_mode`",
        ),
    ],
)
def test_a_connection_that_cannot_be_used_is_one_sentence(
    deployment: Deployment, connection: str | None, sentence: str
) -> None:
    deployment.set(AIRFLOW_CONN_DATASETS_API=connection)
    # With retries: none is spent on it.
    deployment.set(DATASETS_TASK_RETRIES="3")
    outcome = deployment.airflow.run(dag=load_dag())
    assert [turn.state for turn in outcome.tries] == ["failed"]
    assert sentence in outcome.reason
    assert "\n" not in outcome.reason
    assert outcome.reason in outcome.log
    assert deployment.ids() == []


def test_a_destination_that_is_not_one_is_one_sentence(deployment: Deployment) -> None:
    deployment.destination(conn_type="ftp", host="h")
    assert "Connection `datasets_destination`: the field `type` must be one of" in deployment.refused()
    deployment.destination(conn_type="postgres", login="user", schema="db")
    assert "Connection `datasets_destination`: the field `host` is missing" in deployment.refused()
    deployment.destination(conn_type="clickhouse", host="h", schema="d")
    assert "requirements-destinations/clickhouse.txt" in deployment.refused()


# --- retries, counted at the server


def retrying(deployment: Deployment, retries: int) -> Any:
    """The DAG of a deployment whose tasks are retried, at once."""
    deployment.set(DATASETS_TASK_RETRIES=str(retries), DATASETS_TASK_RETRY_DELAY_SECONDS="0")
    return load_dag()


def test_both_layers_of_retries_together_ask_for_a_page_eight_times(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(250)
    api.fail(99, Answer(503), offset=99)
    outcome = deployment.airflow.run(dag=retrying(deployment, 1))
    assert [turn.state for turn in outcome.tries] == ["up_for_retry", "failed"]
    # (retries of the task + 1) x attempts of a request
    assert api.count(offset=99) == (1 + 1) * 4
    assert deployment.ids() == []


def test_a_task_that_succeeds_at_its_second_try_is_green(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(250)
    api.fail(4, Answer(502), offset=99)
    outcome = deployment.run(dag=retrying(deployment, 1))
    assert [turn.state for turn in outcome.tries] == ["up_for_retry", "success"]
    assert api.count(offset=99) == 5
    assert deployment.ids() == list(range(250))
    assert deployment.reports("try_number", "status", "loaded_rows") == [(1, "failed", 0), (2, "loaded", 250)]


@pytest.mark.parametrize("status", [401, 404, 422])
def test_a_refusal_is_asked_for_once(deployment: Deployment, api: ApiServer, status: int) -> None:
    api.fail(99, Answer(status, {"error": "no"}))
    outcome = deployment.airflow.run(dag=retrying(deployment, 3))
    assert [turn.state for turn in outcome.tries] == ["failed"]
    assert api.count() == 1


def test_a_long_wait_is_the_schedulers(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(3)
    api.fail(1, Answer(429, headers={"Retry-After": "1800"}), offset=0)
    outcome = deployment.run(dag=retrying(deployment, 1))
    first, second = outcome.tries
    assert (first.state, second.state) == ("up_for_retry", "success")
    assert first.message.retry_delay_seconds == 1800
    assert "asks to come back in 1800 s" in first.message.retry_reason
    assert outcome.waits_seconds == (1800,)
    assert api.offsets == [0, 0, 2]


def test_airflow_waits_longer_before_each_retry(deployment: Deployment, api: ApiServer) -> None:
    api.fail(99, CLOSE)
    deployment.set(DATASETS_TASK_RETRIES="3", DATASETS_TASK_RETRY_DELAY_SECONDS="60")
    outcome = deployment.airflow.run(dag=load_dag())
    assert [turn.state for turn in outcome.tries] == ["up_for_retry"] * 3 + ["failed"]
    # Airflow spreads each wait over its double, so that tasks that failed together do not come back together.
    for wait, shortest in zip(outcome.waits_seconds, (60, 120, 240), strict=True):
        assert shortest <= wait < 2 * shortest


# --- secrets

KEY = "s3cr3t/+key=%&2026"
FORMS = {KEY, quote(KEY), quote(KEY, safe=""), quote_plus(KEY), quote(quote(KEY, safe=""), safe="")}
FORMS |= {form.lower() for form in FORMS} | {KEY.replace("&", "&amp;"), KEY.replace("&", "\\u0026")}


def texts_of(deployment: Deployment, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Everything that a run leaves behind, with the name of the place."""
    yield "log", outcome.log
    yield "xcom", f"{outcome.xcom} {outcome.assets}"
    for turn in outcome.tries:
        yield "message", f"{turn.message!r} {turn.error!r}"
    trace = dlt.current.pipeline().last_trace
    yield "trace", str(trace and trace.asdict())
    yield from tables_of(sqlite3.connect(deployment.airflow.home / "airflow.db"), "sqlite_master")
    if deployment.database.exists():
        yield from tables_of(duckdb.connect(str(deployment.database)), "duckdb_tables()")
    for file in [*deployment.airflow.home.rglob("*"), *deployment.folder.rglob("*")]:
        if file.is_file():
            yield str(file), file.read_bytes().decode("latin-1")


def tables_of(connection: Any, catalog: str) -> Iterator[tuple[str, str]]:
    """The rows of each table: a database may write its file compressed. So does dlt with its state."""
    with closing(connection):
        prefix = "" if catalog == "sqlite_master" else "schema_name || '.' || table_"
        where = "WHERE type = 'table'" if catalog == "sqlite_master" else ""
        for (table,) in connection.execute(f"SELECT {prefix}name FROM {catalog} {where}").fetchall():
            for row in connection.execute(f"SELECT * FROM {table}").fetchall():
                yield table, str(row)
                if table.endswith("_dlt_pipeline_state"):
                    yield table, str(decompress_state(row[3]))


def leaks(deployment: Deployment, outcome: Outcome) -> list[str]:
    """The places that hold the key in some form."""
    return [place for place, text in texts_of(deployment, outcome) if any(form in text for form in FORMS)]


@pytest.fixture
def guarded(deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment with a key that is hard to hide, none of it known to the process yet."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)
    api.key, api.records = KEY, numbered(3)
    deployment.options()
    return deployment


@pytest.mark.parametrize("place", ["query", "header"])
def test_a_good_run_keeps_the_key(guarded: Deployment, api: ApiServer, place: str) -> None:
    api.key_param, api.key_in = "X-Zugang", place
    guarded.options(api_key_param="X-Zugang", api_key_location=place)
    assert leaks(guarded, guarded.run()) == []


def test_a_key_that_the_api_repeats_is_not_loaded(guarded: Deployment, api: ApiServer) -> None:
    api.records = [{"id": 1, "next": f"{api.url}/?api_key={quote_plus(KEY)}", "note": {"said": KEY}}]
    assert leaks(guarded, guarded.run()) == []
    assert guarded.ids() == [1]


def test_the_search_for_leaks_finds_one(guarded: Deployment, api: ApiServer) -> None:
    # Not the key of this API: it is data as any other.
    api.key, api.records = "another key", [{"id": 1, "name": f"my password is {KEY}"}]
    guarded.options()
    assert "datasets_raw.datasets" in leaks(guarded, guarded.run())


def echo(request: Request) -> str:
    """What a careless API says of a request."""
    return f"no access with {request.target} and {KEY}"


FAILURES: dict[str, Any] = {
    "401": lambda request: Answer(401, {"error": echo(request)}, reason=f"Bad key {KEY}"),
    "503 until the end": lambda request: Answer(503, echo(request)),
    "503 for long": lambda request: Answer(503, echo(request), {"Retry-After": "9999"}),
    "no answer": lambda _: HANG,
    "a broken connection": lambda _: CLOSE,
    "broken JSON": lambda request: Answer(200, '{"data": ["' + echo(request)),
    "truncated JSON": lambda request: Answer(200, {"data": [echo(request)]}, cut_after=40),
    "another shape": lambda request: Answer(200, {"error": echo(request)}),
    "a redirect to another host": lambda request: Answer(
        302, echo(request), {"Location": f"http://127.0.0.2:9{request.target}"}
    ),
    "a redirect without end": lambda request: Answer(302, echo(request), {"Location": request.target}),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_run_keeps_the_key(guarded: Deployment, api: ApiServer, failure: str) -> None:
    guarded.set(RUNTIME__REQUEST_TIMEOUT="0.2")
    api.script(FAILURES[failure])
    outcome = guarded.airflow.run()
    assert outcome.task_state == "failed"
    assert api.count() > 0
    assert leaks(guarded, outcome) == []
    assert guarded.ids() == []


def test_a_refused_connection_keeps_the_key(guarded: Deployment, api: ApiServer) -> None:
    api.port = refused_port()
    guarded.options()
    outcome = guarded.airflow.run()
    assert outcome.task_state == "failed"
    assert "Connection refused" in outcome.reason
    assert leaks(guarded, outcome) == []


def test_whatever_a_library_says_of_the_key_is_redacted(guarded: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*_: object) -> None:
        logging.getLogger("some.library").warning("GET %s", f"/?key={quote_plus(KEY)}", extra={"key": KEY})
        try:
            raise KeyError(KEY)
        except KeyError as error:
            logging.getLogger("some.library").exception("It does not work.")
            raise OSError(5, f"Cannot write to https://host/?key={quote(KEY, safe='')}") from error

    monkeypatch.setattr("include.prove.reconciliation.reconcile", careless)
    outcome = guarded.airflow.run()
    assert outcome.task_state == "failed"
    assert "GET /?key=***" in outcome.log
    # In what fails, nothing of a query stays, not even the names.
    assert "Cannot write to https://host/?…" in outcome.log
    assert leaks(guarded, outcome) == []


def test_the_log_of_a_good_run_is_short(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(2_500)
    log = deployment.run().log
    # What Airflow says of its own before and after the task is no part of the task's log.
    begin, end = log.index('"event": "Task started"'), log.index("[DAG TEST] end task")
    lines = [line for line in log[begin:end].splitlines()[:-1] if "::group" not in line and "::endgroup" not in line]
    assert len(lines) <= 15, "\n".join(lines)
    assert "Returned value was" not in log
    positions = [
        log.index(text)
        for text in (
            "datasets: reads a snapshot of http://",
            "All is read; begins to load 2,500 rows",
            "datasets: 2500 rows loaded (2500 read, 2500 promised)",
        )
    ]
    assert positions == sorted(positions)
    assert log.count("begins to load") == 1
