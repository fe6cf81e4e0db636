"""What all paginators here have in common: each page goes through the proof, and the end of a pass is checked.

In: a read, and the reader of its answers. Out: a mixin to stand before dlt's paginators. What one kind knows beyond it, where to
ask next and how its end is seen, is in the module of that kind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Self

from requests import Request, Response

from include.errors import ResponseShapeError
from include.extract.answer import Answer, AnswerReader
from include.extract.completeness import Page, WholeRead
from include.extract.more import larger_total, says_more
from include.extract.prefetch import nothing_ahead
from include.extract.read_hook import ReadHook
from include.extract.response import nothing_there
from include.extract.slices import Slicing
from include.extract.traffic import Traffic

# What says that there is nothing at a place that was asked for, and not that something is wrong.
NO_SUCH_PAGE = (400, 404, 409, 410, 412, 416, 422)


class Siblings:
    """What the reads of one resource for many parents know of each other. Safe to use from any thread."""

    def __init__(self) -> None:
        self._longest = 0
        self._lock = Lock()

    def is_short(self, length: int) -> bool:
        """Whether a page of `length` is shorter than one that this API has given; it is remembered."""
        with self._lock:
            self._longest = max(self._longest, length)
            return length < self._longest


@dataclass
class ReadParts:
    """What a paginator is made of, beside the numbers of its kind.

    `path`: the address without its query, for errors. `total_is_set`: somebody has said where the total is. `siblings` None: the
    resource is read once, and not for each of its parents. `ignored`: the declaration's `response_actions` by which an answer counts as
    an empty one. `fetch_ahead` sends the next request while a page is processed.
    """

    read: WholeRead
    reader: AnswerReader
    path: str
    total_is_set: bool
    siblings: Siblings | None = None
    ignored: Sequence[Mapping[str, Any]] = ()
    fetch_ahead: Callable[[Request], None] = lambda _request: None
    on_end: Callable[[ReadHook, WholeRead], None] = lambda _hook, _read: None
    """Called when a pass is over, well or not."""
    before_pass: Callable[[Request], None] = lambda _request: None
    """Called when a pass begins, with its first request."""
    is_part: bool = False
    """What is read is a part of a collection: the answers before it count, too."""
    slicing: Slicing | None = None
    """How a collection is read in slices whose end no position reaches; None: nobody knows."""
    on_slice_end: Callable[[ReadHook], None] = lambda _hook: None
    """Called when nothing more is asked for with one hook of a read, and another one follows."""
    traffic: Traffic = field(default_factory=Traffic)
    """Counts what is sent."""


class ProvenPaginator:
    """To stand before one of dlt's paginators.

    Raises ResponseShapeError and ConfigurationError (permanent), CollectionMoved (transient) at the end of a pass that
    was not whole.
    """

    # dlt's paginators have these.
    _has_next_page: bool
    kind: str = ""
    """The name of the kind, as the option `paginator` has it."""
    position_param: str | None = None
    """The query parameter of the position; None: there is none, or it is in the body."""

    def set_up(self, parts: ReadParts, spawn: Callable[[], Self] | None = None) -> None:
        """`spawn` makes another one for the next parent; None: there is one read."""
        self.parts = parts
        self.read, self.reader = parts.read, parts.reader
        self._path = parts.path.partition("?")[0]
        self._spawn = spawn
        self.hook = self.new_hook()

    def new_hook(self) -> ReadHook:
        """What the next requests carry."""
        in_turn = self.parts.siblings is not None
        return ReadHook(self.settled, self.position_param, self.upcoming, in_turn, self.parts.traffic)

    def __deepcopy__(self, _: Any) -> Self:
        # dlt copies the configuration to check it, and the paginator of a child for each parent.
        return self._spawn() if self._spawn else self

    def upcoming(self, _: int) -> Iterable[int]:
        """The positions that will be asked for after one."""
        return nothing_ahead(_)

    def begin(self, request: Request) -> None:
        """Begin at the beginning: a read, or another pass of one."""
        self.hook.attach(request)
        self.parts.before_pass(request)
        self.read.begin_pass()
        if not self.parts.is_part:
            self.reader.start_pass()
        self._has_next_page = True

    def settled(self, response: Response) -> Response:
        """What an answer counts as, after the declaration has said which ones it ignores."""
        if any(_is_meant(action, response) for action in self.parts.ignored):
            return nothing_there(response)
        return self.settle(response)

    def settle(self, response: Response) -> Response:
        """What an answer counts as: itself."""
        return response

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Check one answer and plan the next question. Called by dlt."""
        goes_on = False
        try:
            self._take(response, data)
            goes_on = self._has_next_page
        finally:
            if not goes_on:
                self.parts.on_end(self.hook, self.read)

    def _take(self, response: Response, data: list[Any] | None) -> None:
        raise NotImplementedError

    def page_of(self, asked: Any, answer: Answer, response: Response) -> Page:
        """The answer as the proof takes it."""
        answered_at = getattr(response, "answered_at", None) or self.read.clock()
        return Page(asked, answer.keys, answer.records, answer.total, answered_at)

    def compare_total(self, page: Page, total_before: int | None) -> None:
        """Of pages that do not overlap: a record that went moves one from a page that is not read yet to one that is read."""
        if page.total is not None and total_before is not None and page.total < total_before:
            self.read.moved(page.asked, "has a smaller total than one before it")

    def needs_no_second_question(self, answer: Answer) -> bool:
        """A child's first page, which tells by itself that it is all."""
        length = len(answer.records)
        if self.parts.siblings is None:
            return False
        is_short = self.parts.siblings.is_short(length)
        return answer.total == length if answer.total is not None else is_short

    def end(self, response: Response, answer: Answer, not_proven: str = "", read_to: int = 0) -> None:
        """The pass is over: prove it, and hear what the last answer says of more."""
        self.read.end_pass()
        rows = self.read.rows
        if not_proven and not self.read.twice:
            self.read.progress.notes["not_proven"] = not_proven
        link = response.headers.get("Link", "")
        if place := says_more(answer.body, link, self.position_param or "", read_to):
            raise ResponseShapeError(
                f"The read ended after {rows} records, but the last answer says at `{place}` that there are more: {self.what_to_set()} "
                "Nothing was loaded."
            )
        if self.parts.total_is_set or self.read.total is not None:
            return
        if found := larger_total(answer.body, self.read.counted):
            place, total = found
            raise ResponseShapeError(
                f"The read ended after {rows} records, but the last answer has {total} at `{place}`: set the option "
                f"`total_path` to `{place}` if that is the number of records, or to an empty text if it is not. Nothing "
                "was loaded."
            )

    def what_to_set(self) -> str:
        """What somebody has to change where the API has more than this kind of paging finds."""
        return (
            f"the paginator `{self.kind}` does not get there. Set the option `paginator` to the kind by which the API pages, or its "
            "fields to the names that the API knows."
        )


def _is_meant(action: Mapping[str, Any], response: Response) -> bool:
    """As dlt decides it."""
    status, content = action.get("status_code"), action.get("content")
    if status is None and content is None:
        return False
    return (status is None or response.status_code == status) and (content is None or content in response.text)
