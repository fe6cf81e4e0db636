"""What an answer that is no data means: permanent or transient, after how long, and in which words."""

import time
from email.utils import formatdate
from typing import Any

import orjson
import pytest
import requests
from urllib3 import HTTPHeaderDict

from include.errors import PermanentError, TransientError
from include.extract.failures import asked_wait_seconds, raise_failure
from include.extract.limits import SAID_CHARACTERS
from include.extract.response import ApiResponse
from include.redaction import register

NOW = 1_800_000_000.0
WEEK = 7 * 24 * 60 * 60


def answer(
    status: int = 400, body: Any = b"", headers: dict[str, str] | None = None, reason: str = "Reason"
) -> ApiResponse:
    request = requests.Request("GET", "https://user:pass@api.example.com/v1?k=secret").prepare()
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return ApiResponse(request, status, reason, HTTPHeaderDict(headers or {}), content)


def failure_of(response: requests.Response, **given: Any) -> Exception:
    with pytest.raises(requests.HTTPError) as caught:
        raise_failure(response, **given)
    return caught.value


@pytest.mark.parametrize("status", [200, 204, 301, 304])
def test_what_is_no_failure_raises_nothing(status: int) -> None:
    raise_failure(answer(status))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 505, 507, 520, 599])
def test_what_a_later_try_may_not_meet_is_transient(status: int) -> None:
    failure = failure_of(answer(status))
    assert isinstance(failure, TransientError)
    assert failure.retry_after_seconds is None
    assert str(status) in str(failure)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 409, 410, 418, 422, 423, 451])
def test_a_refusal_is_permanent(status: int) -> None:
    response = answer(status)
    failure = failure_of(response)
    assert isinstance(failure, PermanentError)
    assert failure.response is response


def test_a_status_that_somebody_added_is_transient() -> None:
    assert isinstance(failure_of(answer(423), transient_statuses=[423]), TransientError)


def test_dlt_and_requests_call_it_with_more_than_the_response() -> None:
    with pytest.raises(PermanentError):
        raise_failure(answer(404), "more", timeout=1)


# The wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        (str(int(NOW) + 90), 90),
        (str((int(NOW) + 90) * 1000), 90),
        (str(int(NOW) - 90), 0),
        (formatdate(NOW + 30, usegmt=True), 30),
        (formatdate(NOW - 30, usegmt=True), 0),
        ("700000", WEEK),
        ("99999999999", WEEK),
        ("9" * 5000, WEEK),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0667", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_a_date_or_an_epoch(header: str, seconds: float | None) -> None:
    assert asked_wait_seconds(answer(503, headers={"Retry-After": header}), NOW) == seconds


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 90)},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "90"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "90.0"},
        {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(int(NOW) + 90)},
        {"RateLimit-Remaining": "0", "RateLimit-Reset": "90"},
        {"RateLimit": "limit=100, remaining=0, reset=90"},
        {"RateLimit": '"default";r=0;t=90'},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7", "Retry-After": "90"},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [403, 429])
def test_a_used_up_quota_is_waited_for(status: int, headers: dict[str, str]) -> None:
    assert asked_wait_seconds(answer(status, headers=headers), NOW) == 90
    assert isinstance(failure_of(answer(status, headers=headers)), TransientError)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "90"},
        {"X-RateLimit-Reset": "90"},
        {"RateLimit": '"default";r=10;t=90'},
        {"RateLimit": "limit=100, remaining=05, reset=90"},
    ],
    ids=str,
)
def test_a_quota_of_which_something_is_left_asks_for_nothing(headers: dict[str, str]) -> None:
    assert asked_wait_seconds(answer(403, headers=headers), NOW) is None
    assert isinstance(failure_of(answer(403, headers=headers)), PermanentError)


def test_a_used_up_quota_without_an_end_is_transient_all_the_same() -> None:
    failure = failure_of(answer(403, headers={"X-RateLimit-Remaining": "0"}))
    assert isinstance(failure, TransientError)
    assert failure.retry_after_seconds is None


def test_a_403_with_retry_after_is_a_rate_limit() -> None:
    failure = failure_of(answer(403, headers={"Retry-After": "90"}))
    assert isinstance(failure, TransientError)
    assert failure.retry_after_seconds == 90
    assert "asks to come back in 90 s" in str(failure)
    assert "owner" not in str(failure)


def test_an_epoch_is_measured_from_now() -> None:
    failure = failure_of(answer(503, headers={"Retry-After": str(int(time.time()) + 600)}))
    assert isinstance(failure, TransientError)
    assert failure.retry_after_seconds == pytest.approx(600, abs=5)


# The words


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "no such dataset"}, "no such dataset"),
        ({"error": "bad key"}, "bad key"),
        ({"detail": "Not found."}, "Not found"),
        ({"errors": ["a is wrong", "b is wrong"]}, "a is wrong; b is wrong"),
        ({"error": {"code": 17, "message": "limit is too large"}}, "limit is too large"),
        ({"errors": [{"message": "first"}, {"detail": "second"}]}, "first; second"),
        ({"errors": {"limit": ["is too large"]}}, "limit: is too large"),
        ({"detail": [{"loc": ["query", "limit"], "msg": "too large"}]}, "too large"),
        ({"error": "invalid_request", "error_description": "the key expired"}, "the key expired"),
        (["no list"], "no list"),
        ("only text", "only text"),
    ],
)
def test_what_the_api_said_is_in_the_sentence(body: Any, said: str) -> None:
    assert str(failure_of(answer(422, body))) == f"GET https://api.example.com/v1 answered 422 Reason: {said}."


@pytest.mark.parametrize(
    "body", [{}, {"code": 17}, [], None, 17, b"", b"<html>login</html>", b'{"message": "cut', {"error": None}]
)
def test_a_body_that_says_nothing_adds_nothing(body: Any) -> None:
    assert str(failure_of(answer(422, body))) == "GET https://api.example.com/v1 answered 422 Reason."


def test_plain_text_is_said_too() -> None:
    failure = failure_of(answer(400, b"limit is too large\n", {"Content-Type": "text/plain"}))
    assert str(failure).endswith("400 Reason: limit is too large.")


def test_the_advice_follows_what_was_said() -> None:
    assert str(failure_of(answer(404, {"message": "nothing here"}))).endswith(
        "nothing here. There is nothing at that address: check the connection's host and the option `path`."
    )


def test_it_is_one_line_cut_and_without_secrets_queries_and_control_characters() -> None:
    register("s3cr3t/+key=%&")
    said = "line\nforged\r\x1b[31m \u2028 s3cr3t%2F%2Bkey=%25%26 " + "x" * 10_000
    failure = str(failure_of(answer(400, {"message": said}, reason="Bad\x1b[0m s3cr3t/+key=%&")))
    assert failure.isprintable()
    assert "secret" not in failure
    assert "s3cr3t" not in failure
    assert "user" not in failure
    assert "line\\nforged\\r\\x1b[31m" in failure
    assert len(failure) < SAID_CHARACTERS + 100


def test_the_address_that_an_api_repeats_is_said_without_its_query() -> None:
    said = "Cannot GET /v1/datasets?token=foreign&limit=1: is that right?"
    failure = str(failure_of(answer(400, {"message": said}, reason="No /v1?token=foreign")))
    assert "foreign" not in failure
    assert "Cannot GET /v1/datasets?" in failure
    assert "is that right?" in failure


def test_a_huge_error_body_is_cut_before_it_is_looked_at() -> None:
    started = time.process_time()
    failure_of(answer(400, b'{"message": "' + b"\\" * 50_000_000))
    assert time.process_time() - started < 1
