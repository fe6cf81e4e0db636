"""The values of one column as an Arrow array, and those that are not of the column's type beside it.

In: the values of a field, and the type of its column if it has one already. Out: an Arrow array of that type, and by
their own type the values that would change in it: they go into columns of their own (`<name>__v_<type>`). Types are
those that dlt gives, and values are converted as dlt converts them (`common/data_types/type_helpers.py`, 1.31.0), but
only where nothing of them is lost: dlt makes TRUE of 7 in a column of truth values, 12 of "0012", a date of 5, and rounds
large integers.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.data_types import TDataType, coerce_value, py_type_to_sc_type
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.libs.pyarrow import get_py_arrow_datatype
from dlt.common.schema.detections import is_iso_date, is_iso_timestamp
from dlt.common.schema.typing import TColumnSchema
from dlt.common.time import normalize_timezone

from include.errors import PermanentError
from include.extract.columnar.limits import Limits

SMALLEST_BIGINT, LARGEST_BIGINT = -(2**63), 2**63 - 1

# Only such texts are cast in columns: with a zone, to the microsecond. Others are parsed one by one, as dlt does.
_PLAIN_TIMESTAMP = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$"
# U+0000 in JSON, and not a backslash before the letters u0000.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_FINER_THAN_MICROSECONDS = re.compile(r"[.,]\d{6}\d*[1-9]")

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


@dataclass(frozen=True)
class Fitted:
    """One column. `array` None: no value is of the column's type. `others`: values that are not, by their own type.

    `is_cut`: instants or decimals lost digits, for which the column has no place.
    """

    array: pa.Array | None
    others: dict[TDataType, list[Any]] = field(default_factory=dict)
    is_cut: bool = False


def types_of(values: Sequence[Any]) -> set[type]:
    """The types of the values that are not null."""
    return set(map(type, values)) - {type(None)}


def type_of(column: TColumnSchema) -> TDataType:
    """The type of a column that has one."""
    data_type = column["data_type"]
    assert data_type
    return data_type


def infer_type(values: Sequence[Any], is_key: bool) -> TDataType:
    """The type of a new column: that of its first value, as with dlt. There is one.

    A key is no instant: two that differ by less than a microsecond would become one row.
    """
    first = next(value for value in values if value is not None)
    if isinstance(first, str) and not is_key and is_iso_timestamp(str, first):
        try:
            _converted(first, {"data_type": "timestamp"}, Limits())
        except ValueError:
            return "text"
        return "timestamp"
    return py_type_to_sc_type(type(first))


def fit(values: Sequence[Any], found: set[type], column: TColumnSchema, limits: Limits, name: str) -> Fitted:
    """The values in the column's type, as far as they are of it.

    `found` are their types, `name` is the field's for an error. Raises PermanentError for what has no place at all.
    """
    to_type = type_of(column)
    array = _plain_array(values, found, to_type)
    if array is not None and _is_held(array, to_type, limits, name):
        return Fitted(array)
    kept: list[Any] = [None] * len(values)
    others: dict[TDataType, list[Any]] = {}
    is_cut = False
    for place, value in enumerate(values):
        if value is None:
            continue
        try:
            kept[place], value_is_cut = _converted(value, column, limits)
        except ValueError:
            data_type, other = _as_other(value, limits)
            others.setdefault(data_type, [None] * len(values))[place] = other
        else:
            is_cut = is_cut or value_is_cut
    if not any(value is not None for value in kept):
        return Fitted(None, others)
    array = pa.array(kept, arrow_type(column))
    _check_length(array, to_type, limits, name)
    return Fitted(array, others, is_cut)


def arrow_type(column: TColumnSchema) -> pa.DataType:
    """The Arrow type of a column of dlt's type."""
    known = _ARROW_TYPES.get(type_of(column))
    return known or get_py_arrow_datatype(column, DestinationCapabilitiesContext.generic_capabilities(), "UTC")


def _plain_array(values: Sequence[Any], found: set[type], data_type: TDataType) -> pa.Array | None:
    """All values at once; None: they have to be looked at one by one."""
    try:
        if data_type == "json" and found <= {dict, list}:
            # Arrow takes UTF-8 as it is.
            return pa.array([None if value is None else orjson.dumps(value) for value in values], pa.string())
        if data_type == "timestamp" and found == {str}:
            return _timestamps(pa.array(values, pa.string()))
        if found in _PLAINLY.get(data_type, ()):
            return pa.array(values, _ARROW_TYPES[data_type])
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError, orjson.JSONEncodeError):
        pass
    return None


