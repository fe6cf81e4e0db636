"""Which failures Airflow tries again: real errors, wrapped as dlt wraps them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from airflow.sdk import RetryAction
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.destination.exceptions import SchemaUpdateTerminalError, SchemaUpdateTransientError
from dlt.destinations.exceptions import DatabaseTerminalException, DatabaseTransientException
from dlt.pipeline.exceptions import PipelineStepFailed

from include.configure.options import SourceOptions
from include.decide.retry_policy import CausalRetryPolicy
from include.errors import ConfigurationError, ResponseShapeError, TransientError
from include.redaction import register
from tests.support.api_server import CLOSE, HANG, Answer, ApiServer, Request, numbered, refused_port
from tests.unit.conftest import Loader


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(numbered(150), key="s3cr3t/+key=%&") as server:
        yield server


def decide(error: BaseException) -> Any:
    return CausalRetryPolicy().evaluate(error, try_number=1, max_tries=3)


def decision_of_load(loader: Loader, server: ApiServer | str, **options: Any) -> Any:
    """The decision on what a whole load raises."""
    with pytest.raises(PipelineStepFailed) as caught:
        loader.run(server, **options)
    return decide(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 418, 422])
def test_a_refusal_of_the_api_fails_at_once_with_the_reason(
    loader: Loader, server: ApiServer, waits: list[float], status: int
) -> None:
    server.fail(99, Answer(status))
    decision = decision_of_load(loader, server)
    assert decision.action == RetryAction.FAIL
    assert str(status) in decision.reason
    assert "s3cr3t" not in decision.reason


@pytest.mark.parametrize(("status", "advice"), [(401, "password"), (403, "owner"), (404, "`path`")])
def test_the_usual_refusals_come_with_advice(loader: Loader, server: ApiServer, status: int, advice: str) -> None:
    server.fail(99, Answer(status))
    assert advice in decision_of_load(loader, server).reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 505, 507, 511, 520, 529])
def test_a_failure_of_the_api_is_tried_again(
    loader: Loader, server: ApiServer, waits: list[float], status: int
) -> None:
    server.fail(99, Answer(status))
    decision = decision_of_load(loader, server)
    assert decision.action == RetryAction.RETRY
    assert decision.retry_delay is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seconds", [61, 3600, 86400])
def test_a_long_retry_after_is_the_delay_of_the_task(
    loader: Loader, server: ApiServer, waits: list[float], status: int, seconds: int
) -> None:
    server.fail(99, Answer(status, headers={"Retry-After": str(seconds)}))
    decision = decision_of_load(loader, server)
    assert decision.action == RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=seconds)


def test_a_short_retry_after_that_did_not_help_is_the_delay_of_the_task(
    loader: Loader, server: ApiServer, waits: list[float]
) -> None:
    server.fail(99, Answer(503, headers={"Retry-After": "5"}))
    assert decision_of_load(loader, server).retry_delay == timedelta(seconds=5)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "3600"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"},
        {"RateLimit": '"default";r=0;t=3600'},
    ],
    ids=str,
)
def test_a_403_that_is_a_rate_limit_is_tried_again_when_the_api_says(
    loader: Loader, server: ApiServer, waits: list[float], headers: dict[str, str]
) -> None:
    server.fail(99, Answer(403, headers=headers))
    decision = decision_of_load(loader, server)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=3600))
    assert server.count() == 1


def test_a_403_with_something_left_of_the_quota_is_a_refusal(loader: Loader, server: ApiServer) -> None:
    server.fail(99, Answer(403, headers={"X-RateLimit-Remaining": "10", "X-RateLimit-Reset": "3600"}))
    assert decision_of_load(loader, server).action == RetryAction.FAIL


@pytest.mark.parametrize("seconds", [float("inf"), 1e300, 10.0**12])
def test_an_absurd_wait_is_no_overflow(seconds: float) -> None:
    delay = decide(TransientError("later", retry_after_seconds=seconds)).retry_delay
    assert timedelta(0) < delay <= timedelta(days=7)


@pytest.mark.parametrize(
    "answer",
    [CLOSE, HANG, Answer(200, {"data": []}, cut_after=3), Answer(200, '{"data": ['), Answer(200, "")],
    ids=["drop", "hang", "cut", "half", "empty"],
)
def test_a_broken_connection_is_tried_again(
    loader: Loader, server: ApiServer, waits: list[float], monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "0.02")
    server.fail(99, answer)
    assert decision_of_load(loader, server).action == RetryAction.RETRY


def test_a_refused_connection_is_tried_again(loader: Loader, waits: list[float]) -> None:
    assert decision_of_load(loader, f"http://127.0.0.1:{refused_port()}").action == RetryAction.RETRY


@pytest.mark.parametrize("url", ["http://", "api.example.com", "ftp://api.example.com", "http://[::1"])
def test_an_address_that_is_none_fails_at_once(loader: Loader, waits: list[float], url: str) -> None:
    with pytest.raises((PipelineStepFailed, ValueError)) as caught:
        loader.run(url)
    assert decide(caught.value).action == RetryAction.FAIL


def test_redirects_without_end_fail_at_once(loader: Loader, server: ApiServer) -> None:
    server.script(lambda request: Answer(302, headers={"Location": request.target}))
    assert decision_of_load(loader, server).action == RetryAction.FAIL


def test_a_redirect_to_another_host_fails_at_once(loader: Loader, server: ApiServer) -> None:
    server.fail(99, Answer(302, headers={"Location": "http://localhost:1/"}))
    decision = decision_of_load(loader, server)
    assert decision.action == RetryAction.FAIL
    assert "another host" in decision.reason


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        {"error": "no"},
        {"data": None, "total": 1},
        {"data": [{"name": 1}]},
        {"data": [{"id": None}]},
        '{"data": ]',
    ],
    ids=str,
)
def test_a_bad_answer_fails_at_once_with_its_sentence(loader: Loader, server: ApiServer, body: Any) -> None:
    server.fail(99, Answer(200, body))
    decision = decision_of_load(loader, server)
    assert decision.action == RetryAction.FAIL
    assert "/v1/datasets" in decision.reason
    assert "\n" not in decision.reason


def test_a_moving_collection_is_tried_again(loader: Loader, server: ApiServer) -> None:
    def moves(request: Request) -> None:
        if request.offset == 99:
            server.records.insert(0, {"id": -server.count()})

    server.script(moves)
    assert decision_of_load(loader, server).action == RetryAction.RETRY


def test_a_total_that_is_never_met_fails_at_once(loader: Loader, server: ApiServer) -> None:
    server.script(lambda request: Answer(200, server.page(request).body | {"total": 151}))
    decision = decision_of_load(loader, server)
    assert decision.action == RetryAction.FAIL
    assert "promises 151 records" in str(decision.reason)


def chained(inner: BaseException, *, by: str = "cause") -> BaseException:
    """`inner` under two wrappers."""
    error: BaseException = inner
    for wrapper in (RuntimeError("extract"), PipelineStepFailed.__new__(PipelineStepFailed)):
        setattr(wrapper, f"__{by}__", error)
        error = wrapper
    return error


FAILS = [
    ConfigurationError("no key"),
    ResponseShapeError("no list"),
    ConfigFieldMissingException(SourceOptions(), {}),
    DatabaseTerminalException(ValueError("no such type")),
]
RETRIES = [
    TransientError("moved"),
    DatabaseTransientException(ValueError("deadlock")),
    SchemaUpdateTransientError("datasets", {"datasets"}, ValueError("exists")),
    SchemaUpdateTerminalError("datasets", {"datasets"}, ValueError("exists")),
    requests.ConnectionError("refused"),
    requests.ReadTimeout("slow"),
    requests.ConnectTimeout("slow"),
    requests.exceptions.ChunkedEncodingError("cut"),
    requests.exceptions.SSLError("handshake"),
]


@pytest.mark.parametrize("by", ["cause", "context"])
@pytest.mark.parametrize("error", FAILS, ids=lambda error: type(error).__name__)
def test_what_no_retry_mends_fails_at_once_however_it_is_wrapped(error: BaseException, by: str) -> None:
    assert decide(error).action == RetryAction.FAIL
    assert decide(chained(error, by=by)).action == RetryAction.FAIL


@pytest.mark.parametrize("by", ["cause", "context"])
@pytest.mark.parametrize("error", RETRIES, ids=lambda error: type(error).__name__)
def test_what_a_retry_may_mend_is_tried_again_however_it_is_wrapped(error: BaseException, by: str) -> None:
    assert decide(error).action == RetryAction.RETRY
    assert decide(chained(error, by=by)).action == RetryAction.RETRY


def test_what_nobody_knows_is_left_to_airflow() -> None:
    assert decide(ValueError("?")).action == RetryAction.DEFAULT
    assert decide(chained(ZeroDivisionError())).action == RetryAction.DEFAULT


def test_errors_that_cause_each_other_end() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert decide(first).action == RetryAction.DEFAULT


def test_what_an_error_hides_decides_nothing() -> None:
    error = TransientError("said better")
    error.__context__, error.__suppress_context__ = ConfigurationError("hidden"), True
    assert decide(error).action == RetryAction.RETRY
    error.__suppress_context__ = False
    assert decide(error).action == RetryAction.FAIL


def test_a_reason_names_no_secret() -> None:
    register("s3cr3t/+key=%&")
    decision = decide(ConfigurationError("the key s3cr3t%2F%2Bkey%3D%25%26 is wrong"))
    assert decision.reason == "the key *** is wrong"


def test_the_worst_case_per_page_is_sixteen_requests(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    # Airflow's part of the product, DATASETS_TASK_RETRIES = 3, is played here; its own tests hold the number.
    server.fail(999, Answer(503), offset=99)
    for _ in range(4):
        assert decision_of_load(loader, server).action == RetryAction.RETRY
    assert server.count(offset=99) == 16
    assert server.count(offset=0) == 4
