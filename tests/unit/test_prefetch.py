"""Pages in parallel: they overlap, keep their order, and nothing is asked for that is not needed."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from dlt.extract.exceptions import ResourceExtractionError

from include.errors import ResponseShapeError, TransientError
from include.extract.paginators.offset import PAGES_IN_MEMORY
from include.extract.position import Position
from include.extract.prefetch import Prefetch
from include.extract.request_budget import RequestBudget
from include.redaction import forms_of
from tests.support.api_server import CLOSE, Answer, ApiServer, Request, numbered
from tests.unit.conftest import Loader, causes, innermost, records_of

PARALLEL = 4
LATENCY_SECONDS = 0.02
# Pages of ten records, each of which begins with the one that ended the page before.
STEP = 9


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


class InFlight:
    """Holds each request for a while and counts how many are held at once."""

    def __init__(self, server: ApiServer, seconds: Callable[[int], float] = lambda _: LATENCY_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self.now = self.most = 0
        server.script(self._hold)

    def _hold(self, request: Request) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self._seconds(request.offset or 0))
        with self._lock:
            self.now -= 1


def ids(records: list[dict[str, Any]]) -> list[Any]:
    return [record["id"] for record in records]


def settled(server: ApiServer) -> int:
    """The number of requests, when no more come."""
    count = -1
    while count != (count := server.count()):
        time.sleep(0.15)
    return count


@pytest.mark.parametrize("parallel", [1, 2, PARALLEL, 8])
@pytest.mark.parametrize("total_at", ["total", None])
def test_as_many_pages_as_allowed_are_under_way_and_never_more(
    loader: Loader, server: ApiServer, parallel: int, total_at: str | None
) -> None:
    server.records, server.total_at = numbered(300), total_at
    in_flight = InFlight(server)
    assert ids(loader.read(server, page_size=10, max_parallel_requests=parallel)) == list(range(300))
    assert in_flight.most == parallel


def test_pages_come_in_order_though_answers_do_not(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(200)
    # Earlier pages take longer than later ones.
    InFlight(server, lambda offset: 0.03 if offset % 40 == 0 else 0)
    assert ids(loader.read(server, page_size=10, max_parallel_requests=PARALLEL)) == list(range(200))
    assert server.offsets[0] == 0


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 95, 100])
@pytest.mark.parametrize("parallel", [1, 2, PARALLEL, 8])
def test_with_a_total_two_requests_more_than_pages_are_the_most(
    loader: Loader, server: ApiServer, count: int, parallel: int
) -> None:
    server.records = numbered(count)
    assert len(loader.read(server, page_size=10, max_parallel_requests=parallel)) == count
    pages = max(1, -(-(count - 1) // STEP))
    assert settled(server) <= pages + 2
    assert set(range(0, count - 1, STEP)) <= set(server.offsets)
    assert loader.progress.pages == pages


@pytest.mark.parametrize("count", [1, 10, 11, 20, 95, 100])
@pytest.mark.parametrize("parallel", [1, 2, PARALLEL, 8])
def test_without_a_total_no_more_pages_beyond_the_end_than_parallel_ones(
    loader: Loader, server: ApiServer, count: int, parallel: int
) -> None:
    server.records, server.total_at = numbered(count), None
    assert len(loader.read(server, page_size=10, max_parallel_requests=parallel)) == count
    settled(server)
    beyond = [offset for offset in server.offsets if offset is not None and offset >= count]
    assert len(beyond) <= parallel
    assert len(server.offsets) == len(set(server.offsets))


@pytest.mark.parametrize(
    "failure", [Answer(401), Answer(404), Answer(200, "<html>"), Answer(200, {"data": [{"no": "id"}], "total": 900})]
)
def test_a_failing_page_ends_the_read_and_no_more_requests_come(
    loader: Loader, server: ApiServer, failure: Answer
) -> None:
    server.records = numbered(900)
    server.fail(99, failure, offset=6 * STEP)
    with pytest.raises(ResourceExtractionError):
        loader.read(server, page_size=10, max_parallel_requests=PARALLEL)
    # Those that were under way beside it or had been read, and none after them.
    assert max(offset or 0 for offset in server.offsets) <= STEP * (6 + PAGES_IN_MEMORY * PARALLEL - 1)
    count = server.count()
    assert settled(server) <= count + PARALLEL
    assert server.count(offset=6 * STEP) == 1


def test_what_waits_for_its_turn_is_not_sent_when_the_read_has_failed(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(900)
    server.fail(99, Answer(401), offset=2 * STEP)
    with pytest.raises(ResourceExtractionError):
        loader.read(server, page_size=10, max_parallel_requests=8, requests_per_second=2)
    # The next would have come half a second later.
    time.sleep(0.8)
    assert server.offsets == [0, STEP, 2 * STEP]


def test_what_waits_for_its_turn_is_not_sent_when_the_read_is_complete(loader: Loader, server: ApiServer) -> None:
    server.records, server.total_at = numbered(2 * STEP + 1), None
    assert len(loader.read(server, page_size=10, max_parallel_requests=8, requests_per_second=2)) == 2 * STEP + 1
    time.sleep(0.8)
    assert server.offsets == [0, STEP, 2 * STEP]


def test_after_a_failure_the_same_source_can_be_read_again(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(100)
    server.fail(1, Answer(404), offset=6 * STEP)
    source = loader.source(server, page_size=10, max_parallel_requests=PARALLEL)
    with pytest.raises(ResourceExtractionError):
        records_of(source)
    again = loader.source(server, page_size=10, max_parallel_requests=PARALLEL)
    assert ids(records_of(again)) == ids(records_of(again)) == list(range(100))


def test_each_page_has_its_own_retries(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.records = numbered(80)
    # Three times each page but the first: all retries that a page has.
    server.fail(3, Answer(503), Answer(500), CLOSE)
    assert ids(loader.read(server, page_size=10, max_parallel_requests=PARALLEL)) == list(range(80))
    asked = [*range(0, 79, STEP), 79]
    assert {offset: server.count(offset) for offset in asked} == dict.fromkeys(asked, 4)
    assert len(waits) == 3 * (9 + 1)


def test_a_page_that_fails_four_times_ends_the_read(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.records = numbered(900)
    server.fail(99, Answer(503), offset=6 * STEP)
    with pytest.raises(ResourceExtractionError):
        loader.read(server, page_size=10, max_parallel_requests=PARALLEL)
    assert server.count(offset=6 * STEP) == 4
    assert max(offset or 0 for offset in server.offsets) <= STEP * (6 + PAGES_IN_MEMORY * PARALLEL - 1)


def test_pages_under_way_and_waiting_are_no_more_than_four_times_the_parallel_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting: list[int] = []

    class Watched(Prefetch):
        def _start(self, *given: Any) -> Any:
            started = super()._start(*given)
            waiting.append(len(self._ahead) + 1)
            return started

    monkeypatch.setattr("include.extract.prefetch.Prefetch", Watched)
    with ApiServer(records=numbered(500)) as server:
        from include.apis.datasets import DATASETS
        from include.configure.options import SourceOptions
        from include.extract.read import ResourceRead
        from include.extract.source import source_of

        options = SourceOptions(
            base_url=server.url, api_key="k", path=server.path, page_size=10, max_parallel_requests=5
        )
        assert len(records_of(source_of(DATASETS, ResourceRead(options)))) == 500
    assert max(waiting) == 20


def test_what_the_plan_no_longer_asks_for_is_fetched_anew() -> None:
    """A later pass may not be answered with a page of an earlier one."""
    version = ["old"]

    def fetch(request: requests.PreparedRequest) -> requests.Response:
        response = requests.Response()
        response.reason = version[0]
        return response

    plan: dict[int, list[int]] = {0: [100, 200]}
    prefetch = Prefetch(Position("offset"), lambda position: plan.get(position, ()), 1, RequestBudget(1))
    first, second, other = (
        requests.Request("GET", f"http://api/v1{query}").prepare() for query in ("?offset=0", "?offset=100", "")
    )
    prefetch.take(first, fetch)
    # One thread: what was planned has come when this has.
    prefetch.take(other, fetch)
    version[0] = "new"
    plan.clear()
    assert prefetch.take(first, fetch).reason == prefetch.take(second, fetch).reason == "new"
    prefetch.end()


def test_a_position_is_found_under_any_name_and_changed_alone() -> None:
    position = Position("page[number]")
    request = requests.Request("GET", "http://api/v1?page=1&x=2", params={"page[number]": 7, "y": 8}).prepare()
    assert position.of(request) == 7
    assert position.move(request, 8).url == (request.url or "").replace("=7", "=8")
    assert position.of(request) == 7
    assert position.of(requests.Request("GET", "http://api/v1?page=7").prepare()) is None
    assert Position(None).of(request) is None
    assert Position("cursor").of(requests.Request("GET", "http://api/v1?cursor=12ab").prepare()) is None


# Collections that move while they are read


def at_page(server: ApiServer, offset: int, change: Callable[[], Any], times: int) -> None:
    """Have `change` happen when the page is asked for, in the first `times` passes."""
    turns = itertools.count()

    def script(request: Request) -> None:
        if request.offset == offset and next(turns) < times:
            change()

    server.script(script)


@pytest.mark.parametrize("change", ["insert", "delete", "both"])
def test_a_collection_that_moves_is_read_again(loader: Loader, server: ApiServer, change: str) -> None:
    server.records = numbered(200)
    InFlight(server)
    stable = set(range(1, 200))

    def move() -> None:
        if change != "delete":
            server.records.insert(0, {"id": 1000})
        if change != "insert":
            server.records.remove({"id": 0, "name": "dataset 0"})

    at_page(server, 14 * STEP, move, times=1)
    records = loader.read(server, page_size=10, max_parallel_requests=PARALLEL)
    assert stable <= set(ids(records))
    assert len(records) == len(set(ids(records)))
    if change != "both":
        # An insertion that a deletion makes up for leaves total and offsets as they are.
        assert loader.progress.passes == 2


@pytest.mark.parametrize("direction", ["grows", "shrinks"])
def test_a_collection_that_never_holds_still_fails_for_another_try(
    loader: Loader, server: ApiServer, direction: str
) -> None:
    server.records = numbered(400)
    fresh = itertools.count(1000)
    if direction == "grows":
        at_page(server, 14 * STEP, lambda: server.records.insert(0, {"id": next(fresh)}), times=99)
    else:
        at_page(server, 14 * STEP, lambda: server.records.pop(0), times=99)
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read(server, page_size=10, max_parallel_requests=PARALLEL)
    assert isinstance(innermost(caught.value), TransientError)
    assert server.count(offset=0) == 3


def test_records_that_come_at_the_end_are_read_too(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(200)
    at_page(server, 22 * STEP, lambda: server.records.extend(numbered(25, 200)), times=1)
    assert ids(loader.read(server, page_size=10, max_parallel_requests=PARALLEL)) == list(range(225))


def test_the_total_is_asked_for_again_at_the_end(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(200)
    # When all pages have been answered, but for the one that finds the end.
    at_page(server, 199, lambda: server.records.insert(0, {"id": 1000}), times=1)
    assert len(loader.read(server, page_size=10, max_parallel_requests=PARALLEL)) == 201
    assert loader.progress.passes == 2


# Errors


@pytest.mark.parametrize("key", ["s3cr3t/+key=%&", "pässwörd\"'"])
def test_the_key_is_in_no_error_of_a_thread(loader: Loader, server: ApiServer, waits: list[float], key: str) -> None:
    import traceback

    server.records, server.key = numbered(900), key
    for failure in (CLOSE, Answer(200, "<html>" + key), Answer(429, headers={"Retry-After": "9999"}), Answer(401, key)):
        server.fail(99, failure, offset=6 * STEP)
        with pytest.raises(ResourceExtractionError) as caught:
            loader.read(server, page_size=10, max_parallel_requests=PARALLEL)
        told = "".join(traceback.format_exception(caught.value))
        told += "".join(f"{error} {error!r} {getattr(error, '__notes__', '')}" for error in causes(caught.value))
        assert [form for form in forms_of(key) if form in told] == []


def test_an_error_of_a_thread_is_that_of_the_page(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(900)
    server.fail(99, Answer(200, "<html>"), offset=6 * STEP)
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read(server, page_size=10, max_parallel_requests=PARALLEL)
    assert isinstance(innermost(caught.value), ResponseShapeError)
