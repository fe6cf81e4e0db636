"""Fetches the next pages while the present one is processed, and hands them over in order.

In: the paginator's plan of positions, and the session's way to fetch one page. Out: the page that is asked for, sooner.
dlt's REST client, its paginator and its authentication stay as they are: they ask for one page after the other, and
find it already there. At most `parallel` requests are under way; how many pages wait to be processed is the plan's.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import requests

from include.extract.position import Position
from include.extract.request_budget import RequestBudget

if TYPE_CHECKING:
    from include.extract.read_hook import ReadHook

Fetch = Callable[[requests.PreparedRequest], requests.Response]


def nothing_ahead(_: int) -> Iterable[int]:
    """The plan of whoever has none."""
    return ()


class StartStop(Protocol):
    """What is told that requests are wanted, and that they are not any more."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Prefetch:
    """The pages of one read that are under way or wait to be asked for.

    `upcoming(position)` lists the positions that will be asked for after `position`, as many as may be fetched ahead of
    it.
    """

    def __init__(
        self, position: Position, upcoming: Callable[[int], Iterable[int]], parallel: int, budget: StartStop
    ) -> None:
        self._position = position
        self._upcoming = upcoming
        self._parallel = parallel
        self._budget = budget
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[requests.Response]] = {}
        self._next: tuple[object, Future[requests.Response]] | None = None
        self._ended = False

    def take(self, request: requests.PreparedRequest, fetch: Fetch) -> requests.Response:
        """The answer to `request`, from what was fetched ahead where it was. Raises what `fetch` raises."""
        if self._ended:
            self._ended = False
            self._budget.start()
        # Also where nothing is fetched ahead: this thread is the one that hears of signals, which libcurl would hold up.
        return self._under_way(request, fetch).result()

    def fetch_ahead(self, request: requests.PreparedRequest, fetch: Fetch) -> None:
        """Send `request`, which `take` will be asked for next."""
        self._next = (_what_is_asked(request), self._start(request, fetch))

    def end(self) -> None:
        """The read is over, well or not: what is still waiting to be sent is not sent. Another read may begin."""
        self._ended = True
        self._budget.stop()
        self._forget(keep=set())
        if self._next:
            self._next[1].cancel()
            self._next = None
        if self._pool:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _under_way(self, request: requests.PreparedRequest, fetch: Fetch) -> "Future[requests.Response]":
        position = self._position.of(request)
        if position is None:
            known, self._next = self._next, None
            return known[1] if known and known[0] == _what_is_asked(request) else self._start(request, fetch)
        planned = [position, *self._upcoming(position)]
        self._forget(keep=set(planned))
        for other in planned:
            if other not in self._ahead:
                self._ahead[other] = self._start(self._position.move(request, other), fetch)
        return self._ahead.pop(position)

    def _start(self, request: requests.PreparedRequest, fetch: Fetch) -> "Future[requests.Response]":
        self._pool = self._pool or ThreadPoolExecutor(self._parallel, thread_name_prefix="prefetch")
        return self._pool.submit(fetch, request)

    def _forget(self, keep: set[int]) -> None:
        """Drop what the plan no longer asks for: the collection shrank, or is read again from the start."""
        for position in self._ahead.keys() - keep:
            self._ahead.pop(position).cancel()


class OpenReads:
    """The reads of one session that are under way: while there is one, requests may be sent. Safe to use from any thread."""

    def __init__(self, parallel: int, budget: RequestBudget) -> None:
        self._parallel = parallel
        self._budget = budget
        self._of_read: dict[ReadHook, Prefetch] = {}
        self._lock = Lock()
        self._under_way = 0

    def prefetch_of(self, read: "ReadHook") -> Prefetch:
        """The pages of `read`, which begins with this where it has not begun."""
        with self._lock:
            if read not in self._of_read:
                self._of_read[read] = Prefetch(read.position, read.upcoming, self._parallel, self)
                self._count(1)
            return self._of_read[read]

    def end(self, read: "ReadHook | None") -> None:
        """`read` is over; None: all are, and what waits to be sent is not sent."""
        with self._lock:
            ended = (
                list(self._of_read.values()) if read is None else [self._of_read[read]] if read in self._of_read else []
            )
            if read is None:
                self._of_read.clear()
            else:
                self._of_read.pop(read, None)
        for prefetch in ended:
            prefetch.end()
        if read is None:
            self._budget.stop()

    def start(self) -> None:
        """A read goes on."""
        with self._lock:
            self._count(1)

    def stop(self) -> None:
        """A read is over."""
        with self._lock:
            self._count(-1)

    def _count(self, more: int) -> None:
        before, self._under_way = self._under_way, self._under_way + more
        if before == 0 and more > 0:
            self._budget.start()
        elif self._under_way == 0:
            self._budget.stop()


def _what_is_asked(request: requests.PreparedRequest) -> object:
    return request.method, request.url, request.body
