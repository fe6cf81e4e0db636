"""Fetches the next pages while the present one is processed, and hands them over in order.

In: the paginator's plan of positions, and the session's way to fetch one page. Out: the page that is asked for, sooner.
dlt's REST client, its paginator and its authentication stay as they are: they ask for one page after the other, and
find it already there. At most `parallel` requests are under way; how many pages wait to be processed is the plan's.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import requests

from include.extract.position import Position
from include.extract.request_budget import RequestBudget

Fetch = Callable[[requests.PreparedRequest], requests.Response]


def nothing_ahead(_: int) -> Iterable[int]:
    """The plan of whoever has none."""
    return ()


class Prefetch:
    """The pages of one read that are under way or wait to be asked for.

    `upcoming(position)` lists the positions that will be asked for after `position`, as many as may be fetched ahead of
    it.
    """

    def __init__(
        self, position: Position, upcoming: Callable[[int], Iterable[int]], parallel: int, budget: RequestBudget
    ) -> None:
        self._position = position
        self._upcoming = upcoming
        self._parallel = parallel
        self._budget = budget
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[requests.Response]] = {}
        self._ended = False

    def take(self, request: requests.PreparedRequest, fetch: Fetch) -> requests.Response:
        """The answer to `request`, from what was fetched ahead where it was. Raises what `fetch` raises."""
        if self._ended:
            self._ended = False
            self._budget.start()
        # Also where nothing is fetched ahead: this thread is the one that hears of signals, which libcurl would hold up.
        return self._under_way(request, fetch).result()

    def end(self) -> None:
        """The read is over, well or not: what is still waiting to be sent is not sent. Another read may begin."""
        self._ended = True
        self._budget.stop()
        self._forget(keep=set())
        if self._pool:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _under_way(self, request: requests.PreparedRequest, fetch: Fetch) -> "Future[requests.Response]":
        position = self._position.of(request)
        if position is None:
            return self._start(request, fetch)
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
