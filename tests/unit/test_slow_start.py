"""How many requests at once: two at first, more while the API bears it, fewer when it complains or slows down."""

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from include.extract import session, slow_start
from include.extract.request_budget import RequestBudget
from include.extract.session import open_session
from include.extract.slow_start import Sent, SlowStart
from tests.support.api_server import HANG, Answer, ApiServer, Request, numbered
from tests.support.clock import VirtualClock
from tests.unit.conftest import Loader

SECONDS = 0.05


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


class Bearing:
    """An API that refuses what it does not bear at once, and whose answers take `seconds`, given how many are under way."""

    def __init__(self, bears: int = 99, seconds: Callable[[int], float] = lambda _: SECONDS) -> None:
        self.bears, self.seconds = bears, seconds
        # How long it takes to say no, and when the request may come again.
        self.refuses_after, self.asks_for_seconds = 0.001, 1.0
        self.sent = self.refused = 0
        # How many were under way with each request, in order.
        self.loads: list[int] = []

    def answers_in(self, load: int) -> tuple[float, bool]:
        """How long a request takes where so many are under way, and whether it is answered."""
        is_borne = load <= self.bears
        self.sent += 1
        self.refused += not is_borne
        self.loads.append(load)
        return (self.seconds(load) if is_borne else self.refuses_after), is_borne


def read(pages: int, api: Bearing, most: int = 16) -> tuple[SlowStart, float]:
    """Ask for all pages as soon as they may be asked for, as the budget does; how long it took, in seconds that nobody waits."""
    lanes, now, not_before, left = SlowStart(most), 0.0, 0.0, pages
    under_way: list[tuple[float, int, bool, float, Sent]] = []
    while left or under_way:
        if left and len(under_way) < lanes.lanes and now >= not_before:
            left -= 1
            sent = lanes.sent(len(under_way) + 1)
            took, is_borne = api.answers_in(len(under_way) + 1)
            heapq.heappush(under_way, (now + took, api.sent, is_borne, now, sent))
            continue
        if not under_way:
            now = not_before
            continue
        now, _, is_borne, sent_at, sent = heapq.heappop(under_way)
        if is_borne:
            if now >= not_before:
                lanes.regain()
            lanes.answered(sent, now - sent_at, now)
        else:
            left += 1
            lanes.complained(now < not_before or lanes.is_of_before(sent), now)
            if now >= not_before:
                lanes.pause()
            not_before = now + api.asks_for_seconds
        lanes.over(sent)
    return lanes, now


def answer(lanes: SlowStart, under_way: int, now: float) -> None:
    """One request and its answer."""
    sent = lanes.sent(under_way)
    lanes.answered(sent, SECONDS, now)
    lanes.over(sent)


# While nobody complains


def test_it_begins_with_two_and_doubles_within_a_few_answers() -> None:
    api = Bearing()
    lanes, seconds = read(1000, api)
    assert lanes.lanes == 16
    # Four rounds: 2, 4, 8, 12.
    assert api.loads[:2] == [1, 2]
    assert max(api.loads[:6]) <= 4
    assert api.loads.index(16) < 60
    # 16 at once from the first request on would take 3.2 s.
    assert seconds < 1000 / 16 * SECONDS + 5 * SECONDS


@pytest.mark.parametrize("most", [1, 2, 3, 5, 16, 40])
def test_never_more_than_allowed(most: int) -> None:
    api = Bearing()
    lanes, _ = read(400, api, most)
    assert max(api.loads) == lanes.lanes == most


def test_what_does_not_fill_the_lanes_says_nothing_of_more() -> None:
    clock = VirtualClock()
    budget = RequestBudget(16, clock=clock)
    for _ in range(100):
        with budget.slot():
            budget.answered()
    assert budget.at_once() == 2


# What an API bears


@pytest.mark.parametrize(
    "refuses_after", [0.001, SECONDS, 4 * SECONDS], ids=["at once", "as late as an answer", "late"]
)
@pytest.mark.parametrize("bears", [1, 2, 3, 5, 8, 9, 12, 15])
def test_fewer_than_two_in_a_hundred_are_refused(bears: int, refuses_after: float) -> None:
    api = Bearing(bears)
    api.refuses_after = refuses_after
    lanes, seconds = read(310, api)
    assert api.sent - api.refused == 310
    assert 0 < api.refused < 0.02 * api.sent
    assert bears / 2 < lanes.lanes <= bears
    # One second of pause, two of the refused page's own, and the rest at half of what it bears.
    assert seconds < 4 + 310 / max(1, bears / 2) * SECONDS


