"""Gathers pages into batches, and hands each to dlt in the form that loads fastest.

In: pages of records. Out, for each batch: Arrow tables as long as its records are plain; the records themselves where
a batch is not so simple, and from then on, for dlt to normalize row by row. So types, names, variant columns and
nulls are dlt's in both ways, and the common case is several times faster (benchmarks/README.md).
"""

import atexit
import functools
import gc
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.items import SupportsPipe
from dlt.extract.items_transform import BaseItemTransform, ItemTransform, LimitItem

if TYPE_CHECKING:
    # Arrow is imported with the first batch, when pages are already being fetched.
    from include.extract.columnar.tables import ArrowTable, Types

Record = dict[str, Any]

# Large enough that the cost per table vanishes, small enough for flat memory: some MB of records.
ROWS_PER_BATCH = 5000
# Some batches of records with nested values; Python's own number is met by a few pages.
OBJECTS_BEFORE_COLLECTION = 50_000


class ColumnarBatches(ItemTransform[Any, dict[str, Any]]):
    """The step of a dlt resource that collects records and gives them on in batches.

    `plain` False: never as Arrow tables. `json_columns`: nested values become JSON text; without, child tables and
    columns. `is_last` tells, while a page is processed, that no other will follow; a limit of the resource that is
    reached (`add_limit`) is an end as well.
    """

    # Behind a limit (1.1), wherever it is added: it counts pages, and it is known here when it is reached.
    placement_affinity: ClassVar[float] = 1.2

    def __init__(self, table: str, plain: bool, json_columns: bool, is_last: Callable[[], bool]) -> None:
        BaseItemTransform.__init__(self)
        self._table = table
        self._json_columns = json_columns
        self._is_last = is_last
        self._limits: list[LimitItem] = []
        self._may_be_plain = plain
        self._start()

    def _start(self) -> None:
        self._records: list[Record] = []
        self._types: Types = {}
        self._hinted: dict[str, Any] = {}
        self._plain = self._may_be_plain

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
        if not self._records or (len(self._records) < ROWS_PER_BATCH and not self._ends()):
            return None
        batch, self._records = self._records, []
        return self._in_columns(batch) or batch

    def _ends(self) -> bool:
        return self._is_last() or any(limit.exhausted for limit in self._limits)

    def _in_columns(self, batch: list[Record]) -> Iterator[Any] | None:
        """The batch as Arrow tables; None: it goes as the records that it is."""
        load_id = _load_id()
        # Without a load, somebody looks at the source in a Python shell.
        if not self._plain or load_id is None:
            return None
        from include.extract.columnar.columns import NotPlain
        from include.extract.columnar.tables import arrow_tables

        types = dict(self._types)
        schema = dlt.current.source_schema()
        try:
            tables = arrow_tables(batch, self._table, schema, load_id, self._json_columns, types)
        except NotPlain:
            # For good: dlt infers a column's type from its first value, so the order of values has to stay.
            self._plain = False
            return None
        # Only now: a batch that fails half-way is dlt's to type, from its first record on.
        self._types = types
        return self._items(tables)

    def _items(self, tables: "list[ArrowTable]") -> Iterator[Any]:
        for table in tables:
            yield self._marked(table)
            if table.parent is not None:
                # Only now: dlt has put the table into the schema when it wrote the rows.
                schema_tables: dict[str, Any] = dlt.current.source_schema().tables
                schema_tables[table.name] = _ChildTable(schema_tables[table.name], dlt.current.resource_name())

    def _marked(self, table: "ArrowTable") -> Any:
        """The rows, with the name of their table, and with their hints where dlt does not have them yet."""
        is_new = self._hinted.get(table.name) != table.hints
        self._hinted[table.name] = table.hints
        if table.parent is None:
            return dlt.mark.with_hints(table.rows, dlt.mark.make_hints(columns=table.hints)) if is_new else table.rows
        if is_new:
            # Not `with_hints`, nor `apply_hints`: they would give the child table the keys of the root as well.
            hints = dlt.mark.make_hints(table_name=table.name, parent_table_name=table.parent, columns=table.hints)
            dlt.current.resource()._set_hints(hints, create_table_variant=True)  # as said above
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
