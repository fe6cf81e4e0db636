"""A run that fails ends with one sentence: what failed, where, and what to do."""

import json
import logging
import subprocess
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from include.decide.failure import LoadFailed
from tests.e2e.conftest import Deployment
from tests.support.airflow_run import Outcome, load_dag
from tests.support.api_server import HANG, Answer, ApiServer, numbered, refused_port


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """What the task itself logs; the runs of these tests replace the handlers of the root."""
    kept: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    logger, handler = logging.getLogger("include.pipeline"), Keep()
    logger.addHandler(handler)
    yield kept
    logger.removeHandler(handler)


def is_red_with_its_sentence(outcome: Outcome, lines: list[logging.LogRecord]) -> str:
    """The sentence of a failed run, once everything about it holds."""
    error = outcome.error
    assert type(error) is LoadFailed
    assert (error.__cause__, error.__context__) == (None, None)
    assert len(traceback.extract_tb(error.__traceback__)) <= 10
    sentence = str(error)
    assert "\n" not in sentence
    assert sentence.isprintable()
    assert sentence.endswith((".", "`."))
    # The line above Airflow's own is the same sentence, as an error; no other traceback stands in the log after it.
    assert [(record.levelname, record.getMessage()) for record in lines if record.levelno >= logging.INFO][-1] == (
        "ERROR",
        sentence,
    )
    before, found, after = outcome.log.rpartition("Task failed with exception")
    assert found
    assert sentence in before.strip().splitlines()[-2:][0] + before.strip().splitlines()[-1]
    assert after.count("Traceback (most recent call last)") == 1
    return sentence


def test_a_task_raises_its_sentence_alone_and_logs_it_above(
    deployment: Deployment, api: ApiServer, lines: list[logging.LogRecord]
) -> None:
    api.fail(99, Answer(401))
    sentence = is_red_with_its_sentence(deployment.airflow.run(), lines)
    assert "answered 401" in sentence
    assert "check the password of the connection `datasets_api`" in sentence


def test_the_whole_chain_is_at_debug_without_secrets(
    deployment: Deployment, api: ApiServer, lines: list[logging.LogRecord]
) -> None:
    logging.getLogger("include.pipeline").setLevel(logging.DEBUG)
    try:
        api.fail(99, Answer(404, {"error": f"no {api.key}"}))
        outcome = deployment.airflow.run()
    finally:
        logging.getLogger("include.pipeline").setLevel(logging.NOTSET)
    (chain,) = [record for record in lines if record.levelno == logging.DEBUG]
    assert chain.exc_info
    text = "".join(traceback.format_exception(*chain.exc_info))
    assert "PipelineStepFailed" in text
    assert "RefusedRequest" in text
    assert api.key not in text
    assert outcome.task_state == "failed"


def test_what_nobody_knows_is_named_and_left_to_airflow(
    deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch, lines: list[logging.LogRecord]
) -> None:
    def odd(*_: object) -> None:
        raise ZeroDivisionError("by \x1b[31mnothing\nat all")

    monkeypatch.setattr("include.prove.reconciliation.reconcile", odd)
    deployment.set(DATASETS_TASK_RETRIES="1", DATASETS_TASK_RETRY_DELAY_SECONDS="0")
    outcome = deployment.airflow.run(dag=load_dag())
    assert "ZeroDivisionError: by \\x1b[31mnothing at all" in is_red_with_its_sentence(outcome, lines)
    assert [turn.state for turn in outcome.tries] == ["up_for_retry", "failed"]
    assert outcome.tries[0].message.retry_reason is None


def test_a_task_that_takes_too_long_says_so(
    deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch, lines: list[logging.LogRecord]
) -> None:
    def late(*_: object) -> None:
        raise AirflowTaskTimeout("Timeout, PID: 1")

    monkeypatch.setattr("include.prove.reconciliation.reconcile", late)
    sentence = is_red_with_its_sentence(deployment.airflow.run(), lines)
    assert "did not end within the time limit" in sentence


# --- each failure names its connection

API, DESTINATION = "the connection `datasets_api`", "the connection `datasets_destination`"
PASSWORD = "pw-of-the-user"
Prepare = Callable[[Deployment, ApiServer, ExitStack], None]


def api_at(**changed: Any) -> Prepare:
    """The connection leads somewhere else."""

    def prepare(deployment: Deployment, api: ApiServer, _: ExitStack) -> None:
        connection = {"conn_type": "http", "host": "127.0.0.1", "schema": "http", "port": api.port, "password": "key"}
        deployment.set(AIRFLOW_CONN_DATASETS_API=json.dumps(connection | changed))

    return prepare


def silent_api(deployment: Deployment, api: ApiServer, _: ExitStack) -> None:
    """The API takes the request, and says nothing."""
    deployment.set(RUNTIME__REQUEST_TIMEOUT="0.2")
    api.fail(99, HANG)


