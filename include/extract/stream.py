"""The records of one resource on their way from the proof to the table, and how the last of them is known.

In: pages as dlt hands them over; what the proof says of them. Out: the records to load, in pages, and whether another follows. A
resource that has children gives its last records only when it knows that they are: so each child knows how many parents it has.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

from dlt.extract.items import SupportsPipe
from dlt.extract.items_transform import BaseItemTransform, ItemTransform
from requests import Request

from include.configure.declaration import DeclaredResource
from include.errors import ResponseShapeError
from include.extract.answer import content_key, key_finder
from include.extract.completeness import Record, WholeRead
from include.extract.key_set import KeySet
from include.extract.paginators.kinds import paginator_of
from include.extract.paginators.proven import ReadParts, Siblings
from include.extract.read import ResourceRead
from include.extract.read_hook import ReadHook
from include.extract.window_filter import in_window

Process = Callable[[list[Record]], list[Record]]
Parts = Callable[..., ReadParts]


class Stream:
    """One resource. `paginator` None: somebody has made the resource, and dlt asks no API for it."""

    paginator: Any

    def __init__(self, declared: DeclaredResource, read: ResourceRead, process: Process | None) -> None:
        self.name = declared.name
        self.has_children = False
        self.progress = read.progress
        self.key_of = key_finder(read.options.key_paths)
        missing = (declared.incremental or {}).get("on_cursor_value_missing", "raise")
        self._lies_in = in_window(read.options, read.window, missing)
        self._process = process
        self.start()

    def start(self) -> None:
        """Begin, also once more."""
        self.handed_on = 0
        """Records that children were given."""
        self._held: list[Record] = []
        # Of the records whose keys are in the progress: what is in them.
        self._contents = KeySet()
        self._ended = False
        self.progress.processed = KeySet() if self._process else None

    def is_over(self) -> bool:
        """No page will follow."""
        return self._ended

    def take(self, page: list[Any]) -> list[Record] | None:
        """The records to load of one page; None: they wait for the next."""
        raise NotImplementedError

    def fresh(self, records: list[Record], not_apart: str) -> list[Record]:
        """Each record once. Raises ResponseShapeError (permanent), which ends as `not_apart`, where two share a key and nothing else."""
        fresh = []
        for record in records:
            key, content = self.key_of(record), content_key(record)
            if key not in self.progress.ids:
                self.progress.ids.update([key])
                self._contents.update([content])
                fresh.append(record)
            elif content not in self._contents:
                raise ResponseShapeError(f"The primary key of `{self.name}` does not tell records apart: {not_apart}")
        return fresh

    def kept(self, records: list[Record]) -> list[Record]:
        """Those that lie in the window, as the declaration wants them."""
        if self._lies_in is not None:
            records = self._in_window(records)
        return self._processed(records) if self._process is not None else records

    def _in_window(self, records: list[Record]) -> list[Record]:
        assert self._lies_in is not None
        inside = []
        for record in records:
            if self._lies_in(record):
                inside.append(record)
            else:
                self.progress.outside_window.add(self.key_of(record))
        return inside

    def _processed(self, records: list[Record]) -> list[Record]:
        assert self._process is not None
        assert self.progress.processed is not None
        made = []
        for record in self._process(records):
            key = self.key_of(record)
            if key not in self.progress.processed:
                self.progress.processed.update([key])
                made.append(record)
        return made

    def hand_on(self, records: list[Record], is_last: bool) -> list[Record] | None:
        """What goes on now: for children, the last records are kept back until it is known that they are."""
        if not self.has_children:
            self._ended = is_last
            return records
        if is_last:
            records, self._held = self._held + records, []
        elif records:
            records, self._held = self._held, records
        else:
            return None
        self.handed_on += len(records)
        self._ended = is_last
        return records if records or is_last else None


class RootStream(Stream):
    """A resource that is read once."""

    def __init__(self, declared: DeclaredResource, read: ResourceRead, paginator: Any, process: Process | None) -> None:
        self.paginator = paginator
        super().__init__(declared, read, process)

    def take(self, page: list[Any]) -> list[Record] | None:
        """What dlt hands over is the whole page; the proof has just said which of it to hand on."""
        whole: WholeRead = self.paginator.read
        return self.hand_on(self.kept(whole.handed_on), not self.paginator.has_next_page)


class GivenStream(Stream):
    """A resource that somebody has made: nothing says what it should give, and an empty page is its end."""

    paginator = None

    def start(self) -> None:
        """Begin, also once more."""
        super().start()
        self.progress.pages, self.progress.ids = 0, KeySet()
        self.progress.notes["not_proven"] = (
            "the resource is made by the declaration itself, and nothing says how much it should give"
        )

    def take(self, page: list[Any]) -> list[Record] | None:
        """Each record once; an empty page is the last."""
        self.progress.pages += bool(page)
        for record in page:
            if not isinstance(record, dict):
                raise ResponseShapeError(
                    f"The resource `{self.name}`, which the declaration has made itself, gives {type(record).__name__} objects in place of "
                    "records. Have it yield dictionaries, or lists of them."
                )
        not_apart = "two have one key and different content. Nothing was loaded; set `primary_key` to fields that no two records share."
        return self.hand_on(self.kept(self.fresh(page, not_apart)), not page)


class ChildStream(Stream):
    """A resource that is read for each record of `parent`, by threads of dlt's pool. One item is all of one parent."""

    def __init__(
        self, declared: DeclaredResource, read: ResourceRead, parent: Stream, parts: Parts, process: Process | None
    ) -> None:
        self._parent = parent
        self._parts = parts
        self._options = read.options
        self._lock = Lock()
        # By what was asked: reads that moved, which go on with the next pass of all.
        self._moved: dict[str, WholeRead] = {}
        # Fields that dlt adds from the parent are not in the answer.
        of_parent = f"_{declared.parent}_"
        self._own_key = [path for path in read.options.key_paths if not path.startswith(of_parent)]
        super().__init__(declared, read, process)
        self.paginator = self._paginator(spawn=self._spawn)

    def start(self) -> None:
        """Begin, also once more."""
        self._siblings = Siblings()
        self._arrived = 0
        self.progress.pages, self.progress.promised_rows = 0, None
        self.progress.ids, self.progress.outside_window = KeySet(), set()
        super().start()

    def _spawn(self) -> Any:
        return self._paginator()

    def _paginator(self, spawn: Any = None) -> Any:
        options = self._options.copy()
        options.primary_key = self._own_key or None
        whole = WholeRead(type(self.progress)(), options.total_path)
        parts = self._parts(whole, siblings=self._siblings, options=options)
        end, asked = parts.on_end, [""]

        def before_pass(request: Request) -> None:
            asked[0] = f"{request.method} {request.url} {request.params} {request.json}"
            if (earlier := self._moved.pop(asked[0], None)) is not None:
                whole.resume(earlier)

        def on_end(hook: ReadHook, read: WholeRead) -> None:
            end(hook, read)
            self._count(read)
            if whole.goes_on:
                self._moved[asked[0]] = whole

        parts.before_pass, parts.on_end = before_pass, on_end
        return paginator_of(options, parts, spawn)

    def _count(self, read: WholeRead) -> None:
        with self._lock:
            self.progress.pages += read.progress.pages
            if read.progress.promised_rows is not None:
                self.progress.promised_rows = (self.progress.promised_rows or 0) + read.progress.promised_rows
            self.progress.notes.update(read.progress.notes)

    def take(self, page: list[Any]) -> list[Record] | None:
        """All records of one parent, each once."""
        self._arrived += 1
        is_last = self._parent.is_over() and self._arrived == self._parent.handed_on
        not_apart = (
            "two with one key and different content came for different parents, or for one. Nothing was loaded; set `primary_key` to "
            "fields that no two records share, such as that of the parent (`include_from_parent`) and their own."
        )
        return self.hand_on(self.kept(self.fresh(page, not_apart)), is_last)


class PageStep(ItemTransform[Any, dict[str, Any]]):
    """The step of a dlt resource that takes pages through its stream."""

    def __init__(self, stream: Stream) -> None:
        BaseItemTransform.__init__(self)
        self._stream = stream

    def bind(self, pipe: SupportsPipe) -> "PageStep":
        """Called by dlt before the first page, also of a source that is run again."""
        self._stream.start()
        return self

    def __call__(self, item: Any, meta: Any = None) -> list[Record] | None:
        """Take one page."""
        return self._stream.take(item if isinstance(item, list) else [item])