def _timestamps(texts: pa.Array) -> pa.Array | None:
    if not pc.all(pc.match_substring_regex(texts, _PLAIN_TIMESTAMP)).as_py():
        return None
    instants = pc.cast(texts, _ARROW_TYPES["timestamp"])
    bounds = pc.min_max(instants)
    if bounds["min"].value < _FIRST_INSTANT or bounds["max"].value >= _END_OF_TIME:
        return None
    return instants


def _is_held(array: pa.Array, data_type: TDataType, limits: Limits, name: str) -> bool:
    _check_length(array, data_type, limits, name)
    if limits.nul or data_type not in ("text", "json"):
        return True
    nul = "\0" if data_type == "text" else "\\u0000"
    return not pc.any(pc.match_substring(array, nul)).as_py()


def _check_length(array: pa.Array, data_type: TDataType, limits: Limits, name: str) -> None:
    if limits.text_bytes is None or data_type != "text":
        return
    longest = pc.max(pc.binary_length(array)).as_py()
    if longest > limits.text_bytes:
        raise PermanentError(
            f"A value of the field `{name}` has {longest} bytes, and a text of the destination has room for "
            f"{limits.text_bytes}. Nothing was loaded. Choose a destination without that limit, or leave the field out."
        )


def _converted(value: Any, column: TColumnSchema, limits: Limits) -> tuple[Any, bool]:
    """The value in the column's type, and whether digits were cut. Raises ValueError where it would change."""
    to_type = type_of(column)
    from_type = py_type_to_sc_type(type(value))
    try:
        converted = coerce_value(to_type, from_type, value)
        if to_type != from_type and not _is_kept(to_type, value, converted):
            raise ValueError(value)
        if to_type == "timestamp":
            # Also a ValueError: dlt's next step would leave Python's calendar.
            converted = normalize_timezone(converted, timezone=True)
    except (SyntaxError, ArithmeticError, OSError) as error:
        # OSError: an instant of a number that the machine's clock cannot count.
        raise ValueError(value) from error
    match to_type:
        case "timestamp":
            return converted, isinstance(value, str) and bool(_FINER_THAN_MICROSECONDS.search(value))
        case "decimal" | "wei":
            return _rounded(converted, arrow_type(column).scale)
        case "json":
            converted = _json_text(converted)
            is_held = limits.nul or not _NUL.search(converted)
        case "text":
            converted = _without_surrogates(converted)
            is_held = limits.nul or "\0" not in converted
        case "bigint":
            is_held = SMALLEST_BIGINT <= converted <= LARGEST_BIGINT
        case _:
            is_held = True
    if not is_held:
        raise ValueError(value)
    return converted, False


def _rounded(number: Decimal, scale: int) -> tuple[Decimal, bool]:
    try:
        rounded = number.quantize(Decimal(1).scaleb(-scale))
    except InvalidOperation as error:
        raise ValueError(number) from error
    return rounded, rounded != number


def _as_other(value: Any, limits: Limits) -> tuple[TDataType, Any]:
    """The type of the column for a value that is not of its own column's type, and the value there."""
    data_type = py_type_to_sc_type(type(value))
    if data_type == "bigint" and not SMALLEST_BIGINT <= value <= LARGEST_BIGINT:
        return "text", str(value)
    if not limits.nul and data_type in ("text", "json") and _NUL.search(written := _json_text(value)):
        # As JSON writes it, where U+0000 is an escape: a text that every destination holds.
        return "text", written
    return data_type, value


def _is_kept(to_type: TDataType, value: Any, converted: Any) -> bool:
    match to_type:
        case "text" | "json" | "binary":
            return to_type == "text" or not isinstance(value, str)
        case "bigint" | "double" | "decimal" | "wei":
            return _reads_the_same(value, converted)
        case "timestamp":
            return isinstance(value, date) or bool(
                is_iso_timestamp(type(value), value) or is_iso_date(type(value), value)
            )
        case "date":
            return bool(is_iso_date(type(value), value))
        case "time":
            return isinstance(value, str)
    # Truth values: no number and no text is one.
    return False


def _reads_the_same(value: Any, number: Any) -> bool:
    # "0012" and "1e3" are texts that look like numbers: written back they would be others.
    return str(number) == value if isinstance(value, str) else bool(number == value)


def _json_text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Half a character, or more levels than orjson takes.
        return _without_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _without_surrogates(text: str) -> str:
    """Halves of characters, which no database takes, as a browser shows them: U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
