"""Which requests are retried, after how long, and where the key may go; counted at a real server."""

import copy
import gzip
import math
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import requests
from dlt.extract.exceptions import ResourceExtractionError

from include.errors import ConfigurationError, PermanentError, ResponseShapeError, TransientError
from include.extract import response as answers
from include.extract import session as http_client
from include.extract.failures import raise_failure, retry_after_seconds
from include.extract.json_body import parse_json
from include.extract.read_hook import ReadHook
from include.extract.retries import RETRIED_STATUSES
from include.extract.session import open_session, redirect_target
from include.extract.transport import CurlAdapter
from include.redaction import redact, register
from tests.support.api_server import CLOSE, HANG, Answer, ApiServer, numbered, refused_port
from tests.unit.conftest import Loader, causes, innermost

BACKOFF_SECONDS = [2, 4, 8]
# Of 250 records: each page begins with the record that ended the one before, and the last one has that alone.
OFFSETS = [0, 99, 198, 249]
KEY = "s3cr3t/+key=%&"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(numbered(250), key=KEY) as server:
        yield server


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of each exchange that `requests` began, also of those that no server saw."""
    exchanges: list[dict[str, Any]] = []
    send = CurlAdapter.send

    def spy(self: CurlAdapter, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        exchanges.append({"url": request.url, **kwargs})
        return send(self, request, **kwargs)

    monkeypatch.setattr(CurlAdapter, "send", spy)
    return exchanges


def failure_of(read: Callable[[], Any]) -> BaseException:
    with pytest.raises(ResourceExtractionError) as caught:
        read()
    return innermost(caught.value)


def test_the_retried_statuses_are_the_promised_ones() -> None:
    assert RETRIED_STATUSES == (429, 500, 502, 503, 504)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_page_is_asked_for_four_times_at_most(
    loader: Loader, server: ApiServer, waits: list[float], status: int
) -> None:
    server.fail(99, Answer(status))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, requests.HTTPError)
    assert f"{status}" in str(failure)
    assert server.offsets == [0, 0, 0, 0]
    assert waits == BACKOFF_SECONDS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 408, 409, 410, 418, 422, 425, 501, 505, 507])
def test_every_other_status_is_asked_for_once(
    loader: Loader, server: ApiServer, waits: list[float], status: int
) -> None:
    server.fail(99, Answer(status, headers={"Retry-After": "1"}))
    assert isinstance(failure_of(lambda: loader.read(server)), requests.HTTPError)
    assert server.offsets == [0]
    assert waits == []


def test_each_page_has_its_own_attempts(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.fail(3, Answer(503), Answer(429), CLOSE)
    assert len(loader.read(server)) == 250
    assert server.offsets == [offset for offset in OFFSETS for _ in range(4)]
    assert waits == BACKOFF_SECONDS * len(OFFSETS)


def test_a_refused_connection_is_tried_four_times(
    loader: Loader, waits: list[float], sent: list[dict[str, Any]]
) -> None:
    failure = failure_of(lambda: loader.read(f"http://127.0.0.1:{refused_port()}"))
    assert isinstance(failure, requests.ConnectionError)
    assert "refused" in str(failure)
    assert len(sent) == 4
    assert waits == BACKOFF_SECONDS


def test_a_dropped_connection_is_tried_four_times(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.fail(99, CLOSE, offset=99)
    assert isinstance(failure_of(lambda: loader.read(server)), requests.ConnectionError)
    assert server.offsets == [0] + [99] * 4
    assert waits == BACKOFF_SECONDS


def test_an_answer_cut_short_is_tried_four_times(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.fail(99, Answer(200, {"data": numbered(100), "total": 250}, cut_after=500), offset=99)
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read(server)
    assert any(isinstance(cause, requests.exceptions.ChunkedEncodingError) for cause in causes(caught.value))
    assert server.count(offset=99) == 4
    assert waits == BACKOFF_SECONDS


def test_a_read_timeout_is_tried_four_times(
    loader: Loader, server: ApiServer, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "0.02")
    server.fail(99, HANG)
    assert isinstance(failure_of(lambda: loader.read(server)), requests.ReadTimeout)
    assert server.offsets == [0, 0, 0, 0]
    assert waits == BACKOFF_SECONDS


def test_a_connect_timeout_is_tried_four_times(
    loader: Loader, waits: list[float], sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "CONNECT_TIMEOUT_SECONDS", 0.1)
    with ExitStack() as opened:
        # Nobody accepts, and the queue of one is taken: Linux drops every further SYN.
        listener = opened.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            caller = opened.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        failure = failure_of(lambda: loader.read(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert isinstance(failure, requests.ConnectTimeout)
    assert len(sent) == 4
    assert waits == BACKOFF_SECONDS


def test_every_request_has_a_connect_and_a_read_timeout(
    loader: Loader, server: ApiServer, sent: list[dict[str, Any]], waits: list[float]
) -> None:
    moved = {"Location": "/v1/datasets?moved=1&offset=0&limit=100&api_key=s3cr3t%2F%2Bkey%3D%25%26"}
    server.fail(2, Answer(503), Answer(302, headers=moved), offset=0)
    loader.read(server)
    assert len(sent) == len(OFFSETS) + 2
    assert {exchange["timeout"] for exchange in sent} == {(10.0, 60.0)}


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_replaces_the_backoff(
    loader: Loader, server: ApiServer, waits: list[float], status: int
) -> None:
    server.fail(3, Answer(status, headers={"Retry-After": "7"}), offset=99)
    loader.read(server)
    assert waits == [7, 7, 7]


def test_retry_after_as_http_date_replaces_the_backoff(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.script(
        lambda _: (
            Answer(503, headers={"Retry-After": formatdate(time.time() + 30, usegmt=True)})
            if server.count() == 1
            else None
        )
    )
    loader.read(server)
    assert waits == [pytest.approx(29.5, abs=1.5)]


@pytest.mark.parametrize("header", ["soon", "", "0", "-5", "1.5", formatdate(time.time() - 3600, usegmt=True)])
def test_a_retry_after_that_says_nothing_leaves_the_backoff(
    loader: Loader, server: ApiServer, waits: list[float], header: str
) -> None:
    server.fail(3, Answer(503, headers={"Retry-After": header}), offset=0)
    loader.read(server)
    assert waits == BACKOFF_SECONDS


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "seconds"), [("61", 61), ("86400", 86400), ("99999999999", 604800), ("date", 7200)])
def test_a_retry_after_beyond_the_cap_is_handed_to_the_scheduler(
    loader: Loader, server: ApiServer, waits: list[float], status: int, header: str, seconds: float
) -> None:
    if header == "date":
        header = formatdate(time.time() + seconds, usegmt=True)
    server.fail(99, Answer(status, headers={"Retry-After": header}))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, TransientError)
    assert failure.retry_after_seconds == pytest.approx(seconds, abs=120)
    assert server.offsets == [0]
    assert waits == []


def test_a_retry_after_of_exactly_the_cap_is_waited_for(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.fail(1, Answer(503, headers={"Retry-After": "60"}), offset=0)
    loader.read(server)
    assert waits == [60]


def test_a_status_without_a_promise_to_come_back_never_waits_longer_than_the_cap(
    loader: Loader, server: ApiServer, waits: list[float]
) -> None:
    server.fail(1, Answer(502, headers={"Retry-After": "3600"}), offset=0)
    loader.read(server)
    assert waits == [60]


@pytest.mark.parametrize("header", ["9" * 400, "9" * 5000], ids=["no float", "no integer"])
def test_an_absurd_retry_after_is_still_a_number(header: str) -> None:
    response = requests.Response()
    response.headers["Retry-After"] = header
    seconds = retry_after_seconds(response)
    assert seconds is None or math.isfinite(seconds)


@pytest.mark.parametrize("channel", ["environment", "config.toml"])
def test_the_numbers_of_the_retries_are_options_of_dlt(
    loader: Loader, server: ApiServer, waits: list[float], monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    if channel == "environment":
        monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "3")
        monkeypatch.setenv("RUNTIME__REQUEST_BACKOFF_FACTOR", "5")
        monkeypatch.setenv("RUNTIME__REQUEST_MAX_RETRY_DELAY", "9")
    else:
        loader.configure(
            "[runtime]\nrequest_max_attempts = 3\nrequest_backoff_factor = 5\nrequest_max_retry_delay = 9\n"
        )
    server.fail(99, Answer(500))
    failure_of(lambda: loader.read(server))
    assert server.count() == 3
    assert waits == [5, 9]
    server.fail(99, Answer(503, headers={"Retry-After": "10"}))
    assert isinstance(failure_of(lambda: loader.read(server)), TransientError)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_followed(loader: Loader, server: ApiServer, status: int) -> None:
    def moved(request: Any) -> Answer | None:
        if request.path == "/old":
            return Answer(status, headers={"Location": request.target.replace("/old", "/v1/datasets")})
        return None

    server.script(moved)
    assert len(loader.read(server, path="/old")) == 250
    assert [request.path for request in server.requests] == ["/old", "/v1/datasets"] * len(OFFSETS)


@pytest.mark.parametrize("location", ["query", "header"])
@pytest.mark.parametrize("name", ["api_key", "X-Token"])
@pytest.mark.parametrize("form", ["absolute", "protocol-relative", "same host, other port"])
def test_a_redirect_to_another_host_is_refused_and_the_key_stays(
    loader: Loader, server: ApiServer, waits: list[float], location: str, name: str, form: str
) -> None:
    server.key_in, server.key_param = location, name
    with ApiServer(numbered(250), key=KEY) as other:
        there = {
            "absolute": f"http://localhost:{other.port}",
            "protocol-relative": f"//localhost:{other.port}",
            "same host, other port": other.url,
        }[form]
        server.script(lambda request: Answer(302, headers={"Location": there + request.target}))
        failure = failure_of(lambda: loader.read(server, api_key_location=location, api_key_param=name))
        assert other.requests == []
    assert isinstance(failure, ConfigurationError)
    assert "redirected to another host" in str(failure)
    assert server.count() == 1
    assert waits == []


def test_a_redirect_to_the_same_host_over_tls_is_not_refused(dlt_home: Path) -> None:
    session = open_session(parallel=1)
    response = requests.Response()
    response.request = requests.Request("GET", "http://api.example.com/v1").prepare()
    response.status_code = 301
    for target, refused in {"https://api.example.com/v1": False, "https://api.example.org/v1": True}.items():
        response.headers["Location"] = target
        if refused:
            with pytest.raises(ConfigurationError):
                session.get_redirect_target(response)
        else:
            assert session.get_redirect_target(response) == target


@pytest.mark.parametrize("location", ["/caf\xe9", "http://\xe9\xe9.example/"])
def test_a_location_that_is_no_utf_8_is_an_address_like_any_other(
    loader: Loader, server: ApiServer, waits: list[float], location: str
) -> None:
    server.fail(1, Answer(302, headers={"Location": location}))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, PermanentError)
    assert waits == []


def test_a_failing_page_behind_a_redirect_is_asked_for_four_times_at_most(
    loader: Loader, server: ApiServer, waits: list[float]
) -> None:
    server.script(
        lambda request: (
            Answer(302, headers={"Location": request.target.replace("/old", "/v1/datasets")})
            if request.path == "/old"
            else Answer(503)
        )
    )
    failure_of(lambda: loader.read(server, path="/old"))
    paths = [request.path for request in server.requests]
    assert paths.count("/v1/datasets") <= 4
    assert waits == BACKOFF_SECONDS


def test_a_redirect_loop_ends_and_is_not_retried(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.script(lambda request: Answer(302, headers={"Location": request.target}))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, requests.TooManyRedirects)
    assert server.count() <= 31
    assert waits == []


@pytest.mark.parametrize("key", ["k3y\n", "k3y\r\nX-Other: 1", "ключ", " k3y", "k\x00"])
def test_a_key_that_no_header_can_carry_is_a_sentence_without_the_key(
    loader: Loader, server: ApiServer, key: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loader.read(server, api_key=key, api_key_location="header")
    assert key not in str(caught.value)
    assert key.strip() not in str(caught.value)
    assert server.requests == []


def body(content: bytes, content_type: str = "application/json") -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = content
    response.headers["Content-Type"] = content_type
    response.request = requests.Request("GET", "http://api/v1?k=secret").prepare()
    return response


def test_integers_beyond_64_bits_keep_every_digit_as_text() -> None:
    numbers = [0, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64, 10**40 + 1, 10**5000]
    found = parse_json(body(f"[{', '.join(map(decimal, numbers))}]".encode()))
    assert found == [0, 2**63 - 1, -(2**63), *map(decimal, numbers[3:])]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, -(2**64), 10**22 + 1, 10**40 + 1])
def test_one_integer_beyond_64_bits_is_found_among_short_ones(number: int) -> None:
    assert parse_json(body(f'[1, {number}, 2, "{number}"]'.encode())) == [1, f"{number}", 2, f"{number}"]


def decimal(number: int) -> str:
    """`str`, without Python's limit of 4,300 digits."""
    return f"1{'0' * 5000}" if number == 10**5000 else str(number)


