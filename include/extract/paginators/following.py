"""Pages that each name the next one, by a link or a cursor: dlt's own paginators, and anybody's, with the proof around them.

In: the answers of one collection, in order, as dlt's REST client hands them over. Out: to the proof (`completeness.WholeRead`) each
page; to the session the next request, as soon as it is known, so that it is under way while the page is processed.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Self

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from include.errors import PermanentError, ResponseShapeError, TransientError
from include.extract.answer import Answer
from include.extract.paginators.has_more import HasMore
from include.extract.paginators.proven import ProvenPaginator, ReadParts

NOT_PROVEN = "each page names the next one, so that the proof rests on the API's own order: a total, where it gives one, is compared"


ONE_PAGE = "one page was read, which names neither a total nor a next page: that it is all is the declaration's word, or dlt's guess"
# In a row: an API may look for records and find none for many pages (a filter behind its cursor), but not for ever.
PAGES_WITHOUT_NEWS = 1000


class WholeFollowingPaginator(ProvenPaginator, BasePaginator):
    """Follows `inner` until it names no next page, or one that brings nothing new."""

    def __init__(
        self,
        parts: ReadParts,
        inner: BasePaginator,
        kind: str,
        has_more_path: str | None = None,
        spawn: Callable[[], Self] | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self._pristine = inner
        self._inner = inner
        self._has_more = HasMore(has_more_path)
        self.set_up(parts, spawn)
        self._start_pass()

    def _start_pass(self) -> None:
        self._inner = deepcopy(self._pristine)
        self._asked = 0
        self._questions: set[str] = set()
        self._last_keys: tuple[Any, ...] = ()
        self._without_news = 0

    def init_request(self, request: Request) -> None:
        """Begin at the beginning: a read, or another pass of one."""
        self.begin(request)
        self._start_pass()
        self._inner.init_request(request)
        self._questions = {_question(request)}

    def update_request(self, request: Request) -> None:
        """The next request, which is sent at once. Raises ResponseShapeError (permanent) where it was asked before."""
        if not self._has_next_page:
            return
        self._inner.update_request(request)
        question = _question(request)
        if question in self._questions:
            raise ResponseShapeError(
                f"{self._page()} names a next page that was read already: following it would never end. Nothing was loaded. Check the "
                f"fields of the option `paginator`, a `{self.kind}` here."
            )
        self._questions.add(question)
        self.parts.fetch_ahead(request)

    def _take(self, response: Response, data: list[Any] | None) -> None:
        self.read.handed_on = []
        is_first, self._asked = self._asked == 0, self._asked + 1
        answer = self.reader.read(response, self._page(), not is_first and self.read.promise_is_met)
        keys = tuple(answer.keys)
        if keys and not is_first and self.read.is_known(keys):
            if keys == self._last_keys and not self.read.promise_is_met:
                raise self._ignored()
            self.read.moved(self._asked, "brings nothing new, nor the end")
        rows = self.read.rows
        self.read.take(self.page_of(self._asked, answer, response))
        self._without_news = self._without_news + 1 if self.read.rows == rows else 0
        self._last_keys = keys or self._last_keys
        self._ask_inner(response, data)
        self._has_next_page = self._inner.has_next_page and not getattr(response, "is_nothing", False)
        if not self._has_next_page:
            self._end(response, answer)
        elif self._without_news >= PAGES_WITHOUT_NEWS:
            raise ResponseShapeError(
                f"{self._page()} is the last of {PAGES_WITHOUT_NEWS} in a row that bring no new record, and it names a next one: the "
                "read would never end. Nothing was loaded. If an empty page is the end, set `stop_after_empty_page` (of a `cursor`) or "
                "`has_more_path` in the option `paginator`."
            )

    def _ask_inner(self, response: Response, data: list[Any] | None) -> None:
        try:
            self._inner.update_state(response, data)
        except (PermanentError, TransientError):
            raise
        except Exception as error:
            problem = type(error).__name__
        else:
            return
        # Not its text, in which dlt puts the whole answer.
        raise ResponseShapeError(
            f"{self._page()} has not what the paginator `{self.kind}` looks for ({problem}). Check the fields of the option `paginator`."
        )

    def _end(self, response: Response, answer: Answer) -> None:
        if self._has_more.says_no(answer.body):
            # Where an API says so itself, the cursor that it gives beside it is no next page.
            self.read.end_pass()
            return
        not_proven = NOT_PROVEN if self._asked > 1 else ONE_PAGE if self.kind == "single_page" else ""
        self.end(response, answer, not_proven if self.read.total is None else "")

    def _ignored(self) -> ResponseShapeError:
        return ResponseShapeError(
            f"{self._page()} has the records of the page before it: the API seems to ignore what names the next page. Check the fields "
            f"of the option `paginator`, a `{self.kind}` here."
        )

    def _page(self) -> str:
        return f"Page {max(1, self._asked)} at {self._path}"


def _question(request: Request) -> str:
    asked = (request.url, request.params, request.json, request.data)
    return json.dumps(asked, sort_keys=True, default=str)
