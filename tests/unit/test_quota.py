"""What answers say of quotas is read in each spelling, and requests are spread so that none is refused."""

import threading
from collections.abc import Callable
from email.utils import formatdate

import pytest
from requests.structures import CaseInsensitiveDict

from include.extract.quota import Quota, quotas_of
from include.extract.quota_pace import QuotaPace
from include.extract.request_budget import RequestBudget
from tests.apis.quota import Allowance
from tests.apis.quota import Quota as ApiQuota
from tests.support.clock import VirtualClock

NOW = 1_790_000_000.25
Headers = dict[str, str]
Says = Callable[[VirtualClock, Allowance], Headers]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"RateLimit": '"api";r=499;t=300'}, [Quota("api", 499, 300)]),
        (
            {"RateLimit": '"api";r=9;t=5', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'},
            [Quota("api", 9, 5, 500)],
        ),
        ({"RateLimit": '"api";r=9', "RateLimit-Policy": '"api";q=500;w=300'}, [Quota("api", 9, 300, 500)]),
        (
            {"RateLimit": '"burst, short";r=3;t=1, "day";r=90;t=4000'},
            [Quota("burst, short", 3, 1), Quota("day", 90, 4000)],
        ),
        ({"RateLimit": "limit=10, remaining=9, reset=5"}, [Quota("", 9, 5, 10)]),
        ({"RateLimit-Limit": "10", "RateLimit-Remaining": "9", "RateLimit-Reset": "5"}, [Quota("0", 9, 5, 10)]),
        ({"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "5"}, [Quota("0", 9, 5, 10)]),
        ({"x-ratelimit-remaining": "9", "x-ratelimit-reset-after": "4.5"}, [Quota("0", 9, 4.5)]),
        ({"X-RateLimit-Remaining": "9", "X-RateLimit-Reset": f"{NOW + 5}"}, [Quota("0", 9, 5)]),
        ({"X-Rate-Limit-Remaining": "9", "X-Rate-Limit-Reset": f"{round(1000 * NOW) + 5000}"}, [Quota("0", 9, 5)]),
        ({"X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "2026-09-21T14:13:25.25Z"}, [Quota("0", 9, 5)]),
        ({"X-RateLimit-Remaining": "9", "X-RateLimit-Reset": formatdate(NOW + 4.75)}, [Quota("0", 9, 4.75)]),
        # By the clock of the server.
        (
            {"X-RateLimit-Remaining": "9", "X-RateLimit-Reset": f"{NOW + 65:.0f}", "Date": formatdate(NOW + 60)},
            [Quota("0", 9, 5)],
        ),
        (
            {"X-RateLimit-Limit": "1, 15000", "X-RateLimit-Remaining": "0, 14832", "X-RateLimit-Reset": "1, 1419704"},
            [Quota("0", 0, 1, 1), Quota("1", 14832, 7 * 24 * 3600, 15000)],
        ),
        (
            {"X-RateLimit-Limit": "10;w=60", "X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "5"},
            [Quota("0", 9, 5, 10)],
        ),
        ({"X-RateLimit-Remaining": "9"}, []),
        ({"X-RateLimit-Reset": "9"}, []),
        ({"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "5"}, []),
        ({"X-RateLimit-Remaining": "many", "X-RateLimit-Reset": "soon"}, []),
        ({"X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "nan"}, []),
        ({"RateLimit": ""}, []),
        ({}, []),
    ],
    ids=str,
)
def test_each_spelling_is_read(headers: Headers, found: list[Quota]) -> None:
    read = quotas_of(CaseInsensitiveDict(headers), NOW)
    assert [(one.name, one.remaining, one.limit) for one in read] == [
        (one.name, one.remaining, one.limit) for one in found
    ]
    assert [one.reset_seconds for one in read] == pytest.approx([one.reset_seconds for one in found], abs=0.001)


def epoch_seconds(clock: VirtualClock, said: Allowance) -> Headers:
    reset = round(clock.time() + said.reset_seconds)
    return _three(said, str(reset))


def epoch_milliseconds(clock: VirtualClock, said: Allowance) -> Headers:
    return _three(said, str(int(1000 * (clock.time() + said.reset_seconds))))


def seconds(_: VirtualClock, said: Allowance) -> Headers:
    return _three(said, str(int(said.reset_seconds)))


def one_header(_: VirtualClock, said: Allowance) -> Headers:
    return {"RateLimit": f'"api";r={said.remaining};t={int(said.reset_seconds) + 1}'}


def _three(said: Allowance, reset: str) -> Headers:
    return {
        "X-RateLimit-Limit": str(said.requests),
        "X-RateLimit-Remaining": str(said.remaining),
        "X-RateLimit-Reset": reset,
    }


def read(pages: int, quota: ApiQuota | None, says: Says, threads: int) -> tuple[float, int]:
    """How long it takes to ask for all pages, as `session` does, and how many are refused."""
    clock = VirtualClock(step_seconds=0.1)
    clock.now = NOW
    budget = RequestBudget(threads, clock=clock)
    waiting, lock = iter(range(pages)), threading.Lock()
    refused = []

    def ask() -> None:
        with budget.slot():
            clock.sleep(0.02)
            with lock:
                said = quota.take(clock.time()) if quota else None
            # Answers overtake each other.
            clock.sleep(0.01 * (threading.get_ident() % 7))
            if said is not None:
                budget.heed(quotas_of(CaseInsensitiveDict(says(clock, said)), clock.time()))
                refused.extend([1] * said.exceeded)
            budget.answered()

    def thread() -> None:
        while True:
            with lock:
                if next(waiting, None) is None:
                    return
            ask()

    ask()
    clock.run(*[thread] * threads)
    return clock.now - NOW, len(refused)


@pytest.mark.parametrize("says", [epoch_seconds, epoch_milliseconds, seconds, one_header])
def test_no_request_is_refused_and_little_time_is_lost(says: Says) -> None:
    took, refused = read(75, ApiQuota(30, 60), says, threads=3)
    assert refused == 0
    # The first two windows have 60 requests, the third has the others at once.
    assert 120 <= took < 130


def test_threads_that_are_more_than_the_quota_are_not_refused_either() -> None:
    took, refused = read(25, ApiQuota(10, 5), seconds, threads=16)
    assert refused == 0
    assert 10 <= took < 20


def test_hugging_face_refuses_none() -> None:
    took, refused = read(620, ApiQuota(500, 300), one_header, threads=2)
    assert refused == 0
    assert 300 <= took < 320


def test_a_large_quota_holds_nobody_up() -> None:
    unlimited, _ = read(200, None, seconds, 4)
    took, refused = read(200, ApiQuota(5000, 300), seconds, 4)
    assert refused == 0
    assert took < 1.1 * unlimited + 1


def test_a_quota_of_a_day_is_not_waited_for_by_a_task() -> None:
    took, _ = read(40, ApiQuota(30, 24 * 3600), seconds, 4)
    assert took < 10


def test_an_answer_that_was_overtaken_gives_nothing_back() -> None:
    pace = QuotaPace(2)
    pace.heed([Quota("", 0, 60, 30)], now=0)
    pace.heed([Quota("", 5, 60, 30)], now=0.5)
    assert pace.wait_seconds(0.5, under_way=0) > 59
    # A word on the window after it counts.
    pace.heed([Quota("", 29, 60, 30)], now=60.5)
    assert pace.wait_seconds(60.5, under_way=0) == 0


def test_of_a_new_window_no_more_is_asked_at_once_than_it_has() -> None:
    pace = QuotaPace(16)
    pace.heed([Quota("", 0, 5, 10)], now=0)
    assert pace.wait_seconds(1, under_way=0) == 5
    assert pace.wait_seconds(6, under_way=10) > 0
    assert pace.wait_seconds(6, under_way=0) == 0