@pytest.mark.parametrize("bears", [2, 5])
def test_what_goes_on_for_long_finds_all_that_the_api_bears(bears: int) -> None:
    api = Bearing(bears, lambda _: 0.2)
    lanes, _ = read(1_000, api)
    assert api.refused < 0.01 * api.sent
    # The last try of more may just have been refused.
    assert lanes.lanes in (bears // 2, bears)


def test_after_a_complaint_there_is_one_more_in_thirty_seconds_at_the_most() -> None:
    budget = SlowStart(16)
    for _ in range(4):
        answer(budget, 2, 0)
    assert budget.lanes == 4
    budget.complained(False, 0)
    lanes = []
    for tenths in range(1, 1200):
        now = tenths / 10
        for _ in range(4):
            answer(budget, 16, now)
        lanes.append(budget.lanes)
    assert [lanes[seconds * 10 + 5] for seconds in (29, 30, 59, 60, 90, 118)] == [2, 3, 3, 4, 5, 5]


def test_a_limit_by_the_second_is_met_by_fewer_at_once() -> None:
    """200 a second, which 16 at 50 ms are above: what went well does not go well for ever."""
    limited = SlowStart(16)
    for _ in range(300):
        answer(limited, 16, 0)
    assert limited.lanes == 16
    together = [limited.sent(16) for _ in range(10)]
    for one in together:
        limited.complained(limited.is_of_before(one), 1)
    assert limited.lanes == 8
    for _ in range(300):
        answer(limited, 16, 2)
    assert limited.lanes == 8


def test_one_complaint_in_a_hundred_answers_is_chance() -> None:
    budget = SlowStart(16)
    for _ in range(300):
        answer(budget, 16, 0)
    budget.complained(False, 1)
    assert budget.lanes == 8
    for _ in range(60):
        answer(budget, 16, 2)
    assert budget.lanes == 16
    # The next one, after less than a hundred, is none.
    budget.complained(False, 3)
    for _ in range(60):
        answer(budget, 16, 4)
    assert budget.lanes == 8


def test_a_refused_request_of_fewer_lanes_is_a_complaint_of_its_own() -> None:
    budget = SlowStart(16)
    early = budget.sent(2)
    for _ in range(4):
        answer(budget, 2, 0)
    assert budget.lanes == 4
    budget.complained(budget.is_of_before(early), 0)
    assert budget.lanes == 2


# Latency


@pytest.mark.parametrize("knee", [1, 2, 4, 6])
def test_it_settles_where_more_at_once_are_only_slower(knee: int) -> None:
    api = Bearing(seconds=lambda load: 0.1 * max(1, load / knee))
    lanes, seconds = read(600, api)
    assert max(2, knee / 2) <= lanes.lanes <= max(3, 1.5 * knee)
    assert max(api.loads) < 16
    # And nothing is lost by it.
    assert seconds < 1.2 * 600 * 0.1 / knee


def test_it_does_not_climb_by_and_by() -> None:
    api = Bearing(seconds=lambda load: 0.4 * max(1, load / 4))
    lanes, seconds = read(3_000, api)
    assert seconds > 8 * slow_start.RAISE_SECONDS
    assert lanes.lanes <= 6


def test_pages_that_take_longer_than_others_are_no_load() -> None:
    turns = iter(range(10_000))
    api = Bearing(seconds=lambda _: (0.05, 0.05, 0.05, 0.4)[next(turns) % 4])
    assert read(600, api)[0].lanes == 16


def test_a_few_milliseconds_more_are_our_own() -> None:
    api = Bearing(seconds=lambda load: 0.0005 * load)
    assert read(600, api)[0].lanes == 16


# Over HTTP


def in_flight_limit(server: ApiServer, bears: int, refusal: Answer) -> list[int]:
    """Have the server refuse what it does not bear; the requests that it refused."""
    lock, under_way, refused = threading.Lock(), [0], list[int]()

    def bear(request: Request) -> Answer:
        with lock:
            under_way[0] += 1
            is_borne = under_way[0] <= bears
        time.sleep(0.01)
        answer = server.page(request) if is_borne else refusal
        with lock:
            under_way[0] -= 1
            refused.extend([] if is_borne else [request.offset or 0])
        return answer

    server.script(bear)
    return refused


def test_an_api_that_bears_two_refuses_hardly_any_by_default(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(310)
    refused = in_flight_limit(server, 2, Answer(429, headers={"Retry-After": "1"}))
    loader.read(server, page_size=1, max_parallel_requests=16)
    assert loader.progress.rows == 310
    assert 0 < len(refused) < 0.02 * server.count()


def test_all_resources_and_reads_of_a_session_have_one_budget(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(310)
    refused = in_flight_limit(server, 2, Answer(429, headers={"Retry-After": "1"}))
    source = loader.source(server, page_size=1, max_parallel_requests=16)
    assert len(list(source)) == 310
    first = len(refused)
    assert len(list(source)) == 310
    # What the first read has found out, the second knows.
    assert first > 0
    assert len(refused) <= first + 1


@pytest.mark.parametrize(
    ("answer", "halved"),
    [(Answer(503), True), (HANG, True), (Answer(500), False), (Answer(404), False)],
    ids=["503", "time-out", "500", "404"],
)
def test_which_answers_are_complaints(
    dlt_home: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch, answer: Answer, halved: bool
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    told: list[str] = []

    class Listening(RequestBudget):
        def complained(self) -> None:
            told.append("complained")
            super().complained()

    monkeypatch.setattr(session, "RequestBudget", Listening)
    asking = open_session(16)
    asking.timeout = (1, 1)
    server.script(lambda _: answer)
    try:
        asking.get(f"{server.url}/v1/datasets")
    except requests.Timeout:
        assert answer is HANG
    assert told == ["complained"] * halved
    assert asking._reads.at_once() == (1 if halved else 2)


def test_latency_is_from_the_request_to_the_first_byte(dlt_home: Path, server: ApiServer) -> None:
    heard: list[float] = []

    class Listening(RequestBudget):
        def answered(self, seconds: float | None = None) -> None:
            heard.append(-1 if seconds is None else seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "RequestBudget", Listening)
        asking = open_session(16)
    server.script(lambda _: time.sleep(0.2))
    asking.get(f"{server.url}/v1/datasets")
    assert 0.19 < heard[0] < 1


# Read ahead


def test_pages_wait_for_as_many_requests_as_there_are(loader: Loader, server: ApiServer) -> None:
    """A page that holds up the others: what is read ahead of it follows the requests at once."""
    server.records = numbered(310)
    in_flight_limit(server, 2, Answer(429, headers={"Retry-After": "1"}))
    late = [0]

    def hold(request: Request) -> None:
        if request.offset == 150:
            time.sleep(1)
            late[0] = max(offset or 0 for offset in server.offsets)

    server.script(hold)
    loader.read(server, page_size=1, overlap=False, max_parallel_requests=16)
    assert 150 < late[0] <= 150 + 4 * 2
