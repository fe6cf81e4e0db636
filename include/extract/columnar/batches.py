"""Gathers pages into batches, and hands each to dlt as Arrow tables, the form that loads fastest.

In: pages of records. Out, for each batch: its tables, with types, names and nulls as dlt gives them
(benchmarks/README.md says what is won).
"""

import atexit
import functools
import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.items import SupportsPipe
from dlt.extract.items_transform import BaseItemTransform, ItemTransform, LimitItem

from include.extract.columnar.names import FIELD_HINT

if TYPE_CHECKING:
    # Arrow is imported with the first batch, when pages are already being fetched.
    from include.extract.columnar.tables import ArrowTable, RecordTables

Record = dict[str, Any]

# Large enough that the cost per table vanishes, small enough for flat memory: some MB of records.
ROWS_PER_BATCH = 5000
# Some batches of records with nested values; Python's own number is met by a few pages.
OBJECTS_BEFORE_COLLECTION = 50_000


class ColumnarBatches(ItemTransform[Any, dict[str, Any]]):
    """The step of a dlt resource that collects records and gives them on in batches.

    `max_nesting`: from so many levels on, nested values become JSON text; None: all become child tables and columns. `hashed_rows`: the ids of rows
    are hashes over what is in them, for history. `keys`: the fields of the primary key, each as the JSON keys that lead
    to it; a new column for one keeps text as text. `noise`: fields, likewise, that do not make a record another. `stamps`: columns with one value for all records. `note` is told what the
    report has to say: `values_beside`, how many values of which field lie in a column beside their own. `is_last` tells,
    while a page is processed, that no other will follow; a limit of the resource that is reached (`add_limit`) is an end
    as well. Raises PermanentError as `RecordTables.of` does.
    """

    # Behind a limit (1.1), wherever it is added: it counts pages, and it is known here when it is reached.
    placement_affinity: ClassVar[float] = 1.2

    def __init__(
        self,
        table: str,
        max_nesting: int | None,
        is_last: Callable[[], bool],
        *,
        hashed_rows: bool = False,
        keys: Sequence[tuple[str, ...]] = (),
        noise: Sequence[tuple[str, ...]] = (),
        stamps: Mapping[str, Any] | None = None,
        empty_counts: bool = False,
        note: Callable[[str, Any], None] = lambda _name, _value: None,
    ) -> None:
        BaseItemTransform.__init__(self)
        self._note = note
        self._table = table
        self._max_nesting = max_nesting
        self._hashed_rows = hashed_rows
        self._keys = tuple(keys)
        self._noise = tuple(noise)
        self._stamps = dict(stamps or {})
        self._empty_counts = empty_counts
        self._is_last = is_last
        self._limits: list[LimitItem] = []
        self._start()

    def _start(self) -> None:
        self._records: list[Record] = []
        self._tables: RecordTables | None = None
        self._hinted: dict[str, dict[str, Any]] = {}

    def bind(self, pipe: SupportsPipe) -> "ColumnarBatches":
        """Called by dlt before the first page, also of a source that is run again: nothing of an earlier run is left."""
        self._start()
        steps = (pipe[index] for index in range(len(pipe)))
        self._limits = [step for step in steps if isinstance(step, LimitItem)]
        spare_the_collector()
        logging.getLogger("dlt").addFilter(_JSON_AS_TEXT)
        return self

    def __call__(self, item: list[Record], meta: Any = None) -> Iterator[Any] | list[Record] | None:
        """Take one page; the batch that is full with it, as items for dlt, or None."""
        self._records.extend(item)
        if len(self._records) < ROWS_PER_BATCH and not self._ends():
            return None
        load_id = _load_id()
        if not self._records and not (load_id and self._is_empty(load_id)):
            return None
        batch, self._records = self._records, []
        if load_id is None:
            # Somebody looks at the source in a Python shell.
            return [{**record, **self._stamps} for record in batch] if self._stamps else batch
        if self._tables is None:
            self._tables = self._tables_of(load_id)
        tables = self._tables.of(batch)
        if self._tables.beside:
            self._note("values_beside", dict(self._tables.beside))
        return self._items(tables)

    def _is_empty(self, load_id: str) -> bool:
        """Whether the whole collection is, and that counts."""
        if self._tables is not None or not self._empty_counts:
            return False
        self._tables = self._tables_of(load_id)
        return self._tables.is_known

    def _ends(self) -> bool:
        return self._is_last() or any(limit.exhausted for limit in self._limits)

    def _tables_of(self, load_id: str) -> "RecordTables":
        from include.extract.columnar.limits import current_limits
        from include.extract.columnar.tables import RecordTables, TableOptions

        options = TableOptions(
            self._max_nesting, self._hashed_rows, self._keys, self._noise, self._stamps, current_limits()
        )
        return RecordTables(self._table, dlt.current.source_schema(), load_id, options)

    def _items(self, tables: "list[ArrowTable]") -> Iterator[Any]:
        for table in tables:
            yield self._marked(table)
            if table.parent is not None:
                # Only now: dlt has put the table into the schema when it wrote the rows.
                schema_tables: dict[str, Any] = dlt.current.source_schema().tables
                schema_tables[table.name] = _ChildTable(schema_tables[table.name], dlt.current.resource_name())

    def _marked(self, table: "ArrowTable") -> Any:
        """The rows, with the name of their table, and with their hints where dlt does not have them yet."""
        hints = self._hinted.setdefault(table.name, {})
        is_new = not table.hints.keys() <= hints.keys()
        hints |= table.hints
        if table.parent is None:
            return dlt.mark.with_hints(table.rows, dlt.mark.make_hints(columns=hints)) if is_new else table.rows
        if is_new:
            described = dlt.mark.make_hints(
                table_name=table.name,
                parent_table_name=table.parent,
                columns=hints,
                additional_table_hints={FIELD_HINT: list(table.field)},
            )
            # Not `with_hints`, nor `apply_hints`: they would give the child table the keys of the root as well.
            dlt.current.resource()._set_hints(described, create_table_variant=True)  # noqa: SLF001  # as said above
        return dlt.mark.with_table_name(table.rows, table.name)


def _load_id() -> str | None:
    try:
        return dlt.current.load_package_state()["load_id"]
    except CurrentLoadPackageStateNotAvailable:
        return None


class _ChildTable(dict[str, Any]):
    """A nested table's schema that tells its resource to whoever insists, and does not store it.

    A nested table has no `resource` of its own (dlt refuses one), and yet dlt's metrics read it of each table that was
    extracted (1.31.0, `Extract._compute_metrics`).
    """

    def __init__(self, table: Any, resource: str) -> None:
        super().__init__(table)
        self._resource = resource

    def __missing__(self, key: str) -> str:
        if key == "resource":
            return self._resource
        raise KeyError(key)


@functools.cache
def spare_the_collector() -> None:
    """Have Python's garbage collector run less, once: records make it run often, and none of them is garbage.

    Nor is anything when the process ends: Python would look through all modules then, for a quarter of a second.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    atexit.register(gc.freeze)


class _JsonAsText(logging.Filter):
    """Drops dlt's warning that Arrow's text and the hint JSON differ: JSON columns are handed over as text on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "when merging arrow schema with dlt schema" not in str(record.msg)


_JSON_AS_TEXT = _JsonAsText()
