"""Offset pagination that proves the read was whole, or fails.

In: the pages of one collection, in order, as dlt's REST client hands them over. Out: the same pages, each record
once, and a `ReadProgress` with what the API promised and what came. dlt's own paginator takes `total` as a stop
rule only, and ends green on an answer that holds no records at all.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from requests import Request, Response

from include.configure.options import SourceOptions, json_path
from include.errors import ConfigurationError, ResponseShapeError, TransientError
from include.extract.key_set import KeySet

# A collection that changes while it is read is read again, whole, so many times at the most.
MAX_PASSES = 3
# For each request at once: those behind the first wait to be processed, so that the requests go on while a batch is written.
PAGES_IN_MEMORY = 4

_JSON_TYPES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
}
_KEY_TYPES = {str: "texts", bool: "truth values", int: "integers", float: "fractions"}


@dataclass
class ReadProgress:
    """What one read saw. `promised_rows` is the API's last word on the total; None: it gives none."""

    pages: int = 0
    passes: int = 1
    promised_rows: int | None = None
    ids: KeySet = field(default_factory=KeySet)
    """The primary keys of all records read, of every pass."""
    outside_window: set[Hashable] = field(default_factory=set)
    """Those among `ids` that the window leaves out."""

    @property
    def rows(self) -> int:
        """Distinct records that were handed on to the load."""
        return len(self.ids) - len(self.outside_window)


