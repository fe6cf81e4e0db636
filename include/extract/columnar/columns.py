"""One column of a batch as an Arrow array, where that gives the values that dlt's own normalizer gives.

In: the values of one column, and its type if it has one already. Out: an Arrow array of a type that dlt would give it
too; `NotPlain` where only the normalizer knows what becomes of a value.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.schema.detections import is_iso_timestamp
from dlt.common.schema.typing import TDataType

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


def types_of(values: Sequence[Any]) -> set[type]:
    """The types of the values that are not null."""
    return set(map(type, values)) - {type(None)}


def infer_type(values: Sequence[Any], found: set[type]) -> TDataType:
    """The type that dlt would give to a new column, from its first value. Raises NotPlain where that is not known."""
    if found <= {dict, list}:
        return "json"
    first = next(value for value in values if value is not None)
    if isinstance(first, str):
        return is_iso_timestamp(str, first) or "text"
    if type(first) not in _PLAIN_TYPES:
        raise NotPlain
    return _PLAIN_TYPES[type(first)]


def to_array(values: Sequence[Any], found: set[type], data_type: TDataType) -> pa.Array:
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