def test_text_of_any_script_is_kept() -> None:
    assert parse_json(body('["é", "日本", "\\ud83d\\ude00", "😀"]'.encode())) == ["é", "日本", "😀", "😀"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>maintenance</body></html>",
        b'{"data": [{"id": 1}, {"id"',
        b'{"data": [{"id": 12345678901234567890}, {"id"',
        b"\xff\xfe{}",
        b'{"data": [{"id": 12345678901234567890, "name": "\xff"}]}',
        b'{"data": [NaN]}',
        b'{"data": [NaN, 12345678901234567890]}',
        b'{"data": [12345678901234567890, -Infinity]}',
    ],
)
def test_a_body_that_is_not_json_is_a_sentence_without_the_query(content: bytes) -> None:
    with pytest.raises(ResponseShapeError) as caught:
        parse_json(body(content, "text/html; charset=utf-8"))
    assert "GET http://api/v1 answered 200" in str(caught.value)
    assert "text/html" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_body_is_parsed_once_however_often_it_is_asked(
    loader: Loader, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[requests.Response] = []
    monkeypatch.setattr(answers, "parse_json", lambda response: parsed.append(response) or parse_json(response))
    loader.read(server)
    assert len(parsed) == len(OFFSETS)


def test_a_connection_is_used_for_more_than_one_page(dlt_home: Path, server: ApiServer) -> None:
    session = open_session(parallel=2)
    for _ in range(3):
        session.get(f"{server.url}/v1/datasets", params={"api_key": KEY})
    assert len({request.client_port for request in server.requests}) == 1


@pytest.mark.parametrize(
    "body",
    [b'{"message": "no"}', gzip.compress(b"no")[:-9], gzip.compress(bytes(200_000_000))],
    ids=["not packed", "half", "bomb"],
)
@pytest.mark.parametrize(("status", "asked"), [(401, 1), (503, 4)])
def test_an_error_whose_body_cannot_be_unpacked_is_known_by_its_status(
    loader: Loader, server: ApiServer, waits: list[float], body: bytes, status: int, asked: int
) -> None:
    server.fail(99, Answer(status, body, {"Content-Encoding": "gzip"}))
    failure = failure_of(lambda: loader.read(server))
    assert f"answered {status}" in str(failure)
    assert server.count() == asked


# Half of an answer, and none


@pytest.mark.parametrize(
    "broken",
    [
        Answer(200, '{"data": [{"id": 1}, {"id": 2}'),
        Answer(200, '{"data": [{"id": 1}, {"na'),
        Answer(200, '{"data": [{"id": 1}, {"na', headers={"Connection": "close"}),
        Answer(200, {"data": numbered(100), "total": 250}, cut_after=500),
        Answer(200, gzip.compress(b'{"data": []}')[:-9], {"Content-Encoding": "gzip"}),
        Answer(200, b'7\r\n{"data"\r\n', {"Transfer-Encoding": "chunked", "Content-Length": ""}, cut_after=99),
        Answer(200, ""),
        Answer(200, " \r\n"),
        Answer(206, '{"data": [{"id": 1}, {"id": 2}'),
        Answer(203, ""),
    ],
    ids=[
        "between records",
        "in a name",
        "closed",
        "announced whole",
        "packed",
        "chunks",
        "empty",
        "blank",
        "206",
        "203",
    ],
)
def test_half_of_an_answer_is_asked_for_again(
    loader: Loader, server: ApiServer, waits: list[float], broken: Answer
) -> None:
    server.fail(3, broken, offset=99)
    assert len(loader.read(server)) == 250
    assert server.count(offset=99) == 4
    assert waits == BACKOFF_SECONDS


def test_an_answer_that_is_always_half_is_a_broken_connection(
    loader: Loader, server: ApiServer, waits: list[float]
) -> None:
    server.fail(99, Answer(200, '{"data": [{"id": 1}, {"na'))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, requests.exceptions.ChunkedEncodingError)
    assert "half a body" in str(failure)
    assert server.count() == 4


