"""Turns batches of records into Arrow tables, where that gives the same table as dlt's own normalizer.

In: pages of records, and the table's schema as dlt knows it. Out: an Arrow table for each batch whose every column
has one plain type; the records themselves where a batch is not so simple, and from then on, for dlt to normalize
row by row. So types, names, variant columns and nulls are dlt's in both ways, and the common case is about three
times faster (benchmarks/README.md).
"""

import functools
import gc
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import dlt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.normalizers.json.helpers import normalize_identifier
from dlt.common.schema import Schema
from dlt.common.schema.detections import is_iso_timestamp
from dlt.common.schema.typing import TColumnSchema, TDataType

Record = dict[str, Any]

# Large enough that the cost per table vanishes, small enough for flat memory: some MB of records.
ROWS_PER_BATCH = 5000
# Only such texts are cast in columns: with a zone, to the microsecond. Others are dlt's to parse.
_PLAIN_TIMESTAMP = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$"

# What Python's calendar holds, in microseconds since 1970. Arrow's is longer, and dlt reads timestamps in Python's.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_INSTANT = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_END_OF_TIME = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH + timedelta(days=1)) // timedelta(microseconds=1)

_ARROW_TYPES: dict[TDataType, pa.DataType] = {
    "bool": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "text": pa.string(),
    "json": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
# The types of values that a column takes as they are. Of integers among fractions Arrow refuses those beyond 53 bits.
_PLAINLY: dict[TDataType, tuple[set[type], ...]] = {
    "bool": ({bool},),
    "bigint": ({int},),
    "double": ({float}, {int, float}),
    "text": ({str},),
    "timestamp": ({datetime},),
}
_PLAIN_TYPES: dict[type, TDataType] = {bool: "bool", int: "bigint", float: "double", datetime: "timestamp"}


class NotPlain(Exception):
    """A batch that only dlt's own normalizer can take."""


class ColumnarBatches:
    """Collects records and gives them on in batches, as Arrow tables as long as they are plain.

    `plain` False: never as Arrow tables. `json_columns`: nested values become JSON text; without, a batch that has
    any is not plain. `is_last` tells, while a page is processed, that no other will follow.
    """

    def __init__(self, table: str, plain: bool, json_columns: bool, is_last: Callable[[], bool]) -> None:
        self._table = table
        self._json_columns = json_columns
        self._is_last = is_last
        self._records: list[Record] = []
        self._types: dict[str, TDataType] = {}
        self._plain = plain
        give_ids_to_arrow_rows()
        spare_the_collector()
        logging.getLogger("dlt").addFilter(_JSON_AS_TEXT)

    def add(self, records: list[Record]) -> "pa.Table | list[Record] | None":
        """Take one page; the batch that is full with it, or None."""
        self._records.extend(records)
        if not self._records or (len(self._records) < ROWS_PER_BATCH and not self._is_last()):
            return None
        batch, self._records = self._records, []
        if not self._plain:
            return batch
        try:
            return self._to_arrow(batch)
        except NotPlain:
            # For good: dlt infers a column's type from its first value, so the order of values has to stay.
            self._plain = False
            return batch

    def _to_arrow(self, batch: list[Record]) -> pa.Table:
        schema = dlt.current.source_schema()
        columns: dict[str, pa.Array] = {}
        types = dict(self._types)
        for key in dict.fromkeys(chain.from_iterable(batch)):
            name = normalize_identifier(schema, schema.naming, key) if key.strip() else ""
            if not name or name in columns:
                raise NotPlain
            values = [record.get(key) for record in batch]
            found = set(map(type, values)) - {type(None)}
            if not found:
                # As with dlt: a column that has only ever been null is none.
                continue
            data_type = types.get(name) or _known_type(schema, self._table, name) or self._infer(values, found)
            columns[name] = _to_array(values, found, data_type)
            types[name] = data_type
        if not columns:
            raise NotPlain
        # Only now: a batch that fails half-way is dlt's to type, from its first record on.
        self._types = types
        table = pa.table(columns)
        json_columns: dict[str, TColumnSchema] = {
            name: {"name": name, "data_type": "json"} for name in columns if types[name] == "json"
        }
        if not json_columns:
            return table
        return dlt.mark.with_hints(table, dlt.mark.make_hints(columns=json_columns))

    def _infer(self, values: Iterable[Any], found: set[type]) -> TDataType:
        """The type that dlt would give to a new column, from its first value; but for nested ones of two kinds."""
        if found <= {dict, list}:
            if not self._json_columns:
                raise NotPlain
            return "json"
        first = next(value for value in values if value is not None)
        if isinstance(first, str):
            return is_iso_timestamp(str, first) or "text"
        if type(first) not in _PLAIN_TYPES:
            raise NotPlain
        return _PLAIN_TYPES[type(first)]


def _known_type(schema: Schema, table: str, column: str) -> TDataType | None:
    """The type of a column that the destination, or an earlier batch, has; None: it is new."""
    known = schema.tables.get(table)
    return known["columns"].get(column, {}).get("data_type") if known else None


def _to_array(values: list[Any], found: set[type], data_type: TDataType) -> pa.Array:
    """Raises NotPlain when a value is not plainly of the type: to coerce it, or to give it a variant, is dlt's."""
    if data_type == "json" and found <= {dict, list}:
        return pa.array([None if value is None else orjson.dumps(value).decode() for value in values], pa.string())
    if data_type == "timestamp" and found == {str}:
        return _timestamps(pa.array(values, pa.string()))
    if found not in _PLAINLY.get(data_type, ()):
        raise NotPlain
    try:
        return pa.array(values, _ARROW_TYPES[data_type])
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        raise NotPlain from None


def _timestamps(texts: pa.Array) -> pa.Array:
    if not pc.all(pc.match_substring_regex(texts, _PLAIN_TIMESTAMP)).as_py():
        raise NotPlain
    try:
        instants = pc.cast(texts, _ARROW_TYPES["timestamp"])
    except pa.ArrowInvalid:
        raise NotPlain from None
    bounds = pc.min_max(instants)
    if bounds["min"].value < _FIRST_INSTANT or bounds["max"].value >= _END_OF_TIME:
        raise NotPlain
    return instants


@functools.cache
def spare_the_collector() -> None:
    """Tell Python's garbage collector, once, that what is there stays: records make it run often, and none is garbage."""
    gc.freeze()


def give_ids_to_arrow_rows() -> None:
    """Rows of Arrow tables carry `_dlt_load_id` and `_dlt_id` only where dlt is told so."""
    for option in ("add_dlt_load_id", "add_dlt_id"):
        key = f"normalize.parquet_normalizer.{option}"
        if dlt.config.get(key) is None:
            dlt.config[key] = True


class _JsonAsText(logging.Filter):
    """Drops dlt's warning that Arrow's text and the hint JSON differ: JSON columns are handed over as text on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "when merging arrow schema with dlt schema" not in str(record.msg)


_JSON_AS_TEXT = _JsonAsText()