class WholeReadPaginator(OffsetPaginator):
    """Steps through `offset`, checks the shape of each page, and reads again what moved under it.

    Raises ResponseShapeError and ConfigurationError (permanent), TransientError when the collection would not
    hold still for `MAX_PASSES` reads.
    """

    def __init__(self, options: SourceOptions, progress: ReadProgress) -> None:
        super().__init__(
            limit=options.page_size, offset_param=options.offset_param, limit_param=options.limit_param, total_path=None
        )
        self._options = options
        self.progress = progress
        self.on_end: Callable[[], None] = lambda: None
        """Called when the read is over, well or not."""
        self._selector = json_path("data_selector", options.data_selector)
        self._total_selector = json_path("total_path", options.total_path) if options.total_path else None
        self._start_pass()

    def _start_pass(self) -> None:
        self._next_offset = 0
        # In the first pass the ids of the pass are all ids: one set of a million is enough.
        self._pass_ids = self.progress.ids if self.progress.passes == 1 else KeySet()
        self._key_types: set[type] = set()
        self._total: int | None = None
        self._shrank = False
        self._probing_cap = False
        self._asking_again = False

    def upcoming(self, offset: int) -> Iterable[int]:
        """The offsets that will be asked for after `offset`, as far as the pages so far tell and as may be read ahead."""
        # Before the first page there is no plan, and at the end of a pass only one page is left to ask for.
        if self._next_offset == 0 or self._probing_cap or self._asking_again:
            return ()
        step, parallel = self._options.page_size, self._options.max_parallel_requests
        if self._total is None:
            # Any of them may be beyond the end.
            return islice(count(offset + step, step), parallel - 1)
        # One page after the other means just that: nothing is read ahead.
        return range(offset + step, self._total, step)[: PAGES_IN_MEMORY * parallel - 1 if parallel > 1 else 0]

    def init_request(self, request: Request) -> None:
        """Begin at the beginning, also when dlt runs the same source a second time."""
        self.progress.__init__()  # type: ignore[misc]
        self._start_pass()
        super().init_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Check one page, drop from `data`, in place, the records that were read before, and plan the next."""
        goes_on = False
        try:
            self._take(response, data)
            goes_on = self.has_next_page
        finally:
            if not goes_on:
                self.on_end()

    def _take(self, response: Response, data: list[Any] | None) -> None:
        body = response.json()
        records = self._records_of(body)
        ids = self._ids_of(records)
        total_before = self._total
        self._note_total(body)
        # The question for the total beyond the end is no page.
        self.progress.pages += bool(records) or not self._asking_again
        if self._probing_cap:
            self._end_probe(ids)
        else:
            self._refuse_repeated_page(ids, total_before)
        self._keep_new(ids, data)
        if not self._probing_cap:
            if self._pass_ids is not self.progress.ids:
                self._pass_ids.update(ids)
            # Not `records`: that is the very list which has lost what is not new.
            self._plan_next(len(ids))
        self.current_value = self._next_offset

    def _records_of(self, body: Any) -> list[dict[str, Any]]:
        selector = self._options.data_selector
        matches = self._selector.find(body)
        if len(matches) != 1 or not isinstance(matches[0].value, list):
            found = f"{_json_type(matches[0].value)} there" if len(matches) == 1 else f"{_describe(body)}"
            raise ResponseShapeError(
                f"{self._page()} has no list of records at `{selector}`: found {found}. If the records are elsewhere, "
                "set the option `data_selector`."
            )
        records: list[Any] = matches[0].value
        if set(map(type, records)) - {dict}:
            position, found = next((at, _json_type(one)) for at, one in enumerate(records) if not isinstance(one, dict))
            raise ResponseShapeError(f"{self._page()} holds {found} where record {position} should be an object.")
        return records

    def _ids_of(self, records: list[dict[str, Any]]) -> list[Hashable]:
        key = self._options.primary_key
        ids = [record.get(key) for record in records]
        types = set(map(type, ids))
        if types & {type(None), dict, list}:
            bad = next(record for record, id_ in zip(records, ids, strict=True) if isinstance(id_, dict | list | None))
            found = _json_type(bad[key]) if key in bad else "nothing"
            raise ResponseShapeError(
                f"{self._page()} holds a record whose primary key `{key}` is {found}. If records are known by "
                "another field, set the option `primary_key`."
            )
        self._key_types |= types
        if len(self._key_types) > 1:
            # The column of the key has one type: 1 and "1" would end as one row, and "a" among numbers as null.
            kinds = " and ".join(sorted(_KEY_TYPES[key_type] for key_type in self._key_types))
            raise ResponseShapeError(
                f"{self._page()} mixes primary keys `{key}` that are {kinds}: a table cannot tell 1 from '1'. If records "
                "are known by another field, set the option `primary_key`."
            )
        return ids

    def _note_total(self, body: Any) -> None:
        matches = self._total_selector.find(body) if self._total_selector and isinstance(body, dict) else []
        value = matches[0].value if matches else None
        if value is None:
            return
        try:
            total = int(value) if not isinstance(value, bool) else -1
        except (TypeError, ValueError, OverflowError):
            total = -1
        if total < 0 or (isinstance(value, float) and value != total):
            raise ResponseShapeError(
                f"{self._page()} gives a total at `{self._options.total_path}` that is not a whole number of records "
                f"but {_json_type(value)}. If the total is elsewhere, set the option `total_path`."
            )
        self._shrank = self._shrank or (self._total is not None and total < self._total)
        self._total = self.progress.promised_rows = total

    def _refuse_repeated_page(self, ids: list[Hashable], total_before: int | None) -> None:
        grew = total_before is not None and self._total is not None and self._total > total_before
        # Asked for what is beyond the end, some APIs give the last page again.
        if ids and not grew and not self._asking_again and self._pass_ids.issuperset(ids):
            raise ResponseShapeError(
                f"{self._page()} repeats records that earlier pages had, and none is new: the API seems to ignore "
                f"`{self._options.offset_param}`. Set the options `offset_param` and `limit_param` to the names that it "
                "knows."
            )

    def _plan_next(self, length: int) -> None:
        page_size = self._options.page_size
        first = self._next_offset == 0
        # A page larger than asked for still moves the window by what it held.
        if length or not self._asking_again:
            self._next_offset += max(page_size, length)
        if self._total is None:
            if first and 0 < length < page_size:
                # Is this everything, or a server that caps its pages below ours? Only one more page can tell.
                self._probing_cap = True
                self._next_offset = length
            elif length < page_size:
                self._has_next_page = False
            return
        if first and 0 < length < min(page_size, self._total):
            raise self._capped(length)
        if self._next_offset < self._total and length:
            return
        if self._options.max_parallel_requests > 1 and not first and not self._asking_again:
            # Pages that were read side by side have no last word: ask for the total once more, beyond the end.
            self._asking_again = True
            self._next_offset = max(self._next_offset, self._total)
        else:
            self._end_pass()

    def _end_probe(self, ids: list[Hashable]) -> None:
        # Records that are all known: an API without paging, which has already given everything.
        if not self._pass_ids.issuperset(ids):
            raise self._capped(len(self._pass_ids))
        self._has_next_page = False

    def _capped(self, length: int) -> ConfigurationError:
        return ConfigurationError(
            f"The API answers with {length} records a page although {self._options.page_size} were asked for, and has "
            f"more: reading on would skip records. Set the option `page_size` to {length}."
        )

    def _end_pass(self) -> None:
        assert self._total is not None
        if len(self._pass_ids) >= self._total and not self._shrank:
            self._has_next_page = False
            return
        if self.progress.passes >= MAX_PASSES:
            raise TransientError(
                f"The collection changed each of the {MAX_PASSES} times it was read: the API promised {self._total} "
                f"records, the last read met {len(self._pass_ids)}. Nothing was loaded. Try again when it is quieter, or "
                "set `cursor_path` to read only what changed."
            )
        self.progress.passes += 1
        self._start_pass()

    def _keep_new(self, ids: list[Hashable], data: list[Any] | None) -> None:
        seen = self.progress.ids
        before = len(seen)
        known = [id_ in seen for id_ in ids] if not seen.isdisjoint(ids) else None
        seen.update(ids)
        if data is None or (known is None and len(seen) - before == len(ids)):
            return
        fresh: dict[Hashable, Any] = {}
        for position, (id_, record) in enumerate(zip(ids, data, strict=True)):
            if known is None or not known[position]:
                fresh.setdefault(id_, record)
        data[:] = fresh.values()

    def _page(self) -> str:
        return f"The page at {self._options.path}, {self._options.offset_param} {self.current_value},"


def _json_type(value: Any) -> str:
    return _JSON_TYPES.get(type(value), "null")


def _describe(body: Any) -> str:
    if not isinstance(body, dict):
        return _json_type(body)
    # Names of fields only: values may hold anything.
    return f"an object with the fields {', '.join(f'`{name}`' for name in list(body)[:8]) or '(none)'}"
