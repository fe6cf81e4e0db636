"""The kind of paging guessed from the first answer, as dlt does where nobody has said it; what follows is proven as ever.

In: the first answer. Out: the paginator of the kind that dlt's detection finds, which takes over.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Self

from dlt.sources.helpers.rest_client.detector import PaginatorFactory
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from include.errors import ResponseShapeError
from include.extract.paginators.proven import ProvenPaginator, ReadParts

log = logging.getLogger(__name__)

# What APIs give where nobody asks for a size, or where they cap it. An answer of just so many records may be the first page.
PAGE_SIZES = frozenset(
    {10, 15, 20, 25, 30, 40, 50, 60, 75, 80, 100, 120, 150, 200, 250, 300, 400, 500, 1000, 2000, 2500, 5000, 10000}
)


class GuessedPaginator(ProvenPaginator, BasePaginator):
    """`make` makes the paginator of what dlt has guessed."""

    kind = "auto"

    def __init__(
        self,
        parts: ReadParts,
        make: Callable[[BasePaginator, ReadParts], Any],
        spawn: Callable[[], Self] | None = None,
    ) -> None:
        super().__init__()
        self._make = make
        self._guessed: Any = None
        self._request: Request | None = None
        self.set_up(parts, spawn)

    def init_request(self, request: Request) -> None:
        """Begin at the beginning; another pass begins as what was guessed in the first one."""
        self._request = request
        if self._guessed is None:
            self.begin(request)
        else:
            self._guessed.init_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """The first answer is looked at, each is handed to the paginator of that kind."""
        if self._guessed is None:
            self._guess(response)
        self._guessed.update_state(response, data)
        if self._guessed.kind == "single_page" and self.read.total is None and self.read.rows in PAGE_SIZES:
            raise ResponseShapeError(
                f"{self._path} answered with {self.read.rows} records, a usual size of a page, and says neither how many there are nor "
                "where more are: nobody can tell whether that is everything. Nothing was loaded. Set the option `paginator`: to the "
                "kind by which the API pages, or to `single_page` if that is all it has."
            )

    def _guess(self, response: Response) -> None:
        paginator, _ = PaginatorFactory().create_paginator(response)
        self._guessed = self._make(paginator, self.parts)
        log.warning(
            "No paginator is set for %s: dlt takes it for `%s` by its first answer. If that is wrong, records may be left out "
            "wherever the answers name no total: set the option `paginator`.",
            self._path,
            self._guessed.kind,
        )
        request = self._request
        assert request is not None
        # What was asked for was its first page.
        params = dict(request.params) if isinstance(request.params, dict) else request.params
        url, body = request.url, request.json
        self._guessed.init_request(request)
        request.url, request.params, request.json = url, params, body

    def update_request(self, request: Request) -> None:
        """As what was guessed."""
        self._guessed.update_request(request)

    @property
    def has_next_page(self) -> bool:
        """As what was guessed."""
        return bool(self._guessed is None or self._guessed.has_next_page)

    def upcoming(self, position: int) -> Iterable[int]:
        """Nothing, before it is known how to ask."""
        return ()
