"""One budget for all threads: the ceiling, the pause, and how many at once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.extract import request_budget
from include.extract.request_budget import ReadStopped, RequestBudget
from include.extract.session import open_session
from tests.support.api_server import Answer, ApiServer, Request, numbered
from tests.unit.conftest import Loader


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


def times(server: ApiServer) -> list[float]:
    return sorted(request.at_seconds for request in server.requests)


def most_in_a_second(server: ApiServer) -> int:
    """The largest number of requests that arrived within any one second."""
    found = times(server)
    return max(sum(1 for other in found if start <= other < start + 1) for start in found)


# The ceiling


@pytest.mark.parametrize("per_second", [5, 20, 60, 250])
def test_requests_per_second_is_a_hard_ceiling_over_all_threads(
    loader: Loader, server: ApiServer, per_second: int
) -> None:
    pages = per_second * 2 if per_second < 100 else 300
    server.records = numbered(pages)
    loader.read(server, page_size=1, max_parallel_requests=8, requests_per_second=per_second)
    seconds = times(server)[-1] - times(server)[0]
    assert len(server.requests) - 1 <= per_second * seconds
    # A request that a busy machine held up may arrive with the next ones, but there are never many of them.
    assert most_in_a_second(server) <= 1.2 * per_second + 1
    # And it is used: waiting threads cost a machine that is busy with other things a part of it.
    assert seconds < 4 * len(server.requests) / per_second


def test_retries_count_under_the_ceiling(loader: Loader, server: ApiServer, waits: list[float]) -> None:
    server.records = numbered(10)
    server.fail(2, Answer(503))
    loader.read(server, page_size=1, max_parallel_requests=8, requests_per_second=20)
    assert len(server.requests) == 3 * 11
    assert len(server.requests) - 1 <= 20 * (times(server)[-1] - times(server)[0])


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


class Limited:
    """An API that allows so many requests in each second of the clock, and says so with 429."""

    def __init__(self, server: ApiServer, per_second: int) -> None:
        self._per_second = per_second
        self._lock = threading.Lock()
        self._second, self._count = 0, 0
        self.rejected = 0
        server.script(self._limit)

    def _limit(self, _: Request) -> Answer | None:
        with self._lock:
            now = int(time.monotonic())
            if now != self._second:
                self._second, self._count = now, 0
            self._count += 1
            if self._count <= self._per_second:
                return None
            self.rejected += 1
            return Answer(429, headers={"Retry-After": "1"})


def test_a_limit_of_the_api_is_met_with_few_rejections(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(100)
    limited = Limited(server, 20)
    loader.read(server, page_size=1, max_parallel_requests=16)
    assert loader.progress.rows == 100
    # Threads that know nothing of each other drew 64.
    assert limited.rejected < 25


@pytest.mark.parametrize("per_second", [1, 2])
def test_a_low_limit_of_the_api_starves_no_page(loader: Loader, server: ApiServer, per_second: int) -> None:
    server.records = numbered(12)
    Limited(server, per_second)
    loader.read(server, page_size=1, max_parallel_requests=8)
    assert loader.progress.rows == 12


def test_who_was_told_to_wait_most_often_goes_first() -> None:
    budget = RequestBudget(1)
    order: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        with budget.turn():
            inside.set()
            go.wait(5)

    def send(name: str, told: int) -> None:
        for _ in range(told):
            budget.slow_down(0)
        with budget.turn():
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


def test_who_was_told_less_often_does_not_pass_one_on_its_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(request_budget.time, "monotonic", lambda: clock[0])
    budget = RequestBudget(1)
    me = threading.get_ident()
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            pool.submit(budget.slow_down, 1).result()
    budget.slow_down(1)
    # The other one still waits in its own retry.
    budget._waiting[me] = None
    clock[0] += 1.01
    assert budget._seconds_until_ready(me) > 0
    clock[0] += request_budget.HEAD_START_SECONDS
    assert budget._seconds_until_ready(me) == 0


def test_nobody_is_sent_between_a_complaint_and_its_pause(
    dlt_home: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail(1, Answer(429, headers={"Retry-After": "1"}))
    budget = RequestBudget(1)
    slow_down = budget.slow_down

    def late(seconds: float) -> None:
        time.sleep(0.1)
        slow_down(seconds)

    monkeypatch.setattr(budget, "slow_down", late)
    session = open_session(2, budget)
    with ThreadPoolExecutor(2) as pool:
        for sent in [pool.submit(session.get, f"{server.url}/v1/datasets") for _ in range(2)]:
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


def test_lanes_halve_at_a_complaint_and_come_back_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(request_budget.time, "monotonic", lambda: clock[0])
    budget = RequestBudget(8)

    def lanes_after_answers(answers: int) -> int:
        for _ in range(answers):
            budget.answered()
        return budget._lanes()

    assert budget._lanes() == 8
    budget.slow_down(2)
    budget.slow_down(2)
    # Answers of before the pause do not count.
    assert lanes_after_answers(9) == 1
    clock[0] += 3
    assert [lanes_after_answers(1) for _ in range(5)] == [2, 3, 4, 4, 4]
    budget.slow_down(2)
    clock[0] += 2
    assert budget._lanes() == 1
    assert lanes_after_answers(9) == 2
    clock[0] += 2 * request_budget.RECOVERY_SECONDS
    assert budget._lanes() == 4
    clock[0] += 100 * request_budget.RECOVERY_SECONDS
    assert budget._lanes() == 8


# The end


def test_after_stop_nobody_gets_a_turn_until_start() -> None:
    budget = RequestBudget(1)
    entered = threading.Event()

    def second() -> None:
        with budget.turn():
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with budget.turn():
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
        waiting = pool.submit(lambda: budget.turn().__enter__())
        started = time.monotonic()
        budget.stop()
        with pytest.raises(ReadStopped):
            waiting.result(timeout=5)
    assert time.monotonic() - started < 2