def test_an_answer_that_is_always_empty_is_a_broken_connection(
    loader: Loader, server: ApiServer, waits: list[float]
) -> None:
    server.fail(99, Answer(200, ""))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, requests.ConnectionError)
    assert "empty body" in str(failure)
    assert server.count() == 4


# Statuses that somebody adds


def test_further_statuses_are_tried_again_and_transient(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.fail(3, Answer(423), Answer(520), Answer(408), offset=99)
    assert len(loader.read(server, retry_statuses=[408, 423, 520])) == 250
    assert waits == BACKOFF_SECONDS
    server.fail(99, Answer(423), offset=99)
    assert isinstance(failure_of(lambda: loader.read(server, retry_statuses=[423])), TransientError)


def test_further_statuses_may_stand_in_the_environment(
    loader: Loader, server: ApiServer, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__DATASETS__RETRY_STATUSES", "[408, 423]")
    server.fail(1, Answer(423), offset=99)
    assert len(loader.read(server)) == 250


def test_a_403_that_is_a_rate_limit_waits_outside_of_the_worker(
    loader: Loader, server: ApiServer, waits: list[float]
) -> None:
    server.fail(99, Answer(403, headers={"Retry-After": "30"}))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, TransientError)
    assert failure.retry_after_seconds == 30
    assert (server.count(), waits) == (1, [])


def test_an_epoch_in_retry_after_is_waited_for(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.script(
        lambda _: Answer(429, headers={"Retry-After": str(int(time.time()) + 30)}) if server.count() == 1 else None
    )
    loader.read(server)
    assert waits == [pytest.approx(29.5, abs=1.5)]


# Hooks


def hooked(
    session: requests.Session, url: str, hook: Callable[..., Any], offset: int = 0, read: ReadHook | None = None
) -> requests.Response:
    request = requests.Request("GET", url, params={"offset": offset}, hooks={"response": [hook]})
    if read:
        read.attach(request)
    return session.send(session.prepare_request(request))


def test_hooks_run_in_order_in_the_thread_that_asks_and_only_on_what_is_handed_over(
    dlt_home: Path, server: ApiServer
) -> None:
    server.key = None
    session, read = (
        open_session(4),
        ReadHook(position_param="offset", upcoming=lambda offset: range(offset + 100, 500, 100)),
    )
    heard: list[tuple[str, int]] = []

    def hook(response: requests.Response, **_: Any) -> None:
        heard.append((threading.current_thread().name, len(response.json()["data"])))

    for offset in (0, 100, 200):
        hooked(session, f"{server.url}/v1/datasets", hook, offset, read)
    # What was fetched ahead is under way in other threads.
    deadline = time.monotonic() + 10
    while not set(server.offsets) > {0, 100, 200} and time.monotonic() < deadline:
        time.sleep(0.01)
    session.end_read()
    assert heard == [(threading.current_thread().name, rows) for rows in (100, 100, 50)]
    assert set(server.offsets) > {0, 100, 200}


def test_a_failing_page_beyond_the_end_is_not_judged_before_it_is_asked_for(dlt_home: Path, server: ApiServer) -> None:
    server.key = None
    server.fail(99, Answer(404), offset=200)
    session, read = (
        open_session(4),
        ReadHook(position_param="offset", upcoming=lambda offset: range(offset + 100, 300, 100)),
    )
    for offset in (0, 100):
        assert hooked(session, f"{server.url}/v1/datasets", raise_failure, offset, read).ok
    with pytest.raises(requests.HTTPError):
        hooked(session, f"{server.url}/v1/datasets", raise_failure, 200, read)


def test_a_hook_may_give_another_response(dlt_home: Path, server: ApiServer) -> None:
    other = body(b"{}")
    session = open_session(1)
    assert hooked(session, f"{server.url}/v1/datasets", lambda response, **_: other) is other


def test_hooks_run_once_behind_redirects(dlt_home: Path, server: ApiServer) -> None:
    server.key = None
    server.fail(1, Answer(302, headers={"Location": "/v1/datasets?offset=99"}), offset=0)
    heard: list[int] = []
    hooked(open_session(1), f"{server.url}/v1/datasets", lambda response, **_: heard.append(response.status_code))
    assert heard == [200]


def test_nothing_is_replaced_on_the_session_and_it_is_shared_by_copies(dlt_home: Path) -> None:
    session = open_session(1)
    methods = {name for name in vars(session) if callable(getattr(type(session), name, None))}
    assert methods == set()
    assert copy.deepcopy({"session": session})["session"] is session


# Redirects

HTTP, HTTPS = "http://api.example.com:8080/v1", "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("here", "location", "there"),
    [
        (HTTP, "/v2?x=1", "http://api.example.com:8080/v2?x=1"),
        (HTTP, "https://api.example.com/v1", "https://api.example.com/v1"),
        (HTTP, "https://api.example.com:8080/v1", "https://api.example.com:8080/v1"),
        (HTTP, "https://api.example.com:8443/v1", None),
        (HTTP, "http://api.example.com/v1", None),
        (HTTP, "//api.example.com:8080/v2", "http://api.example.com:8080/v2"),
        (HTTP, "http://user:pass@api.example.com:8080/v2", "http://api.example.com:8080/v2"),
        (HTTP, "//evil@api.example.com:8080/v2", "http://api.example.com:8080/v2"),
        (HTTPS, "http://api.example.com/v1", None),
        (HTTPS, "https://api.example.com.evil.org/v1", None),
        (HTTPS, "https://api.example.com@evil.org/v1", None),
        (HTTPS, "ftp://api.example.com/v1", None),
        (HTTPS, "javascript:alert(1)", None),
    ],
)
def test_a_redirect_stays_on_the_host_and_leaves_logins_behind(here: str, location: str, there: str | None) -> None:
    request = requests.Request("GET", here).prepare()
    if there is not None:
        assert redirect_target(request, location) == there
        return
    with pytest.raises(ConfigurationError, match="redirected to another host"):
        redirect_target(request, location)


def test_a_login_goes_where_a_redirect_may_go(dlt_home: Path) -> None:
    session = open_session(1)
    response = requests.Response()
    response.status_code, response.headers["Location"] = 301, "https://api.example.com:8080/v1"
    response.request = requests.Request("GET", HTTP, headers={"Authorization": "Bearer key"}).prepare()
    hop = next(session.resolve_redirects(response, response.request, yield_requests=True))
    assert hop.url == "https://api.example.com:8080/v1"
    assert hop.headers["Authorization"] == "Bearer key"


@pytest.mark.parametrize("location", ["http://[::1", "http://host:port/", "//[", "http://host:99999999/"])
def test_a_location_that_cannot_be_read_is_a_sentence(
    loader: Loader, server: ApiServer, waits: list[float], location: str
) -> None:
    server.fail(99, Answer(302, headers={"Location": location}))
    failure = failure_of(lambda: loader.read(server))
    assert isinstance(failure, ConfigurationError)
    assert "cannot be read" in str(failure)
    assert server.count() == 1


# What may be said

# In two parts: a traceback shows the lines of this file.
COLOUR = "ultra" + "violet"


def test_what_the_api_says_about_a_refusal_is_in_the_error(loader: Loader, server: ApiServer) -> None:
    server.fail(99, Answer(422, {"errors": [{"message": f"limit\nis too large for {KEY}"}]}))
    failure = str(failure_of(lambda: loader.read(server)))
    assert "answered 422" in failure
    assert "limit\\nis too large for ***" in failure


@pytest.mark.parametrize(
    "trouble", [Answer(404), Answer(503), Answer(200, "<html>"), CLOSE, Answer(302, headers={"Location": "//x/"})]
)
def test_no_error_has_a_query_in_it(loader: Loader, server: ApiServer, waits: list[float], trouble: Any) -> None:
    server.fail(99, trouble)
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read(server, params={"colour": COLOUR})
    told = "".join(traceback.format_exception(caught.value)) + "".join(map(repr, causes(caught.value)))
    assert [word for word in (COLOUR, "limit=", "offset=", "api_key=") if word in told] == []


def test_the_login_of_a_proxy_is_a_secret(dlt_home: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with ApiServer() as proxy:
        monkeypatch.setenv("http_proxy", f"http://somebody:pa%2Fssword@127.0.0.1:{proxy.port}")
        session = open_session(1)
        session.merge_environment_settings("http://api.invalid/v1", {}, None, None, None)
    assert redact("somebody pa/ssword") == "*** ***"


def test_a_key_that_the_records_repeat_is_replaced_and_counted(dlt_home: Path, server: ApiServer) -> None:
    key = "s3cr3t/+key=%&-2026"
    server.key, server.records = None, [{"id": 1, "a": key, "b": f"/v1?k={key}"}, {"id": 2, "a": "b"}]
    session = open_session(1, api_key=key)
    answer = hooked(session, f"{server.url}/v1/datasets", lambda *_, **__: None)
    assert answer.json()["data"] == [{"id": 1, "a": "***", "b": "/v1?k=***"}, {"id": 2, "a": "b"}]
    assert answer.json() is answer.json()
    assert session.own_key.replaced_values == 2


def test_a_password_of_the_warehouse_is_left_in_records(loader: Loader, server: ApiServer) -> None:
    register("postgres-tuning-2026")
    server.records = [{"id": 1, "name": "postgres-tuning-2026", "postgres-tuning-2026": 1}]
    assert loader.read(server) == server.records


@pytest.mark.parametrize(("header", "pauses"), [("30", True), ("3600", False)])
def test_a_wait_that_is_too_long_for_a_worker_holds_up_no_other_page(
    dlt_home: Path, server: ApiServer, waits: list[float], header: str, pauses: bool
) -> None:
    server.fail(1, Answer(503, headers={"Retry-After": header}))
    session = open_session(1)
    session.get(f"{server.url}/v1/datasets")
    assert (session._reads._budget._not_before > time.monotonic()) == pauses