def open_elsewhere(deployment: Deployment, _: ApiServer, held: ExitStack) -> None:
    """Another process has the database open."""
    script = f"import duckdb, sys; c = duckdb.connect({str(deployment.database)!r}); print('open', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    held.callback(process.communicate)
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"


def a_letter(deployment: Deployment, _: ApiServer, __: ExitStack) -> None:
    """Something else is where the database should be."""
    deployment.database.write_text("This is a letter. " * 500)


def destination_at(**connection: Any) -> Prepare:
    """The connection to the destination."""

    def prepare(deployment: Deployment, _: ApiServer, __: ExitStack) -> None:
        deployment.destination(**{"login": "nobody_there", "password": PASSWORD, "schema": "d"} | connection)

    return prepare


CASES: dict[str, tuple[Prepare, str, str, bool]] = {
    "api refused": (api_at(port=refused_port()), "The API cannot be reached", API, False),
    "api host unknown": (api_at(host="no-such-host.invalid"), "host name of the API is not known", API, False),
    "api speaks no tls": (api_at(schema="https"), "No secure connection (TLS)", API, False),
    "api silent": (silent_api, "The API did not answer in time", API, False),
    "file open elsewhere": (open_elsewhere, "is open in another program", DESTINATION, False),
    "no database file": (a_letter, "is no database of this DuckDB", DESTINATION, True),
    "no folder": (
        destination_at(conn_type="duckdb", login="", password="", schema="", host="/proc/nowhere/d.duckdb"),
        "cannot be made: [Errno 2] No such file or directory: '/proc/nowhere'",
        DESTINATION,
        False,
    ),
    "postgres refused": (
        destination_at(conn_type="postgres", host="127.0.0.1", port=refused_port()),
        "The destination cannot be reached",
        DESTINATION,
        False,
    ),
    "postgres host unknown": (
        destination_at(conn_type="postgres", host="no-such-host.invalid"),
        "host name of the destination is not known",
        DESTINATION,
        False,
    ),
    "mariadb refused": (
        destination_at(conn_type="mysql", host="127.0.0.1", port=refused_port()),
        "The destination cannot be reached",
        DESTINATION,
        False,
    ),
    "mariadb host unknown": (
        destination_at(conn_type="mysql", host="no-such-host.invalid"),
        "host name of the destination is not known",
        DESTINATION,
        False,
    ),
    "mariadb login": (
        destination_at(conn_type="mysql", host="127.0.0.1"),
        "The destination refuses the login",
        DESTINATION,
        True,
    ),
}


def red(deployment: Deployment, lines: list[logging.LogRecord], is_permanent: bool) -> str:
    """The sentence of a run that fails, permanently or not."""
    outcome = deployment.airflow.run()
    assert PASSWORD not in outcome.log
    sentence = is_red_with_its_sentence(outcome, lines)
    assert isinstance(outcome.error, LoadFailed)
    assert outcome.error.is_permanent is is_permanent, sentence
    return sentence


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.mysql) if c == "mariadb login" else c for c in CASES]
)
def test_what_cannot_be_reached_names_its_connection(
    deployment: Deployment, api: ApiServer, lines: list[logging.LogRecord], case: str
) -> None:
    prepare, what, connection, is_permanent = CASES[case]
    if case.startswith("mariadb"):
        pytest.importorskip("pymysql")
    api.records = numbered(3)
    with ExitStack() as held:
        prepare(deployment, api, held)
        sentence = red(deployment, lines, is_permanent)
    assert what in sentence
    assert connection in sentence


@pytest.mark.postgres
@pytest.mark.parametrize("lacks", ["the role", "the database", "the right"])
def test_postgresql_says_what_is_lacking(
    deployment: Deployment, api: ApiServer, lines: list[logging.LogRecord], postgres_url: str, lacks: str
) -> None:
    place = urlsplit(postgres_url)
    role = f"reader_{uuid.uuid4().hex[:12]}"
    api.records = numbered(3)
    deployment.destination(
        conn_type="postgres",
        host=place.hostname,
        port=place.port,
        login=role if lacks == "the right" else "no_such_role" if lacks == "the role" else place.username,
        password=PASSWORD,
        schema="no_such_database" if lacks == "the database" else place.path[1:],
    )
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE ROLE {role} LOGIN")
        try:
            sentence = red(deployment, lines, True)
        finally:
            connection.cursor().execute(f"DROP ROLE {role}")
    assert DESTINATION in sentence
    whats = {
        "the role": "The destination refuses the login",
        "the database": "The database of the destination does not exist",
        "the right": "The user of the destination lacks a right",
    }
    assert whats[lacks] in sentence
