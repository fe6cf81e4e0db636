"""Fetches the next pages while the present one is processed, and hands them over in order.

In: a session and the paginator's plan of offsets. Out: the session, which answers the same, sooner. dlt's REST
client, its paginator and its authentication stay as they are: they ask for one page after the other, and find it
already there. At most `parallel` requests are under way, and three times as many pages wait to be processed, so that
no request waits for the processing; memory stays flat however large the collection.
"""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from typing import Any
from urllib.parse import quote_plus

import requests

from include.extract.request_budget import RequestBudget


class ReadAhead:
    """Takes over the session's `send` and `prepare_request`.

    `upcoming(offset)` lists the offsets that will be asked for after `offset`, as many as may be fetched ahead of it.
    """

    def __init__(
        self,
        session: requests.Session,
        upcoming: Callable[[int], Iterable[int]],
        offset_param: str,
        parallel: int,
        budget: RequestBudget,
    ) -> None:
        self._send = session.send
        self._prepare = session.prepare_request
        self._session = session
        session.send = self.send  # type: ignore[method-assign]
        session.prepare_request = self.prepare  # type: ignore[method-assign]
        self._upcoming = upcoming
        self._parallel = parallel
        self._budget = budget
        # `requests` has encoded the name like this when it prepared the URL.
        self._offset = re.compile(rf"(?<=[?&]){re.escape(quote_plus(offset_param))}=(\d+)")
        self._name = offset_param
        self._quoted_name = quote_plus(offset_param)
        # The last request that was prepared, what it asked for but the offset, and what became of it.
        self._prepared: tuple[requests.Request, dict[str, Any], requests.PreparedRequest] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[requests.Response]] = {}
        self._ended = False

    def prepare(self, request: requests.Request) -> requests.PreparedRequest:
        """As `requests.Session.prepare_request`, five times as fast for the next page of the same request."""
        params = dict(request.params) if isinstance(request.params, dict) else {}
        offset = params.pop(self._name, None)
        # dlt asks for each page with the same object. Cookies may be others each time.
        if offset is None or any(True for _ in self._session.cookies):
            return self._prepare(request)
        if self._prepared is None or self._prepared[0] is not request or self._prepared[1] != params:
            self._prepared = (request, params, self._prepare(request))
        return self._at(self._prepared[2], int(offset))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Answer `request`, from what was fetched ahead where it was. Raises what the inner `send` raises."""
        asked = self._offset.search(request.url or "")
        # The hops of a redirect come through here too; they are part of a request, not one of the plan.
        if asked is None or not kwargs.get("allow_redirects", True):
            return self._send(request, **kwargs)
        if self._ended:
            self._ended = False
            self._budget.start()
        offset = int(asked.group(1))
        upcoming = list(self._upcoming(offset))
        self._forget(keep={offset, *upcoming})
        for planned in (offset, *upcoming):
            if planned not in self._ahead:
                self._ahead[planned] = self._fetch(request, planned, kwargs)
        try:
            # Also where nothing is read ahead: this thread is the one that hears of signals, which libcurl would hold up.
            response = self._ahead.pop(offset).result()
            # Read here (once: `http_client`), so that an answer that cannot be read ends the others as well.
            response.json()
            return response
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
        return self._pool.submit(self._send, self._at(request, offset), **kwargs)

    def _at(self, request: requests.PreparedRequest, offset: int) -> requests.PreparedRequest:
        # Shallow: nobody changes what the pages share, and requests' own copy takes ten times as long.
        page = copy(request)
        page.url = self._offset.sub(f"{self._quoted_name}={offset}", request.url or "")
        return page

    def _forget(self, keep: set[int]) -> None:
        """Drop what the plan no longer asks for: the collection shrank, or is read again from the start."""
        for offset in self._ahead.keys() - keep:
            self._ahead.pop(offset).cancel()
