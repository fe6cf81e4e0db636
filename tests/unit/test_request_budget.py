"""One budget for all threads: the ceiling, the pause, and how many at once."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests

from include.extract import request_budget, session
from include.extract.read_hook import ReadHook
from include.extract.request_budget import ReadStopped, RequestBudget
from include.extract.session import open_session
from tests.support.api_server import Answer, ApiServer, Request, numbered
from tests.support.clock import VirtualClock
from tests.unit.conftest import Loader


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


def times(server: ApiServer) -> list[float]:
    return sorted(request.at_seconds for request in server.requests)


def most_in_a_second(found: list[float]) -> int:
    """The largest number of requests that were sent within any one second."""
    return max(sum(1 for other in found if start <= other < start + 1) for start in found)


# The ceiling


@pytest.mark.parametrize("per_second", [5, 20, 60, 250])
def test_requests_per_second_is_a_hard_ceiling_over_all_threads(per_second: int) -> None:
    pages = per_second * 2 if per_second < 100 else 300
    clock = VirtualClock(step_seconds=0.1 / per_second)
    budget = RequestBudget(8, per_second, clock)
    sent = api(pages, budget, clock, threads=8)
    seconds = sent[-1] - sent[0]
    assert len(sent) - 1 <= per_second * seconds
    assert most_in_a_second(sent) <= per_second + 1
    # And it is used.
    assert seconds < 1.3 * len(sent) / per_second


def test_the_ceiling_holds_at_the_server_too(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(60)
    loader.read(server, page_size=1, max_parallel_requests=8, requests_per_second=100)
    seconds = times(server)[-1] - times(server)[0]
    assert len(server.requests) - 1 <= 100 * seconds
    # A request that a busy machine held up may arrive with the next ones, but there are never many of them.
    assert most_in_a_second(times(server)) <= 1.2 * 100 + 1
    # And it is used: waiting threads cost a machine that is busy with other things a part of it.
    assert seconds < 4 * len(server.requests) / 100


def test_retries_count_under_the_ceiling(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.records = numbered(10)
    server.fail(2, Answer(503))
    loader.read(server, page_size=1, max_parallel_requests=8, requests_per_second=80)
    assert len(server.requests) == 3 * 11
    assert len(server.requests) - 1 <= 80 * (times(server)[-1] - times(server)[0])


@pytest.mark.parametrize("per_second", [0.5, 1, 7, 49, 50, 51, 99, 333, 1000, 3000])
def test_no_rounding_lifts_the_ceiling(per_second: float) -> None:
    rate = request_budget._rate(per_second)
    assert rate.limit * 1000 / rate.interval <= per_second
    assert rate.limit * 1000 / rate.interval > 0.85 * per_second
    # Evenly: a quarter of a second's worth at once would be a burst.
    assert rate.limit == 1 or rate.limit <= per_second / 4


# The pause


def test_when_one_is_told_to_wait_all_wait(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(60)
    server.fail(1, Answer(429, headers={"Retry-After": "1"}), offset=20)
    server.script(lambda _: time.sleep(0.01))
    loader.read(server, page_size=1, max_parallel_requests=4)
    told = next(request.at_seconds for request in server.requests if request.offset == 20)
    # Those that were under way beside it had been sent already.
    during = [request for request in server.requests if told + 0.1 < request.at_seconds < told + 0.95]
    assert during == []
    assert server.count(offset=20) == 2
    assert len(server.requests) == 60 + 1 + 1


Limit = Callable[[float], bool]


def api(
    pages: int, budget: RequestBudget, clock: VirtualClock, threads: int, refuses: Limit = lambda _: False
) -> list[float]:
    """When each request was sent, until all pages came. A page that is refused waits for a second, as `session` does.

    Fails where a page needs more than the four attempts that it has.
    """
    sent: list[float] = []
    waiting = iter(range(pages))
    lock = threading.Lock()

    def read_one() -> None:
        for _ in range(4):
            with budget.slot():
                with lock:
                    now = clock.monotonic()
                    sent.append(now)
                    refused = refuses(now)
                clock.sleep(0.001)
                if not refused:
                    budget.answered()
                    return
                budget.slow_down(1)
            clock.sleep(1)
        raise AssertionError("a page was refused four times")

    def read() -> None:
        while True:
            with lock:
                if next(waiting, None) is None:
                    return
            read_one()

    clock.run(*[read] * threads)
    return sent


class Limited:
    """An API that allows so many requests in each second of the clock, and says so with 429."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second, self._count = 0, 0
        self.rejected = 0

    def __call__(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        self.rejected += self._count > self._per_second
        return self._count > self._per_second


def test_a_limit_of_the_api_is_met_with_few_rejections() -> None:
    clock, limited = VirtualClock(), Limited(20)
    sent = api(100, RequestBudget(16, clock=clock), clock, threads=16, refuses=limited)
    assert len(sent) - limited.rejected == 100
    # Blind threads drew 64.
    assert limited.rejected < 25


def test_a_limit_is_met_over_http(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(30)
    limited = Limited(20)
    lock = threading.Lock()

    def limit(_: Request) -> Answer | None:
        with lock:
            return Answer(429, headers={"Retry-After": "1"}) if limited(time.monotonic()) else None

    server.script(limit)
    loader.read(server, page_size=1, max_parallel_requests=16)
    assert loader.progress.rows == 30
    assert limited.rejected < 25


@pytest.mark.parametrize("per_second", [1, 2])
def test_a_low_limit_of_the_api_starves_no_page(per_second: int) -> None:
    clock, limited = VirtualClock(), Limited(per_second)
    sent = api(12, RequestBudget(8, clock=clock), clock, threads=8, refuses=limited)
    assert len(sent) - limited.rejected == 12


def test_half_of_all_requests_refused_ends_all_the_same(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.records = numbered(40)
    server.script(lambda _: Answer(429) if server.count() % 2 else None)
    loader.read(server, page_size=1, max_parallel_requests=1)
    assert loader.progress.rows == 40


def test_half_of_all_requests_refused_starves_no_page() -> None:
    clock = VirtualClock()
    turns = itertools.count()
    sent = api(30, RequestBudget(8, clock=clock), clock, threads=8, refuses=lambda _: next(turns) % 2 == 0)
    assert len(sent) == 60


def test_who_was_told_to_wait_most_often_goes_first() -> None:
    budget = RequestBudget(1)
    order: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        with budget.slot():
            inside.set()
            go.wait(5)

    def send(name: str, told: int) -> None:
        for _ in range(told):
            budget.slow_down(0)
        with budget.slot():
            order.append(name)

    with ThreadPoolExecutor(4) as pool:
        pool.submit(hold)
        inside.wait(5)
        for name, told in (("never", 0), ("once", 1), ("twice", 2)):
            pool.submit(send, name, told)
            # In this order they come.
            deadline = time.monotonic() + 5
            while len(budget._waiting) < ["never", "once", "twice"].index(name) + 1 and time.monotonic() < deadline:
                time.sleep(0.01)
        go.set()
    assert order == ["twice", "once", "never"]


def test_who_was_told_less_often_does_not_pass_one_on_its_way_back() -> None:
    clock = VirtualClock()
    budget = RequestBudget(1, clock=clock)
    me = threading.get_ident()
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            pool.submit(budget.slow_down, 1).result()
    budget.slow_down(1)
    # The other one still waits in its own retry.
    budget._waiting[me] = None
    clock.now += 1.01
    assert budget._seconds_until_ready(me) > 0
    clock.now += request_budget.HEAD_START_SECONDS
    assert budget._seconds_until_ready(me) == 0


def test_nobody_is_sent_between_a_complaint_and_its_pause(
    dlt_home: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail(1, Answer(429, headers={"Retry-After": "1"}))

    class Late(RequestBudget):
        def slow_down(self, seconds: float) -> None:
            time.sleep(0.1)
            super().slow_down(seconds)

    monkeypatch.setattr(session, "RequestBudget", Late)
    budget_of_one = open_session(1)
    # More threads than the budget has slots.
    budget_of_one._reads._parallel = 2
    fetch = partial(budget_of_one._retrying, budget_of_one._send_once)
    request = budget_of_one.prepare_request(requests.Request("GET", f"{server.url}/v1/datasets"))
    prefetch = budget_of_one._reads.prefetch_of(ReadHook())
    started = [prefetch._start(request, fetch) for _ in range(2)]
    for sent in started:
        assert sent.result().status_code == 200
    told, following, _ = times(server)
    assert following - told > 1


def test_an_answer_ends_what_a_request_was_told() -> None:
    budget = RequestBudget(1)
    budget.slow_down(0)
    assert budget._told
    budget.answered()
    assert not budget._told


def test_a_new_read_knows_nothing_of_what_the_last_one_was_told() -> None:
    budget = RequestBudget(1)
    budget.slow_down(0)
    budget.stop()
    budget.start()
    assert not budget._told


def test_lanes_halve_at_a_complaint_and_come_back_one_by_one() -> None:
    clock = VirtualClock()
    budget = RequestBudget(8, clock=clock)

    def lanes_after_answers(answers: int) -> int:
        for _ in range(answers):
            budget.answered()
        return budget._lanes()

    assert budget._lanes() == 8
    budget.slow_down(2)
    budget.slow_down(2)
    # Answers of before the pause do not count.
    assert lanes_after_answers(9) == 1
    clock.now += 3
    assert [lanes_after_answers(1) for _ in range(5)] == [2, 3, 4, 4, 4]
    budget.slow_down(2)
    clock.now += 2
    assert budget._lanes() == 1
    assert lanes_after_answers(9) == 2
    clock.now += 2 * request_budget.RECOVERY_SECONDS
    assert budget._lanes() == 4
    clock.now += 100 * request_budget.RECOVERY_SECONDS
    assert budget._lanes() == 8


# The end


def test_after_stop_nobody_gets_a_turn_until_start() -> None:
    budget = RequestBudget(1)
    entered = threading.Event()

    def second() -> None:
        with budget.slot():
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with budget.slot():
            waiting = pool.submit(second)
            budget.stop()
        with pytest.raises(ReadStopped):
            waiting.result(timeout=5)
    assert not entered.is_set()
    budget.start()
    second()
    assert entered.is_set()


def test_a_pause_ends_at_once_when_the_read_does() -> None:
    budget = RequestBudget(2)
    with ThreadPoolExecutor(1) as pool:
        budget.slow_down(60)
        # Another thread than the one that was told.
        waiting = pool.submit(lambda: budget.slot().__enter__())
        started = time.monotonic()
        budget.stop()
        with pytest.raises(ReadStopped):
            waiting.result(timeout=5)
    assert time.monotonic() - started < 2
