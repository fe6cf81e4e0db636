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
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable

if TYPE_CHECKING:
    # Arrow is imported with the first batch, when pages are already being fetched.
    from include.extract.columnar.tables import ArrowTable, Types

Record = dict[str, Any]

# Large enough that the cost per table vanishes, small enough for flat memory: some MB of records.
ROWS_PER_BATCH = 5000
# Some batches of records with nested values; Python's own number is met by a few pages.
OBJECTS_BEFORE_COLLECTION = 50_000


class ColumnarBatches:
    """Collects records and gives them on in batches.

    `plain` False: never as Arrow tables. `json_columns`: nested values become JSON text; without, child tables and
    columns. `is_last` tells, while a page is processed, that no other will follow.
    """

    def __init__(self, table: str, plain: bool, json_columns: bool, is_last: Callable[[], bool]) -> None:
        self._table = table
        self._json_columns = json_columns
        self._is_last = is_last
        self._records: list[Record] = []
        self._types: Types = {}
        self._hinted: dict[str, Any] = {}
        self._plain = plain
        spare_the_collector()
        logging.getLogger("dlt").addFilter(_JSON_AS_TEXT)

    def add(self, records: list[Record]) -> Iterator[Any] | list[Record] | None:
        """Take one page; the batch that is full with it, as items for dlt, or None."""
        self._records.extend(records)
        if not self._records or (len(self._records) < ROWS_PER_BATCH and not self._is_last()):
            return None
        batch, self._records = self._records, []
        load_id = _load_id()
        # Without a load, somebody looks at the source in a Python shell.
        if not self._plain or load_id is None:
            return batch
        from include.extract.columnar.columns import NotPlain
        from include.extract.columnar.tables import arrow_tables

        types = dict(self._types)
        schema = dlt.current.source_schema()
        try:
            tables = arrow_tables(batch, self._table, schema, load_id, self._json_columns, types)
        except NotPlain:
            # For good: dlt infers a column's type from its first value, so the order of values has to stay.
            self._plain = False
            return batch
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
            dlt.current.resource()._set_hints(hints, create_table_variant=True)
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
