"""One budget of requests for all threads of a task: how many at once, how many a second, and one shared pause.

In: the options `max_parallel_requests` and `requests_per_second`; what the API says about its limit. Out: turns to
send. Threads that each wait for themselves draw rejections and win nothing (facts.md 36).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pyrate_limiter import Limiter, Rate


class ReadStopped(Exception):
    """The read ended, or failed elsewhere; this request is not wanted any more. Nobody waits for it."""


class RequestBudget:
    """Turns to send a request. Safe to use from any thread."""

    def __init__(self, parallel: int, requests_per_second: float | None = None) -> None:
        """`requests_per_second` None: no ceiling. With one, requests are spaced evenly, without a burst."""
        self._lanes = parallel
        self._in_flight = 0
        self._not_before = 0.0
        self._told: int | None = None
        self._stopped = False
        self._changed = threading.Condition()
        self._limiter = Limiter(Rate(1, round(1000 / requests_per_second))) if requests_per_second else None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a lane, for the end of a pause and for the rate; then send. Raises ReadStopped after `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._in_flight < self._lanes)
            self._in_flight += 1
        try:
            # The thread that was told to wait does so in its own retry.
            if (seconds := self._not_before - time.monotonic()) > 0 and self._told != threading.get_ident():
                time.sleep(seconds)
            if self._limiter:
                self._limiter.try_acquire("api")
            if self._stopped:
                raise ReadStopped
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def slow_down(self, seconds: float) -> None:
        """The API asked one request to wait: for so long nobody sends, and half as many at once from then on."""
        with self._changed:
            now = time.monotonic()
            # Answers to requests that were under way together are one complaint.
            if now >= self._not_before:
                self._lanes = max(1, self._lanes // 2)
                self._told = threading.get_ident()
            self._not_before = max(self._not_before, now + seconds)

    def stop(self) -> None:
        """No request is sent from now on."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
