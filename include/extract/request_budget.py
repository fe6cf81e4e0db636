"""One budget of requests for all threads of a task: how many at once, how many a second, and one shared pause.

In: the options `max_parallel_requests` and `requests_per_second`; what the API says about its limit, with each answer and when it
refuses one. Out: slots to send in. Threads that each wait for themselves draw rejections and win nothing.
"""

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pyrate_limiter import InMemoryBucket, Limiter, Rate

from include.extract.clock import SYSTEM_CLOCK, Clock
from include.extract.quota import Quota
from include.extract.quota_pace import QuotaPace

# Under a ceiling, requests go out in groups that take so long: evenly, in steps that a limiter of milliseconds knows.
GROUP_SECONDS = 0.02
# Each group takes so much longer than it has to: a request that was slow on its way may not meet the next ones.
MARGIN = 1.05
# How soon a thread that waits notices that nobody wants its request any more.
STEP_SECONDS = 0.1
# So much longer than those that were told most often do the others wait after a pause.
HEAD_START_SECONDS = 0.2
# After so many quiet seconds, one request more at once.
RECOVERY_SECONDS = 5.0


class ReadStopped(Exception):
    """The read ended, or failed elsewhere; this request is not wanted any more. Nobody waits for it."""


class RequestBudget:
    """Slots to send a request in. Safe to use from any thread."""

    def __init__(self, parallel: int, requests_per_second: float | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        """`requests_per_second` None: no ceiling. With one, requests are spaced evenly, without a burst."""
        self._clock = clock
        self._parallel = parallel
        self._lanes_at_pause = self._answers_since_pause = parallel
        self._in_flight = 0
        self._not_before = 0.0
        self._paused_by: int | None = None
        # How often the request of each thread has been told to wait. Those that wait for a slot, first come first.
        self._told: dict[int, int] = {}
        self._waiting: dict[int, None] = {}
        self._stopped = False
        self._changed = threading.Condition()
        self._pace = QuotaPace(parallel)
        self._limiter = Limiter(_ClockedBucket(_rate(requests_per_second), clock)) if requests_per_second else None
        self._poll_seconds = max(0.001, min(STEP_SECONDS, 0.1 / (requests_per_second or 1)))

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a lane, for the end of a pause and for the rate; then send. Raises ReadStopped after `stop`.

        Whoever has been told to wait most often goes first, or a request could run out of retries while others pass it.
        """
        me = threading.get_ident()
        with self._changed:
            self._waiting[me] = None
            try:
                while (wait_seconds := self._seconds_until_ready(me)) > 0:
                    self._clock.wait(self._changed, wait_seconds)
                self._in_flight += 1
                self._pace.sent(self._clock.monotonic())
            finally:
                del self._waiting[me]
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def heed(self, quotas: Iterable[Quota]) -> None:
        """What an answer says of quotas: the next requests are spread so that none has to be refused."""
        with self._changed:
            self._pace.heed(quotas, self._clock.monotonic())

    def answered(self) -> None:
        """The request of this thread is not told to wait any more: its next one has to stand in line again."""
        with self._changed:
            self._told.pop(threading.get_ident(), None)
            # Those that were under way when the pause began say nothing of what may be sent after it.
            if self._answers_since_pause < self._lanes_at_pause and self._clock.monotonic() >= self._not_before:
                self._answers_since_pause += 1
                self._changed.notify_all()

    def slow_down(self, seconds: float) -> None:
        """The API asked one request to wait: for so long nobody sends; then one does, and one more for each answer, up to
        half as many at once as before, and from there on slowly more.
        """
        with self._changed:
            now, me = self._clock.monotonic(), threading.get_ident()
            # Answers to requests that were under way together are one complaint.
            if now >= self._not_before:
                self._lanes_at_pause = max(1, self._lanes() // 2)
                self._answers_since_pause = 0
                self._paused_by = me
            self._told[me] = self._told.get(me, 0) + 1
            self._not_before = max(self._not_before, now + seconds)

    def stop(self) -> None:
        """No request is sent until `start`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def start(self) -> None:
        """A new read begins."""
        with self._changed:
            self._stopped = False
            self._told.clear()

    def _lanes(self) -> int:
        quiet_seconds = max(0.0, self._clock.monotonic() - self._not_before)
        lanes = min(self._lanes_at_pause, 1 + self._answers_since_pause)
        return min(self._parallel, lanes + int(quiet_seconds / RECOVERY_SECONDS))

    def _seconds_until_ready(self, me: int) -> float:
        """0: `me` may send now; else when to look again, if nothing changes before."""
        if self._stopped:
            raise ReadStopped
        first_in_line = max(self._waiting, key=lambda thread: self._told.get(thread, 0)) == me
        if not first_in_line or self._in_flight >= self._lanes():
            return STEP_SECONDS
        # Who was told waits in its own retry, and those told less often a moment longer: it is not passed on its way back.
        most_often = max(self._told.values(), default=0)
        resume_at = self._not_before + (0 if self._told.get(me, 0) == most_often else HEAD_START_SECONDS)
        if (pause_seconds := resume_at - self._clock.monotonic()) > 0 and me != self._paused_by:
            return min(pause_seconds, STEP_SECONDS)
        if (spread_seconds := self._pace.wait_seconds(self._clock.monotonic(), self._in_flight)) > 0:
            return min(spread_seconds, STEP_SECONDS)
        # Not the limiter's own wait: it would not see a pause that begins meanwhile, nor `stop`.
        if self._limiter is None or self._limiter.try_acquire("api", blocking=False):
            return 0
        return self._poll_seconds


class _ClockedBucket(InMemoryBucket):
    """The limiter's own, with the time of our clock."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        super().__init__([rate])
        self._seconds = clock.monotonic

    def now(self) -> int:
        return int(self._seconds() * 1000)


def _rate(requests_per_second: float) -> Rate:
    at_once = math.ceil(requests_per_second * GROUP_SECONDS)
    return Rate(at_once, math.ceil(1000 * MARGIN * at_once / requests_per_second))
