"""The proof that a read was whole, whatever the API pages by.

In: what was asked for, the records that came, the total that the answer named, and whether a page had to begin with the
record that ended the one before. Out: the records to hand on, each once and in the newest version seen; and at the end
of a pass a verdict: whole, or `CollectionMoved` (read it again), or what is wrong with the settings. Knows no HTTP.

Why a boundary that held proves that nothing was left out: records keep their order, so whatever was there throughout
lies between two records that both pages of a boundary have seen, and one page has all that lies between them.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenacity import RetryCallState, Retrying

from include.errors import ResponseShapeError, TransientError, causes
from include.extract.key_set import KeySet

Record = dict[str, Any]

# A collection that changes while it is read is read again, whole, so many times at the most.
MAX_PASSES = 3
# Keys that came twice are looked at in the next pass: so many of them, the others only count as movement.
WATCHED_KEYS = 1000


class CollectionMoved(TransientError):
    """The collection changed while it was read: nothing of this pass may be loaded.

    `another_pass`: it is worth reading again at once. Each pass is an extract of its own, and only the last is loaded.
    """

    def __init__(self, message: str, another_pass: bool) -> None:
        super().__init__(message)
        self.another_pass = another_pass


def _no_other_pass(attempt: RetryCallState) -> bool:
    error = attempt.outcome.exception() if attempt.outcome else None
    return not any(isinstance(cause, CollectionMoved) and cause.another_pass for cause in causes(error))


# Around `dlt.Pipeline.run`: runs a source again, at once, while its collection moves; anything else is not tried again.
# `stop` and not `retry`: dlt's Airflow helper puts a `retry` of its own in its place.
PASSES = Retrying(stop=_no_other_pass, reraise=True)


@dataclass
class ReadProgress:
    """What one read saw. `promised_rows` is the API's last word on the total; None: it gives none."""

    pages: int = 0
    """Pages that brought something, and the one that told of an empty collection; of all passes."""
    passes: int = 1
    promised_rows: int | None = None
    ids: KeySet = field(default_factory=KeySet)
    """The primary keys of the records of the last pass."""
    outside_window: set[Hashable] = field(default_factory=set)
    """Those among `ids` that the window leaves out."""
    processed: KeySet | None = None
    """The primary keys of what the declaration's `processing_steps` have made of them; None: there are no such steps."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What the report has to say beside the counts, by name."""

    @property
    def rows(self) -> int:
        """Distinct records that were handed on to the load."""
        if self.processed is not None:
            return len(self.processed)
        return len(self.ids) - len(self.outside_window)


@dataclass(frozen=True)
class Page:
    """One answer. `asked`: the offset, page number or cursor that was asked for; `answered_at`: seconds of a clock that
    only goes forward, the same for all pages of a read.
    """

    asked: Hashable
    keys: Sequence[Hashable]
    records: Sequence[Record]
    total: int | None = None
    answered_at: float = 0.0


@dataclass
class _Held:
    """The last record of a page, until the next page shows it again, perhaps in a newer version."""

    key: Hashable
    record: Record
    answered_at: float


