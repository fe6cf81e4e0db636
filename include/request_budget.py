"""One budget of requests for all threads of a task: how many at once, how many a second, and one shared pause.

In: the options `max_parallel_requests` and `requests_per_second`; what the API says about its limit. Out: turns to
send. Threads that each wait for themselves draw rejections and win nothing.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyrate_limiter import Limiter, Rate

# Under a ceiling, requests go out in groups that take so long: evenly, in steps that a limiter of milliseconds knows.
GROUP_SECONDS = 0.02
# Each group takes so much longer than it has to: a request that was slow on its way may not meet the next ones.
MARGIN = 1.05
# How soon a thread that waits notices that nobody wants its request any more.
STEP_SECONDS = 0.1
# After so many quiet seconds, one request more at once.
RECOVERY_SECONDS = 5.0


class ReadStopped(Exception):
    """The read ended, or failed elsewhere; this request is not wanted any more. Nobody waits for it."""


class RequestBudget:
    """Turns to send a request. Safe to use from any thread."""

    def __init__(self, parallel: int, requests_per_second: float | None = None) -> None:
        """`requests_per_second` None: no ceiling. With one, requests are spaced evenly, without a burst."""
        self._parallel = parallel
        self._lanes_at_pause = parallel
        self._in_flight = 0
        self._not_before = 0.0
        self._told: int | None = None
        self._stopped = False
        self._changed = threading.Condition()
        # One thread at a time waits for the pause and the rate, and the others for it: whoever comes first goes first.
        self._gate = threading.Lock()
        self._limiter = Limiter(_rate(requests_per_second)) if requests_per_second else None
        self._poll_seconds = max(0.001, min(STEP_SECONDS, 0.1 / (requests_per_second or 1)))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a lane, for the end of a pause and for the rate; then send. Raises ReadStopped after `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._in_flight < self._lanes())
            self._in_flight += 1
        try:
            with self._gate:
                self._wait()
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def slow_down(self, seconds: float) -> None:
        """The API asked one request to wait: for so long nobody sends, and then half as many at once, and slowly more."""
        with self._changed:
            now = time.monotonic()
            # Answers to requests that were under way together are one complaint.
            if now >= self._not_before:
                self._lanes_at_pause = max(1, self._lanes() // 2)
                self._told = threading.get_ident()
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

    def _lanes(self) -> int:
        quiet_seconds = max(0.0, time.monotonic() - self._not_before)
        return min(self._parallel, self._lanes_at_pause + int(quiet_seconds / RECOVERY_SECONDS))

    def _wait(self) -> None:
        waited_until = time.monotonic()
        while True:
            # The thread that was told to wait does so in its own retry.
            pause_seconds = self._not_before - waited_until if self._told != threading.get_ident() else 0
            if self._stopped:
                raise ReadStopped
            if pause_seconds > 0:
                step_seconds = min(pause_seconds, STEP_SECONDS)
            # Not the limiter's own wait: it would not see a pause that begins meanwhile, nor `stop`.
            elif self._limiter is None or self._limiter.try_acquire("api", blocking=False):
                return
            else:
                step_seconds = self._poll_seconds
            time.sleep(step_seconds)
            waited_until = max(waited_until + step_seconds, time.monotonic())


def _rate(requests_per_second: float) -> Rate:
    at_once = math.ceil(requests_per_second * GROUP_SECONDS)
    return Rate(at_once, math.ceil(1000 * MARGIN * at_once / requests_per_second))
