"""Fetches the next pages while the present one is processed, and hands them over in order.

In: a session's `send` and the paginator's plan of offsets. Out: a `send` that answers the same, sooner. dlt's REST
client, its paginator and its authentication stay as they are: they ask for one page after the other, and find it
already there. At most `parallel` pages are under way or waiting, so memory stays flat however large the collection.
"""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any
from urllib.parse import quote_plus

import requests

from include.request_budget import RequestBudget

Send = Callable[..., requests.Response]


class ReadAhead:
    """A `send` for `requests.Session.send`; `upcoming(offset)` lists the offsets that will be asked for after it."""

    def __init__(
        self,
        send: Send,
        upcoming: Callable[[int], Iterable[int]],
        offset_param: str,
        parallel: int,
        budget: RequestBudget,
    ) -> None:
        self._send = send
        self._upcoming = upcoming
        self._parallel = parallel
        self._budget = budget
        # `requests` has encoded the name like this when it prepared the URL.
        self._offset = re.compile(rf"(?<=[?&]){re.escape(quote_plus(offset_param))}=(\d+)")
        self._offset_param = quote_plus(offset_param)
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[requests.Response]] = {}
        self._ended = False

    def __call__(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Answer `request`, from what was fetched ahead where it was. Raises what the inner `send` raises."""
        asked = self._offset.search(request.url or "")
        # The hops of a redirect come through here too; they are part of a request, not one of the plan.
        if asked is None or not kwargs.get("allow_redirects", True):
            return self._send(request, **kwargs)
        if self._ended:
            self._ended = False
            self._budget.start()
        offset = int(asked.group(1))
        upcoming = list(islice(self._upcoming(offset), self._parallel - 1))
        if not upcoming and offset not in self._ahead:
            return self._send(request, **kwargs)
        self._forget(keep={offset, *upcoming})
        for planned in (offset, *upcoming):
            if planned not in self._ahead:
                self._ahead[planned] = self._fetch(request, planned, kwargs)
        try:
            return self._ahead.pop(offset).result()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """The read is over, well or not: what is still waiting to be sent is not sent. Another read may begin."""
        self._ended = True
        self._budget.stop()
        self._forget(keep=set())
        if self._pool:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _fetch(
        self, request: requests.PreparedRequest, offset: int, kwargs: dict[str, Any]
    ) -> "Future[requests.Response]":
        self._pool = self._pool or ThreadPoolExecutor(self._parallel, thread_name_prefix="read-ahead")
        page = request.copy()
        page.url = self._offset.sub(f"{self._offset_param}={offset}", request.url or "")
        return self._pool.submit(self._send, page, **kwargs)

    def _forget(self, keep: set[int]) -> None:
        """Drop what the plan no longer asks for: the collection shrank, or is read again from the start."""
        for offset in self._ahead.keys() - keep:
            self._ahead.pop(offset).cancel()