class WholeRead:
    """One read of a collection, of one pass or several. `begin_pass`, `take` for each page, `end_pass`.

    Lives outside dlt's copies of the configuration.
    """

    def __init__(
        self,
        progress: ReadProgress,
        total_path: str | None,
        clock: Callable[[], float] = time.monotonic,
        twice: bool = False,
    ) -> None:
        """`twice`: one pass proves nothing by itself; a second one has to find exactly the same records."""
        self.twice = twice
        self.progress = progress
        self.total_path = total_path
        self.clock = clock
        self.goes_on = False
        """The last pass moved, and another one may follow."""

    def __deepcopy__(self, _: Any) -> "WholeRead":
        # dlt copies the paginator for each parent row; what a read has counted is one.
        return self

    # --- a pass

    def resume(self, earlier: "WholeRead") -> None:
        """Be what `earlier` was, whose pass moved: the next one is compared with it."""
        vars(self).update(vars(earlier))

    def begin_pass(self) -> None:
        """The collection is read from its beginning: once more where the last pass moved, else as a new read."""
        if self.goes_on:
            self.progress.passes += 1
            self.progress.outside_window = set()
        else:
            processed = self.progress.processed
            self.progress.__init__()  # type: ignore[misc]
            self.progress.processed = processed
            # What the pass before has found.
            self._before = KeySet()
            self._total_before: int | None = None
            self._moves_before: list[tuple[Hashable, str]] = []
            self._watched: dict[Hashable, Hashable] = {}
        self.goes_on = False
        self._keys = self.progress.ids = KeySet()
        self.total: int | None = None
        self._moves: list[tuple[Hashable, str]] = []
        self._repeats: dict[Hashable, Hashable] = {}
        self._first_seen: dict[Hashable, Record] = {}
        self.same_twice = 0
        """Records that the API lists twice."""
        self._came_twice = False
        self._began = False
        self._held: _Held | None = None
        self._last_page: tuple[Hashable, ...] = ()
        self.handed_on: list[Record] = []

    @property
    def rows(self) -> int:
        """Distinct records of this pass so far."""
        return len(self._keys)

    @property
    def counted(self) -> int:
        """Records as the API counts them: those that it lists twice are two."""
        return len(self._keys) + self.same_twice

    @property
    def promise_is_met(self) -> bool:
        """The API has named a total, and so many records are read."""
        return self.total is not None and len(self._keys) >= self.total

    @property
    def last_key(self) -> Hashable:
        """The key of the last record of the last page that had any; meaningless before one came."""
        return self._last_page[-1] if self._last_page else None

    def is_known(self, keys: Sequence[Hashable]) -> bool:
        """All of `keys` have been read in this pass."""
        return self._keys.issuperset(list(keys))

    def repeats_last_page(self, keys: Sequence[Hashable]) -> bool:
        """`keys` end as the last page did and bring nothing new, as from an API that gives its last page for ever."""
        return bool(keys) and keys[-1] == self.last_key and self.is_known(keys)

    def note_total(self, total: int | None) -> None:
        """What an answer says of the total. The last word counts."""
        if total is not None:
            self.total = self.progress.promised_rows = total

    def moved(self, asked: Hashable, how: str) -> None:
        """The page that was `asked` for shows that the collection changed, or the order of its records did."""
        self._moves.append((asked, how))

    def take(self, page: Page, overlaps: bool = False, holds_last: bool = False) -> None:
        """Take one page; `handed_on` then has its records, and those before that waited for it.

        `overlaps`: the page has to begin with the record that ended the one before. `holds_last`: the next page will
        overlap with this one, so that its last record waits. Raises ResponseShapeError (permanent) where the key does
        not tell two records apart.
        """
        self.note_total(page.total)
        keys, records = list(page.keys), list(page.records)
        keys, records = self._drop_same_in_page(page.asked, keys, records)
        out, begin = self._release(page.asked, page.answered_at, keys, records, overlaps)
        fresh_keys, fresh = self._keep_new(page.asked, keys[begin:], records[begin:])
        out.extend(fresh)
        if fresh_keys or not self._began:
            self.progress.pages += 1
        self._began = True
        if keys:
            self._last_page = tuple(keys)
        is_last_of_page = fresh_keys[-1] == keys[-1] if fresh_keys else begin == len(keys) == 1
        if holds_last and is_last_of_page:
            # Kept back: the next page shows it again.
            self._held = _Held(keys[-1], out.pop(), page.answered_at)
        self.handed_on = out

    def _release(
        self, asked: Hashable, answered_at: float, keys: list[Hashable], records: list[Record], overlaps: bool
    ) -> tuple[list[Record], int]:
        """The record that waited, if one did, in its newer version; and how many of `records` are that one again."""
        held, self._held = self._held, None
        if held is None:
            return [], 0
        if overlaps and keys and keys[0] == held.key:
            return [records[0] if answered_at >= held.answered_at else held.record], 1
        if overlaps:
            self.moved(asked, "does not begin with the record that ended the one before")
        return [held.record], 0

    def _drop_same_in_page(
        self, asked: Hashable, keys: list[Hashable], records: list[Record]
    ) -> tuple[list[Hashable], list[Record]]:
        if len(set(keys)) == len(keys):
            return keys, records
        first: dict[Hashable, Record] = {}
        for key, record in zip(keys, records, strict=True):
            if first.setdefault(key, record) != record:
                raise self._not_unique(f"the page at {asked} has two records with one key and different content")
        self.same_twice += len(keys) - len(first)
        return list(first), list(first.values())

    def _keep_new(
        self, asked: Hashable, keys: list[Hashable], records: list[Record]
    ) -> tuple[list[Hashable], list[Record]]:
        if self._watched:
            self._watch(asked, keys, records)
        before = len(self._keys)
        known = None if self._keys.isdisjoint(keys) else [key in self._keys for key in keys]
        self._keys.update(keys)
        if known is None and len(self._keys) - before == len(keys):
            return keys, records
        assert known is not None
        for position, (key, is_known) in enumerate(zip(keys, known, strict=True)):
            if is_known:
                self._repeated(key, (asked, position))
        fresh = [(key, record) for key, record, old in zip(keys, records, known, strict=True) if not old]
        return [key for key, _ in fresh], [record for _, record in fresh]

    def _repeated(self, key: Hashable, where: Hashable) -> None:
        if key in self._watched and self._watched[key] == where and key in self._first_seen:
            # The same two positions in two passes, and the same content: one record that the API lists twice.
            self.same_twice += 1
        else:
            self._came_twice = True
        if len(self._repeats) < WATCHED_KEYS:
            self._repeats[key] = where

    def _watch(self, asked: Hashable, keys: list[Hashable], records: list[Record]) -> None:
        for position, (key, record) in enumerate(zip(keys, records, strict=True)):
            if key not in self._watched:
                continue
            first = self._first_seen.setdefault(key, record)
            if first is not record and first != record and self._watched[key] == (asked, position):
                raise self._not_unique(
                    "two records with one key and different content come at the same places each time"
                )

    def _not_unique(self, what: str) -> ResponseShapeError:
        return ResponseShapeError(
            f"The primary key does not tell records apart: {what}. Nothing was loaded; set the option `primary_key` to a "
            "field, or to a list of fields, that no two records share."
        )

    # --- parts, each proven by a read of its own

    def of_part(self) -> "WholeRead":
        """The read of a part."""
        return WholeRead(ReadProgress(), self.total_path, self.clock)

    def begin_parts(self) -> None:
        """What was read so far is no part of the proof: the collection is read in parts from here on (`join`)."""
        self.goes_on = False
        self._moves, self._repeats = [], {}
        self.same_twice, self._came_twice = 0, False
        self.handed_on = [*self.handed_on, *self.let_go()]

    def let_go(self) -> list[Record]:
        """The record that waits for the next page, where no page follows: `handed_on` had all before it."""
        held, self._held = self._held, None
        return [] if held is None else [held.record]

    def join(self, keys: Sequence[Hashable], records: Sequence[Record]) -> None:
        """Records that a part hands on: those of other parts, as at their common bound, are not handed on again."""
        fresh = [(key, record) for key, record in zip(keys, records, strict=True) if key not in self._keys]
        self._keys.update([key for key, _ in fresh])
        self.progress.pages += bool(fresh)
        self.handed_on = [record for _, record in fresh]

    def end_part(self, part: "WholeRead") -> None:
        """A part was whole."""
        self.same_twice += part.same_twice

    # --- its end

    def end_pass(self) -> None:
        """The end was seen; `handed_on` has the record that waited, too. Returns where the read is whole.

        Raises CollectionMoved (transient) where another pass is needed, and ResponseShapeError (permanent) where
        another pass would find the same.
        """
        if self._held is not None:
            self.handed_on.append(self._held.record)
            self._held = None
        rows, total, counted = len(self._keys), self.total, self.counted
        # Not only no new key: one that is gone may have hidden another.
        same_as_before = self.progress.passes > 1 and rows == len(self._before) and self.is_known(list(self._before))
        if self._is_whole(counted, same_as_before):
            if total is not None and counted > total:
                self.progress.notes["total_is_no_count"] = f"promised {total}, read {rows}"
            if self.same_twice:
                self.progress.notes["records_listed_twice"] = self.same_twice
            return
        if total is not None and counted < total and same_as_before and total == self._total_before:
            raise self._wrong_setting(rows, total)
        if total is None and same_as_before and self._moves and self._moves == self._moves_before:
            raise self._does_not_follow()
        self._before, self._total_before, self._moves_before = self._keys, total, self._moves
        self._watched = self._repeats
        self.goes_on = self.progress.passes < MAX_PASSES
        raise CollectionMoved(self._why_moved(rows, total), self.goes_on)

    def _is_whole(self, counted: int, same_as_before: bool) -> bool:
        if self.twice and not same_as_before:
            return False
        if not self._moves and not self._came_twice:
            # Less promised than met: the total is no count of this collection.
            return self.total is None or counted >= self.total
        return same_as_before and counted == self.total

    def _wrong_setting(self, rows: int, total: int) -> ResponseShapeError:
        twice = f" ({len(self._repeats)} of them came twice)" if self._repeats else ""
        return ResponseShapeError(
            f"The API promises {total} records at `{self.total_path}` and gives {rows}{twice}, the same ones each time "
            "that it is read: nothing moves, so a setting is wrong. Either the total counts something else (set "
            "`total_path`; an empty text: there is none), or records share a key (set `primary_key`), or the API gives "
            "not all of them without a filter or beyond a largest offset (set `params`). Nothing was loaded."
        )

    def _does_not_follow(self) -> ResponseShapeError:
        asked, how = self._moves[0]
        return ResponseShapeError(
            f"The page at {asked} {how}, the same way each time that the collection is read: nothing moves, so a setting is "
            "wrong. Give it an order (`params`); or the API has a largest offset, or answers in pages of its own: then set "
            "the option `overlap` to false. Nothing was loaded."
        )

    def _why_moved(self, rows: int, total: int | None) -> str:
        changed = f"The collection changed each of the {MAX_PASSES} times it was read"
        if self.goes_on:
            changed = "The collection changed while it was read"
        promised = f"the API promised {total} records, the last read met {rows}" if total is not None else f"{rows} met"
        why = "; a record came twice" if self._came_twice else ""
        if self._moves:
            asked, how = self._moves[0]
            why = f"; the page at {asked} {how}"
        return (
            f"{changed}: {promised}{why}. Nothing was loaded. Try again when it is quieter, give it "
            "an order that updates do not change (`params`), or set `cursor_path` to read only what changed."
        )
