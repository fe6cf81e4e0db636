"""Reads on where positions end: a collection that has more than an API gives by position is read in slices of time.

In: a paginator that counts on (offsets, page numbers), and how a slice is asked for (`extract/slices.py`). Out: the same records, of one
slice after the other, the earliest first. Until an end of the positions is met, this is that paginator and nothing more.

What is proven: each slice, by the rules of its paginator and with its own total; and all of them together, by the total that the API
gave for the whole when the reading began. A record that two slices share, as those of an API whose filter includes both ends, is
handed on once. A record that changes while the slices are read leaves its slice for a later one, or for a later window; without a window
the last slice is open-ended and read last, so that it is found there. Was it handed on before, it is not handed on again: as in any other
read, what changes behind the reader is for the next one. Nothing is proven where the field at `cursor_path` is set to a past instant.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from include.errors import ResponseShapeError
from include.extract.completeness import CollectionMoved, Record, WholeRead
from include.extract.paginators.proven import ProvenPaginator, ReadParts
from include.extract.response import nothing_there
from include.extract.slices import Slice, Slicing

# By what an API says that it gives nothing at a position, whatever there is.
_BEYOND_THE_LARGEST = (400, 422)


class SlicedPaginator(ProvenPaginator, BasePaginator):
    """`make` makes the paginator that counts on. `maximum`: the largest position that the API gives; None: nobody has said."""

    def __init__(
        self,
        parts: ReadParts,
        make: Callable[[ReadParts], Any],
        maximum: int | None = None,
        spawn: Callable[[], Self] | None = None,
    ) -> None:
        super().__init__()
        self._make = make
        self._maximum = maximum
        self._reach = None if maximum is None else maximum - 1
        self._inner = make(parts)
        self.kind = self._inner.kind
        self.position_param = self._inner.position_param
        # Of the pass before: its slices, and the reads of those that have to be read again.
        self._slices_before: list[Slice] = []
        self._moved_before: dict[Slice, WholeRead] = {}
        self.set_up(parts, spawn)

    # --- called by dlt

    def init_request(self, request: Request) -> None:
        """Begin at the beginning, with the whole: a read, or another pass of one."""
        self._params = dict(request.params or {}) if not isinstance(request.params, bytes) else {}
        self._slice: Slice | None = None
        self._todo: list[Slice] = []
        self._done: list[Slice] = []
        self._moved: dict[Slice, WholeRead] = {}
        self._stretches = False
        self._is_refused = self._is_at_end = False
        self._begins_slice = False
        self._seen: Slice | None = None
        self._has_next_page = True
        self._begin(request, self.read)

    def update_request(self, request: Request) -> None:
        """The next page, or the first one of the next slice."""
        if not self._begins_slice:
            self._inner.update_request(request)
            return
        self._begins_slice = False
        part, slicing = self._slice, self.parts.slicing
        assert part is not None
        assert slicing is not None
        self.parts.on_slice_end(self.hook)
        written = {**self._params, **slicing.write(part)}
        request.params = {name: value for name, value in written.items() if value is not None}
        self._begin(request, self._moved_before.get(part) or self.read.of_part())

    def _begin(self, request: Request, read: WholeRead) -> None:
        is_part = read is not self.read
        self._inner = self._make(replace(self.parts, read=read, is_part=is_part, on_end=lambda _hook, _read: None))
        self._inner.init_request(request)
        # A hook for each slice: positions begin anew, and what was fetched ahead is of the slice before.
        self.hook = self.new_hook()
        self.hook.attach(request)

    # --- asked by the prefetch, and by the response hook

    def upcoming(self, position: int) -> Iterable[int]:
        """As the paginator that counts on, as far as the API may give them."""
        ahead: Iterable[int] = self._inner.upcoming(position)
        if self._reach is None or self._inner.read.total is not None:
            return ahead
        return self._within_reach(ahead, self._reach)

    def _within_reach(self, ahead: Iterable[int], reach: int) -> Iterator[int]:
        return (position for position in ahead if self._inner.before(position) <= reach)

    def settle(self, response: Response) -> Response:
        """An answer that says that positions end here is none of the paginator's."""
        settled: Response = self._inner.settled(response)
        if response.status_code not in _BEYOND_THE_LARGEST or not self._may_end_here():
            return settled
        # Without a total, a refusal is the API's to explain where slices are of no help.
        is_refused = settled is response and (self._inner.read.total is not None or self._maximum or self._halves())
        if not is_refused and not (settled is not response and self._hides_the_end() and self._halves()):
            return settled
        self._is_refused = True
        return nothing_there(response)

    def _may_end_here(self) -> bool:
        """Positions end at round numbers: there is one about here."""
        rows, length = self._inner.read.rows, self._inner.page_length
        return bool(rows) and _has_round(rows - length, self._inner.before(self._inner.current_value) + length)

    def _is_clamped(self) -> bool:
        """The last page came again, and the API promises more: without a total, it may as well be the end."""
        total, rows = self._inner.read.total, self._inner.read.rows
        return bool(self._inner.gave_last_page_again and total is not None and rows < total) and self._may_end_here()

    def _hides_the_end(self) -> bool:
        """It may be the end, but the page that would show it is none that the API gives."""
        return bool(self._inner.overlaps and self._inner.read.rows > self._inner.page_length)

    # --- an answer

    def _take(self, response: Response, data: list[Any] | None) -> None:
        if self._ends_here(response, data):
            self._cut()
        elif self._inner.has_next_page:
            return
        elif self._slice is not None:
            self._end_slice(self._slice)
        else:
            self._has_next_page = False

    def _ends_here(self, response: Response, data: list[Any] | None) -> bool:
        """Hand on what the answer brings. Whether positions end before what is read does."""
        read = self._inner.read
        if self._is_refused:
            self._is_refused = False
            read.handed_on = []
            return self._end_positions()
        try:
            self._inner.update_state(response, data)
        except CollectionMoved:
            # Where slices are of no help, another pass tells an end of the positions from a collection that moved.
            if self._is_clamped() and self._halves():
                return self._end_positions()
            if self._slice is None:
                raise
            self._moved[self._slice] = read
        except ResponseShapeError:
            if not self._is_clamped():
                raise
            self._is_at_end = True
            raise self._cannot_be_read() from None
        if not self._is_beyond_reach():
            self._hand_on()
            return False
        read.handed_on = [*read.handed_on, *read.let_go()]
        self._hand_on()
        return True

    def _end_positions(self) -> bool:
        """The API gives no more than what it gave."""
        read = self._inner.read
        # Where pages overlap, the last one begins before the end, and may not reach beyond it either.
        reach = read.rows - self._inner.page_length * self._inner.overlaps
        self._reach = reach if self._reach is None else min(self._reach, reach)
        self._is_at_end = True
        read.handed_on = [*read.handed_on, *read.let_go()]
        self._hand_on()
        return True

    def _hand_on(self) -> None:
        part = self._inner.read
        if part.total is None and self.parts.slicing is not None:
            # Without a total, each cut costs all that was read: the next one has to be where the records are.
            self._see(self.parts.slicing, part.handed_on)
        if part is not self.read:
            self.read.join(self.reader.keys_of(part.handed_on), part.handed_on)

    def _see(self, slicing: Slicing, records: Sequence[Record]) -> None:
        instants = [instant for record in records if (instant := slicing.instant_of(record)) is not None]
        if self._seen is not None:
            instants += [instant for instant in (self._seen.start, self._seen.end) if instant is not None]
        self._seen = Slice(min(instants), max(instants)) if instants else None

    def _is_beyond_reach(self) -> bool:
        total, rows = self._inner.read.total, self._inner.read.rows
        if self._slice in self._moved or self._reach is None:
            return False
        if not self._inner.has_next_page:
            # Some count no further than they give.
            return bool(rows > self._reach and (total is None or total == self._maximum))
        if self._slice is None and self._slices_before and total is None:
            return True
        return bool((rows if total is None else total) > self._reach and not self._stretches)

    # --- slices

    def _cut(self) -> None:
        """Read the halves in place of what does not fit. Raises ResponseShapeError (permanent) where that cannot be."""
        halves = self._halves()
        if not halves:
            if not self._may_stretch():
                raise self._cannot_be_read()
            self._stretches = True
            return
        if self._slice is None:
            self.read.begin_parts()
        self._todo = [*halves, *self._todo]
        self._next_slice()

    def _halves(self) -> Sequence[Slice]:
        slicing = self.parts.slicing
        if slicing is None or slicing.missing:
            return ()
        if self._slice is None and self._slices_before:
            return self._slices_before
        now = datetime.now(UTC).replace(microsecond=0)
        return slicing.halves(self._slice or slicing.whole, now, self._seen) or ()

    def _may_stretch(self) -> bool:
        """What can be read in no other way, and by its total is no longer than the last page that may be asked for."""
        total = self._inner.read.total
        if self._is_at_end or self._maximum is None or total is None or not self._inner.has_next_page:
            return False
        return bool(self._maximum < total <= self._maximum + self._inner.page_length)

    def _end_slice(self, part: Slice) -> None:
        self._done.append(part)
        notes, read = self.read.progress.notes, self._inner.read
        if part in self._moved:
            self.read.moved(f"the slice {part}", "does not hold still")
        else:
            self.read.end_part(read)
        if not_proven := read.progress.notes.get("not_proven"):
            notes["not_proven"] = not_proven
        if self._todo:
            self._next_slice()
            return
        self._has_next_page = False
        self._slices_before, self._moved_before = self._done, self._moved
        self.read.end_pass()
        notes["slices"] = len(self._done)

    def _next_slice(self) -> None:
        self._slice = self._todo.pop(0)
        self._stretches, self._is_at_end, self._begins_slice = False, False, True
        self._seen = None

    def _cannot_be_read(self) -> ResponseShapeError:
        slicing = self.parts.slicing
        missing = slicing.missing if slicing else ("cursor_path", "start_param", "end_param")
        if slicing is None or missing:
            options = " and ".join(f"`{name}`" for name in missing)
            return ResponseShapeError(
                f"{self._what_is_given('the collection')}. To have it read in slices of time, set the "
                f"option{'s' if len(missing) > 1 else ''} {options}: the field that says when a record changed, and the parameters "
                "that filter on it from an instant and up to one. Nothing was loaded."
            )
        part = f"what changed in the slice {self._slice or slicing.whole}"
        return ResponseShapeError(
            f"{self._what_is_given(part)}. It cannot be halved any further, since its records changed at one instant, as far as "
            "`cursor_format` can say. Nothing was loaded. Set another `cursor_path`, or `params` that select a part of them."
        )

    def _what_is_given(self, what: str) -> str:
        total = self._inner.read.total
        gives = f"{self._inner.read.rows if self._is_at_end else self._maximum} of them, by position, at {self._path}"
        if total is None or total == self._maximum:
            return f"Of {what} the API may have more, and gives at most {gives}"
        return f"Of {what} the API promises {total} records at `{self.read.total_path}` and gives {gives}"


def _has_round(low: int, high: int) -> bool:
    """Whether a number of hundreds, thousands and so on lies above `low` and up to `high`."""
    step = 10 ** (len(str(high)) - 1)
    return step >= 100 and bool(high // step * step > low)
