"""Pages by offset and limit: where to ask next, and how the end is seen.

In: the answers of one collection, in order, as dlt's REST client hands them over. Out: the next offset; and to the proof
(`completeness.WholeRead`) each page, with what it has to overlap with.

Pages overlap by one record: each question begins at the last record that is known. So a record that went, and one that
came, between two pages are seen as a shift; and the last question finds that record alone, so that mostly nothing beyond
the end is asked for. An API that answers on a grid of whole pages, or refuses an offset between them, is recognised at
the second page and read without overlap.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum, auto
from itertools import chain, count, islice
from typing import Any, Self

from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from requests import Request, Response

from include.errors import ConfigurationError, ResponseShapeError
from include.extract.answer import Answer
from include.extract.completeness import Page, Record
from include.extract.paginators.has_more import HasMore
from include.extract.paginators.proven import NO_SUCH_PAGE, ProvenPaginator, ReadParts
from include.extract.response import nothing_there

# For each request at once: those behind the first wait to be processed, so that the requests go on while a batch is written.
PAGES_IN_MEMORY = 4


class State(Enum):
    """What the present question is for."""

    FIRST = auto()
    """The first page."""
    SECOND = auto()
    """Whether the API takes an offset between its pages."""
    GRID = auto()
    """Whether the first page came again because the API answers on a grid, or because records came in front."""
    READING = auto()
    """Another page, or the end."""


class WholeOffsetPaginator(ProvenPaginator, OffsetPaginator):
    """Steps through the offsets until one brings nothing new."""

    kind = "offset"

    def __init__(
        self,
        parts: ReadParts,
        *,
        page_size: int,
        offset_param: str | None,
        limit_param: str | None,
        overlap: bool = True,
        parallel: int = 1,
        offset: int = 0,
        offset_body_path: str | None = None,
        limit_body_path: str | None = None,
        has_more_path: str | None = None,
        spawn: Callable[[], Self] | None = None,
    ) -> None:
        """`offset`: where the collection begins. The rest as dlt's."""
        super().__init__(
            limit=page_size,
            offset=offset,
            offset_param=None if offset_body_path else offset_param,
            limit_param=None if limit_body_path else limit_param or "limit",
            offset_body_path=offset_body_path,
            limit_body_path=limit_body_path,
            total_path=None,
        )
        self.position_param = self.param_name
        self._page_size = page_size
        self._may_overlap = overlap and page_size > 1
        self._parallel = parallel
        self._has_more = HasMore(has_more_path)
        self.set_up(parts, spawn)
        self._start_pass()

    def _start_pass(self) -> None:
        self._state = State.FIRST
        self._overlaps = self._may_overlap
        self._first_keys: tuple[Any, ...] = ()
        self._first_records: list[Record] = []
        # How many records a page has here: what was asked for, or more where the API is generous.
        self._page_length = self._page_size
        self._last_was_short = False
        self._refused: int | None = None
        self._is_over = False
        self.gave_last_page_again = False
        self._came_again = False

    # --- asked by the prefetch, and by who reads in slices

    def before(self, offset: int) -> int:
        """How many records lie before `offset`."""
        return offset - self.initial_value

    @property
    def overlaps(self) -> bool:
        """Whether each page begins with the record that ended the one before."""
        return self._overlaps

    @property
    def page_length(self) -> int:
        """How many records a page has here, as far as is known."""
        return self._page_length

    def upcoming(self, offset: int) -> Iterable[int]:
        """The offsets that will be asked for after `offset`, as far as the pages so far tell and as may be read ahead."""
        # Until the second page is here, nobody knows how this API pages.
        if self._state is not State.READING or self._is_over or self._parallel == 1:
            return ()
        step = self._step()
        if self.read.total is None:
            # Any of them may be beyond the end; behind a short page all are.
            return () if self._last_was_short else islice(count(offset + step, step), self._parallel - 1)
        end = self.initial_value + (self.read.total - 1 if self._overlaps else self.read.total)
        # The last of them finds the end: the last record alone, or nothing behind it.
        ahead = chain(range(offset + step, end, step), (end,) if self._overlaps and offset < end else ())
        return islice(ahead, PAGES_IN_MEMORY * self._parallel - 1)

    def _step(self) -> int:
        return max(1, self._page_length - 1) if self._overlaps else self._page_length

    # --- called by dlt, and by the response hook

    def init_request(self, request: Request) -> None:
        """Begin at the beginning: a read, or another pass of one."""
        self.begin(request)
        self._start_pass()
        super().init_request(request)

    def settle(self, response: Response) -> Response:
        """What an answer counts as: itself, or, where it tells that nothing is at this offset, an empty one.

        Where everything that was promised is read, an error or emptiness in any form is the end; elsewhere it is a failure.
        """
        if self._state is State.FIRST:
            return response
        if response.status_code >= 400:
            return nothing_there(response) if self._takes_as_nothing(response.status_code) else response
        if self.read.promise_is_met:
            try:
                response.json()
            except ResponseShapeError:
                return nothing_there(response)
        elif self.read.total is None and self._last_was_short and not self._overlaps and _is_empty(response):
            self._refused = response.status_code
            return nothing_there(response)
        return response

    def _takes_as_nothing(self, status: int) -> bool:
        if self._state is State.SECOND and self._overlaps and status in NO_SUCH_PAGE:
            taken = True
        elif self.read.total is not None:
            taken = self.read.promise_is_met
        else:
            # Behind a full page it may be a largest offset that the API allows.
            taken = status in NO_SUCH_PAGE and self._last_was_short
        self._refused = status if taken else None
        return taken

    def page_of(self, asked: Any, answer: Answer, response: Response) -> Page:
        """The answer as the proof takes it: what lies before a declared first offset is not promised."""
        page = super().page_of(asked, answer, response)
        return page if page.total is None else replace(page, total=max(0, page.total - self.initial_value))

    def _take(self, response: Response, data: list[Any] | None) -> None:
        was_refused, self._refused = self._refused is not None, None
        self.read.handed_on = []
        nothing_is_fine = was_refused or (self._state is not State.FIRST and self.read.promise_is_met)
        answer = self.reader.read(response, self._page(), nothing_is_fine)
        page = self.page_of(self.current_value, answer, response)
        is_first, total_before = self._state is State.FIRST, self.read.total
        match self._state:
            case State.FIRST:
                self._take_first(page)
            case State.SECOND if self._overlaps:
                self._take_second(page, was_refused)
            case State.GRID:
                self._take_grid(page)
            case _:
                self._take_next(page)
        if not self._overlaps:
            self.compare_total(page, total_before)
        if is_first and self.needs_no_second_question(answer):
            self._has_next_page = False
        if self._has_more.says_no(answer.body):
            self._has_next_page = False
        if not self._has_next_page:
            self._is_over = True
            self._end(response, answer)

    def _take_first(self, page: Page) -> None:
        length = len(page.records)
        self._first_keys, self._first_records = tuple(page.keys), list(page.records)
        # Asked from the only record, an API that ignores offsets would answer the same.
        self._overlaps = self._overlaps and length > 1
        self.read.take(page, holds_last=self._overlaps)
        self._last_was_short = length < self._page_size
        if not length:
            self._has_next_page = False
            return
        if self.read.total is not None and length < min(self._page_size, self.read.total):
            raise self._capped(length)
        self._page_length = max(self._page_size, length)
        self._state = State.SECOND
        self.current_value = self.initial_value + (length - 1 if self._overlaps else length)

    def _take_second(self, page: Page, was_refused: bool) -> None:
        """The first question between two pages: from the last record of the first."""
        keys = tuple(page.keys)
        if keys and keys[0] == self.read.last_key:
            self._take_next(page)
        elif was_refused or not keys:
            self.read.note_total(page.total)
            if not was_refused:
                # An API of whole pages, or one whose records went.
                self.read.moved(page.asked, "does not begin with the record that ended the one before")
            self._read_without_overlap()
        elif keys == self._first_keys:
            self.read.note_total(page.total)
            if self.read.promise_is_met:
                # An API without paging, which has given everything.
                self._take_first_again(page)
                return
            self._note_other_versions(page)
            if self._page_size == 2:
                # There is no elsewhere between two records: another pass tells a grid from a record that came in front.
                self.read.moved(page.asked, "is the first page again")
                self._read_without_overlap()
                return
            # Once more from elsewhere: records that came in front would not show the same page twice.
            self._state = State.GRID
            self.current_value = self.initial_value + (1 if len(keys) == self._page_size else len(keys))
        else:
            self._take_next(page)

    def _take_grid(self, page: Page) -> None:
        self.read.note_total(page.total)
        if tuple(page.keys) != self._first_keys:
            self.read.moved(page.asked, "is not what it was a moment ago")
            self._read_without_overlap()
            return
        self._note_other_versions(page)
        self._read_without_overlap()
        # On a grid, what follows a short first page begins no sooner.
        self.current_value = max(self.current_value, self.initial_value + self._page_size)

    def _read_without_overlap(self) -> None:
        self._overlaps = False
        self._state = State.SECOND
        # Behind a short first page, too: a server that caps its pages has its second page there.
        self.current_value = self.initial_value + len(self._first_keys)

    def _take_next(self, page: Page) -> None:
        length = len(page.records)
        is_second = self._state is State.SECOND
        self._state = State.READING
        came_again, self._came_again = self._came_again, False
        expected = self._overlaps and length > 0 and page.keys[0] == self.read.last_key
        if length == 0 or (not expected and self.read.is_known(page.keys)):
            self._take_nothing_new(page, is_second, came_again)
            return
        if came_again:
            self.read.moved(page.asked, "follows one that was the page before it again")
        brings_new = not self.read.is_known(page.keys)
        first = len(self._first_keys)
        leaves_gap = page.asked != self.initial_value + first - self._overlaps
        is_short = is_second and brings_new and self.read.total is None and first < self._page_size
        # Two pages of one length below what was asked for.
        if is_short and (length >= first or leaves_gap):
            raise self._capped(first)
        self.read.take(page, overlaps=self._overlaps, holds_last=self._overlaps)
        self._last_was_short = length < self._page_length
        if not brings_new:
            # The last record alone: nothing is behind it.
            self._has_next_page = False
        elif self._overlaps:
            self.current_value += length - 1
        else:
            # A page that is shorter than the grid still fills its place in it.
            self.current_value += max(self._page_length, length)

    def _take_nothing_new(self, page: Page, is_second: bool, came_again: bool) -> None:
        keys = tuple(page.keys)
        if is_second and keys == self._first_keys and not self._overlaps:
            self._take_first_again(page)
            return
        if keys and keys == self._first_keys and not self._has_grown(page):
            raise self._ignored()
        self.read.note_total(page.total)
        # The last page again is what some APIs give beyond the end. Between two pages it may as well be a shift.
        self.gave_last_page_again = self.read.repeats_last_page(keys)
        is_last_again = self.gave_last_page_again and (not self._overlaps or self.read.promise_is_met)
        if is_last_again and not came_again and self.read.total is None and len(keys) >= self._page_length:
            # For ever, if it is the end.
            self._came_again = True
            self.current_value += self._page_length
            return
        if not is_last_again and (keys or self._overlaps or came_again):
            self.read.moved(page.asked, "brings nothing new, nor the end")
        # What waited for this page goes on without it.
        self.read.take(Page(page.asked, (), (), None, page.answered_at))
        self._has_next_page = False

    def _take_first_again(self, page: Page) -> None:
        self.read.note_total(page.total)
        if self.read.promise_is_met:
            self.read.take(Page(page.asked, (), ()))
            self._has_next_page = False
        elif len(self._first_keys) < self._page_size and self.before(self.current_value) < self._page_size:
            # On a grid this offset is still in the first page.
            self._note_other_versions(page)
            self._state = State.SECOND
            self.current_value = self.initial_value + self._page_size
        else:
            raise self._ignored()

    def _note_other_versions(self, page: Page) -> None:
        if list(page.records) != self._first_records:
            self.read.moved(page.asked, "has the records of the first page in other versions")

    def _has_grown(self, page: Page) -> bool:
        return page.total is not None and self.read.total is not None and page.total > self.read.total

    def _end(self, response: Response, answer: Answer) -> None:
        not_proven = ""
        if not self._overlaps and self.read.rows > len(self._first_keys):
            not_proven = (
                "pages did not overlap, so a record that left and one that came between two pages, with the total as it was, "
                "are not seen"
            )
        self.end(response, answer, not_proven, self.current_value)

    def what_to_set(self) -> str:
        """The names of the parameters."""
        return (
            f"the API does not page by `{self._param}` alone. Set the options `offset_param` and `limit_param` to the "
            "names that it knows."
        )

    @property
    def _param(self) -> str:
        return self.param_name or self.param_body_path or ""

    def _ignored(self) -> ResponseShapeError:
        return ResponseShapeError(
            f"{self._page()} repeats records that earlier pages had, and none is new: the API seems to ignore "
            f"`{self._param}`. Set the options `offset_param` and `limit_param` to the names that it knows."
        )

    def _capped(self, length: int) -> ConfigurationError:
        return ConfigurationError(
            f"The API answers with {length} records a page although {self._page_size} were asked for, and has more: reading "
            f"on would skip records. Set the option `page_size` to {length}."
        )

    def _page(self) -> str:
        return f"The page at {self._path}, {self._param} {self.current_value},"


def _is_empty(response: Response) -> bool:
    """No content, null or an object without fields: not a word of an error."""
    return response.content.strip() in (b"", b"null", b"{}")
