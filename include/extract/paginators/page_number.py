"""Pages by number: which to ask next, and how the end is seen.

In: the answers of one collection, in order, as dlt's REST client hands them over. Out: the number of the next page; and to the proof
(`completeness.WholeRead`) each page. Pages by number cannot overlap: what moves from one page to another while both are read is
seen where it changes counts or repeats a record.
"""

from collections.abc import Callable, Iterable
from itertools import count, islice
from typing import Any, Self

from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from requests import Request, Response

from include.configure.options import json_path
from include.errors import ResponseShapeError
from include.extract.answer import Answer
from include.extract.completeness import Page
from include.extract.paginators.has_more import HasMore
from include.extract.paginators.offset import PAGES_IN_MEMORY
from include.extract.paginators.proven import NO_SUCH_PAGE, ProvenPaginator, ReadParts
from include.extract.response import nothing_there

NOT_PROVEN = "pages by number do not overlap, so a record that left and one that came between two pages, with the total as it was, are not seen"


class WholePageNumberPaginator(ProvenPaginator, PageNumberPaginator):
    """Steps through the numbers until one brings nothing new."""

    kind = "page_number"
    overlaps = False

    def __init__(
        self,
        parts: ReadParts,
        *,
        parallel: int = 1,
        base_page: int = 0,
        page: int | None = None,
        page_param: str | None = None,
        page_body_path: str | None = None,
        total_path: str | None = None,
        maximum_page: int | None = None,
        has_more_path: str | None = None,
        limit_param: str | None = None,
        page_size: int = 0,
        stop_after_empty_page: bool = True,
        spawn: Callable[[], Self] | None = None,
    ) -> None:
        """`total_path`: where the number of pages is. `limit_param`: where `page_size` is sent; None: it is not. The rest as dlt's."""
        del stop_after_empty_page  # An empty page is an end in any case.
        super().__init__(
            base_page=base_page,
            page=base_page if page is None else page,
            page_param=page_param,
            page_body_path=page_body_path,
            total_path=None,
        )
        self.position_param = self.param_name
        self._parallel = parallel
        self._maximum_page = maximum_page
        self._has_more = HasMore(has_more_path)
        self._pages_at = json_path("paginator", total_path) if total_path else None
        self._size = (limit_param, page_size) if limit_param else None
        self.set_up(parts, spawn)
        self._start_pass()

    def _start_pass(self) -> None:
        self._is_first = True
        self._first_keys: tuple[Any, ...] = ()
        self._page_length = 0
        self._last_was_short = False
        self._refused = False
        self._is_over = False
        self._promised_pages: int | None = None
        self._pages_read = 0
        self.gave_last_page_again = False
        self._came_again = False

    # --- asked by the prefetch, and by who reads in slices

    def before(self, page: int) -> int:
        """How many records lie before `page`."""
        return (page - self.initial_value) * self._page_length

    @property
    def page_length(self) -> int:
        """How many records a page has here, as far as is known."""
        return self._page_length

    def upcoming(self, page: int) -> Iterable[int]:
        """The pages that will be asked for after `page`, as far as those so far tell and as may be read ahead."""
        if self._is_first or self._is_over or self._parallel == 1:
            return ()
        if (last := self._last_page()) is None:
            return () if self._last_was_short else islice(count(page + 1), self._parallel - 1)
        # The one behind the last finds the end.
        return islice(range(page + 1, last + 2), PAGES_IN_MEMORY * self._parallel - 1)

    def _last_page(self) -> int | None:
        """The number of the last page, as far as somebody has promised one."""
        if self.read.total is not None and self._page_length:
            return self.initial_value + -(-self.read.total // self._page_length) - 1
        if self._promised_pages is not None and self._promised_pages != self.read.rows:
            return self.initial_value + self._promised_pages - 1
        return None

    # --- called by dlt, and by the response hook

    def init_request(self, request: Request) -> None:
        """Begin at the beginning: a read, or another pass of one."""
        self.begin(request)
        self._start_pass()
        super().init_request(request)

    def update_request(self, request: Request) -> None:
        """The number of the next page, and its size."""
        super().update_request(request)
        if self._size:
            request.params = {**(request.params or {}), self._size[0]: self._size[1]}

    def settle(self, response: Response) -> Response:
        """What an answer counts as: itself, or, where it tells that there is no such page, an empty one."""
        if self._is_first:
            return response
        if response.status_code >= 400:
            if self.read.total is not None:
                self._refused = self.read.promise_is_met
            else:
                # Behind a full page it may be the largest page that the API gives; 404 is its word for a page that is not.
                self._refused = response.status_code in NO_SUCH_PAGE and (
                    self._last_was_short or response.status_code == 404 or self._all_pages_are_read()
                )
            return nothing_there(response) if self._refused else response
        if self.read.promise_is_met:
            try:
                response.json()
            except ResponseShapeError:
                self._refused = True
                return nothing_there(response)
        return response

    def _all_pages_are_read(self) -> bool:
        return self._promised_pages is not None and self._pages_read >= self._promised_pages

    def _take(self, response: Response, data: list[Any] | None) -> None:
        was_refused, self._refused = self._refused, False
        self.read.handed_on = []
        nothing_is_fine = was_refused or (not self._is_first and self.read.promise_is_met)
        answer = self.reader.read(response, self._page(), nothing_is_fine)
        self._note_pages(answer.body)
        page = self.page_of(self.current_value, answer, response)
        self.compare_total(page, self.read.total)
        if self._is_first:
            self._take_first(page, answer)
        else:
            self._take_next(page)
        if self._has_next_page and self._has_more.says_no(answer.body):
            self._has_next_page = False
        self.current_value += 1
        stops_here = self._maximum_page is not None and self.current_value >= self._maximum_page
        if stops_here:
            self._has_next_page = False
        if not self._has_next_page:
            self._is_over = True
            self._end(response, answer, stops_here)

    def _note_pages(self, body: Any) -> None:
        if self._pages_at is None or not isinstance(body, dict | list):
            return
        for match in self._pages_at.find(body):
            try:
                self._promised_pages = int(match.value)
            except (TypeError, ValueError):
                continue

    def _take_first(self, page: Page, answer: Answer) -> None:
        self._is_first = False
        self._first_keys = tuple(page.keys)
        self._page_length = len(page.records)
        self.read.take(page)
        self._pages_read = 1
        self._last_was_short = bool(self._size) and self._page_length < (self._size or ("", 0))[1]
        if not page.records or self.needs_no_second_question(answer):
            self._has_next_page = False

    def _take_next(self, page: Page) -> None:
        keys = tuple(page.keys)
        came_again, self._came_again = self._came_again, False
        if keys and not self.read.is_known(keys):
            if came_again:
                self.read.moved(page.asked, "follows one that was the page before it again")
            self.read.take(page)
            self._pages_read += 1
            self._last_was_short = len(keys) < self._page_length
            self._page_length = max(self._page_length, len(keys))
            return
        self.read.note_total(page.total)
        if keys and keys == self._first_keys and not self.read.promise_is_met:
            raise self._ignored()
        # The last page again is what some APIs give beyond the end, and then they give it for ever.
        self.gave_last_page_again = is_last_again = self.read.repeats_last_page(keys)
        if is_last_again and not came_again and self._may_go_on(keys):
            self._came_again = True
            return
        self._has_next_page = False
        if (keys and not is_last_again) or (came_again and not keys):
            self.read.moved(page.asked, "brings nothing new, nor the end")

    def _may_go_on(self, keys: tuple[Any, ...]) -> bool:
        """`keys` are those of a full page, and nobody has said that it is the last."""
        return self.read.total is None and len(keys) >= self._page_length and not self._all_pages_are_read()

    def _end(self, response: Response, answer: Answer, stops_here: bool) -> None:
        if self._promised_pages is not None and not stops_here and self.read.total is None:
            # A total of records, which many call `total`, is compared as one.
            promised = self._promised_pages
            if self._pages_read < promised and promised != self.read.counted:
                self.read.moved(self.current_value - 1, f"is the end, and the API promises {promised} pages")
        if stops_here:
            self.read.end_pass()
            self.read.progress.notes["not_proven"] = "the declaration reads no further than its `maximum_page`"
            return
        self.end(response, answer, NOT_PROVEN if self._pages_read > 1 else "", self.current_value)

    def what_to_set(self) -> str:
        """The name of the parameter."""
        return f"the API does not page by `{self._param}` alone. Set `page_param` in the option `paginator` to the name that it knows."

    @property
    def _param(self) -> str:
        return self.param_name or self.param_body_path or ""

    def _ignored(self) -> ResponseShapeError:
        ignores = f"{self._page()} is the first page again: the API seems to ignore `{self._param}`"
        what_to_set = "Set `page_param` in the option `paginator` to the name that it knows"
        if self.initial_value == 0:
            return ResponseShapeError(f"{ignores}, or its pages begin with 1. {what_to_set}, or `base_page` to 1.")
        return ResponseShapeError(f"{ignores}. {what_to_set}.")

    def _page(self) -> str:
        return f"The page at {self._path}, {self._param} {self.current_value},"
