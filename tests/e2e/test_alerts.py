"""Alerts, against a mail server and a webhook that are real: each kind arrives once for a cause, without a secret."""

import json
from collections.abc import Iterator

import pytest

from include.apis.api import Api
from tests.e2e.conftest import Deployment
from tests.support.airflow_run import load_dag
from tests.support.alert_servers import Mailbox, Webhook, mailbox, text_of, webhook
from tests.support.api_server import Answer, ApiServer, numbered, refused_port

KEY = "k3y-of-the-tests"


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as started:
        yield started


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as started:
        yield started


@pytest.fixture(autouse=True)
def _nothing_told(deployment: Deployment) -> None:
    from airflow.models import Variable

    Variable.delete("alerts_told.datasets.datasets")


def fail(deployment: Deployment, api: ApiServer) -> str:
    """A run that fails: the API refuses, and repeats the key. Its log."""
    api.script(lambda _: Answer(403, {"message": f"The key {KEY} is not known, {{{{ 1 + 1 }}}} <!channel>."}))
    outcome = deployment.airflow.run()
    assert outcome.state == "failed", outcome.log
    return outcome.log


def succeed(deployment: Deployment, api: ApiServer) -> None:
    api._scripts.clear()
    deployment.run()


def test_a_failure_and_a_recovery_arrive_once_by_mail(deployment: Deployment, api: ApiServer, box: Mailbox) -> None:
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=box.connection_json())
    api.records = numbered(3)
    log = fail(deployment, api) + fail(deployment, api)
    (mail,) = box.mails
    assert (mail["To"], mail["From"]) == ("oncall@example.org", "airflow@example.org")
    assert mail["Subject"] == "datasets: the load of `datasets` failed"
    text = text_of(mail)
    assert "403" in text
    assert "Reason: no later try can mend it" in text
    assert "Window: none asked for" in text
    assert "/dags/datasets/runs/manual__" in text
    assert "/tasks/datasets?try_number=1" in text
    # What the API says is text: no template, no tag, no secret.
    assert "{{ 1 + 1 }}" in text
    assert "&lt;!channel&gt;" in text
    assert KEY not in mail.as_string()
    assert KEY not in log
    succeed(deployment, api)
    succeed(deployment, api)
    _, recovery = box.mails
    assert recovery["Subject"] == "datasets: `datasets` is loaded again"
    assert "the first good load after 2 failed runs" in text_of(recovery)


def test_a_failure_and_a_recovery_arrive_once_at_a_webhook(
    deployment: Deployment, api: ApiServer, hook: Webhook
) -> None:
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=hook.connection_json())
    api.records = numbered(3)
    fail(deployment, api)
    fail(deployment, api)
    succeed(deployment, api)
    succeed(deployment, api)
    (path, failure), (_, recovery) = hook.calls
    assert path == "/services/T0/B0/of-the-tests"
    assert list(failure) == ["text"]
    assert failure["text"].startswith("datasets: the load of `datasets` failed\n")
    assert "{{ 1 + 1 }} &lt;!channel&gt;" in failure["text"]
    assert KEY not in json.dumps(hook.calls)
    assert recovery["text"].startswith("datasets: `datasets` is loaded again\n")


def test_another_cause_is_told_again(deployment: Deployment, api: ApiServer, hook: Webhook) -> None:
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=hook.connection_json())
    fail(deployment, api)
    api.script(lambda _: Answer(404, {}))
    assert deployment.airflow.run().state == "failed"
    assert [("403" in call["text"], "404" in call["text"]) for _, call in hook.calls] == [(True, False), (False, True)]


def test_a_try_that_another_follows_is_told_to_nobody(deployment: Deployment, api: ApiServer, hook: Webhook) -> None:
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=hook.connection_json(), DATASETS_TASK_RETRIES="1")
    api.records = numbered(3)
    api.fail(4, Answer(503, {}))
    outcome = deployment.run(dag=load_dag())
    assert [one.state for one in outcome.tries] == ["up_for_retry", "success"]
    assert hook.calls == []


def test_a_warning_arrives_once_while_it_stays(deployment: Deployment, api: ApiServer, hook: Webhook) -> None:
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=hook.connection_json())
    api.records = numbered(30)
    api.script(lambda request: Answer(200, api.page(request).body | {"total": 20}))
    deployment.run()
    deployment.run()
    ((_, warning),) = hook.calls
    assert warning["text"].startswith(
        "datasets: `datasets` is loaded, and something is odd\nThe total of the API is no count"
    )
    assert "(promised 20, read 30)" in warning["text"]


def test_the_connection_of_the_api_goes_before_that_of_all() -> None:
    another = Api("another", ("one",), dict)  # type: ignore[typeddict-item]
    assert another.alert_conn_ids == ("another_alerts", "datasets_alerts")


def test_without_a_connection_nothing_is_sent_kept_or_said(deployment: Deployment, api: ApiServer) -> None:
    from airflow.models import Variable

    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=None)
    log = fail(deployment, api)
    assert "Nobody was told" not in log
    assert Variable.get("alerts_told.datasets.datasets", default_var=None) is None


def test_a_notifier_that_fails_is_one_line_and_tells_next_time(
    deployment: Deployment, api: ApiServer, hook: Webhook
) -> None:
    fields = json.loads(hook.connection_json()) | {"port": refused_port()}
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=json.dumps(fields))
    log = fail(deployment, api)
    assert log.count("Nobody was told how this run ended") == 1
    # The path of a webhook is its password. Airflow's hook has a line of its own, in which Airflow masks it.
    (line,) = (line for line in log.splitlines() if "Nobody was told" in line)
    assert "of-the-tests" not in line
    assert "Failed to run task callback" not in log
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=hook.connection_json())
    fail(deployment, api)
    assert len(hook.calls) == 1


def test_a_connection_that_cannot_be_is_a_sentence_in_the_log(deployment: Deployment, api: ApiServer) -> None:
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=json.dumps({"conn_type": "smtp", "host": "127.0.0.1"}))
    assert "Connection `datasets_alerts`: the field `extra.to` is missing" in fail(deployment, api)
    deployment.set(AIRFLOW_CONN_DATASETS_ALERTS=json.dumps({"conn_type": "ftp", "host": "127.0.0.1"}))
    assert "has to be `smtp`, for e-mail, or `http`, for a webhook" in fail(deployment, api)
