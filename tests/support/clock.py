"""Clocks on which nobody waits.

In: what a thread would wait. Out: `RecordingClock`, for requests that are really sent: sleeping is only written down;
`VirtualClock`, for threads that do nothing but wait: time jumps to the next moment at which one of them goes on.
"""

import heapq
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from include.extract.clock import Clock


class RecordingClock(Clock):
    """The machine's clock, but that nobody sleeps: `slept` has the seconds, in order."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class VirtualClock(Clock):
    """Stands still while a thread of `run` works, and jumps when all of them wait."""

    def __init__(self, step_seconds: float = 0.01) -> None:
        """Who is notified looks again so much later at the most."""
        self.now = 1000.0
        self._step_seconds = step_seconds
        self._changed = threading.Condition()
        self._running = 0
        self._alarms: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._changed:
            wakes_at = self.now + max(seconds, 1e-6)
            heapq.heappush(self._alarms, wakes_at)
            self._running -= 1
            self._jump()
            while self.now < wakes_at:
                self._changed.wait(5)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        condition.release()
        try:
            self.sleep(min(seconds, self._step_seconds))
        finally:
            condition.acquire()

    def run(self, *works: Callable[[], Any]) -> list[Any]:
        """What `works` return, each in a thread of its own."""
        self._running = len(works)
        with ThreadPoolExecutor(len(works)) as pool:
            return [future.result(timeout=60) for future in [pool.submit(self._work, work) for work in works]]

    def _work(self, work: Callable[[], Any]) -> Any:
        with self._working():
            return work()

    @contextmanager
    def _working(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._jump()

    def _jump(self) -> None:
        if self._running > 0 or not self._alarms:
            return
        self.now = self._alarms[0]
        while self._alarms and self._alarms[0] <= self.now:
            heapq.heappop(self._alarms)
            self._running += 1
        self._changed.notify_all()
