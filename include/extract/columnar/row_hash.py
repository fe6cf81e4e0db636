"""A hash over what each row of a batch has in its columns and child tables, so that a load can tell what has changed.

In: the columns of the tables of a batch, from the root on. Out: one text for each row of the root. It is made of what the table
will have, in columns: so it does not change with the order of JSON keys, with nulls that come or do not come, with the version
of Python, or with another way to write the same instant. Fields that a deployment names as noise are not in it.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.schema.typing import TColumnSchema

from include.extract.columnar.names import Field

ROW_HASH_COLUMN = "_row_hash"
# 128 bits in hexadecimal: two of a table that fall together by chance are none that anybody will see.
_DIGEST_BYTES = 16
ROW_HASH_HINTS: TColumnSchema = {
    "name": ROW_HASH_COLUMN,
    "data_type": "text",
    "precision": 2 * _DIGEST_BYTES,
    "nullable": True,
}

# As large as a batch may become.
_BYTES = pa.large_binary()
_BETWEEN_COLUMNS, _BETWEEN_ROWS = pa.scalar(b"\x1f", _BYTES), pa.scalar(b"\x1e", _BYTES)
_NOTHING = pa.scalar(b"", _BYTES)
# Of instants and times what is stored, a number: how they are written is nobody's promise.
_AS_NUMBERS = {pa.types.is_timestamp: pa.int64(), pa.types.is_time64: pa.int64(), pa.types.is_date32: pa.int32()}


@dataclass
class Contents:
    """What rows of one table have, as far as it counts. `children`: by table, how many rows each has, and theirs."""

    columns: dict[str, pa.Array] = field(default_factory=dict)
    children: dict[str, tuple[Sequence[int], "Contents"]] = field(default_factory=dict)


def row_hashes(contents: Contents, rows: int) -> pa.Array:
    """A hash for each of `rows` rows."""
    texts = _texts(contents, rows).to_pylist()
    return pa.array([blake2b(text, digest_size=_DIGEST_BYTES).hexdigest() for text in texts], pa.string())


def canonical_json(values: Iterable[Any], noise: Collection[Field]) -> pa.Array:
    """JSON values as texts that are the same for the same values, without what lies at the paths of `noise`."""
    return pa.array([None if value is None else _canonical(_without(value, noise)) for value in values], _BYTES)


def is_noise(path: Field, ignored: Collection[Field]) -> bool:
    """Whether a field, or an object that it lies in, is one of `ignored`."""
    return any(path[: len(one)] == one for one in ignored)


def below(path: Field, ignored: Collection[Field]) -> tuple[Field, ...]:
    """The paths of `ignored` that lead further down from `path`, from there on."""
    return tuple(one[len(path) :] for one in ignored if len(one) > len(path) and one[: len(path)] == path)


def _texts(contents: Contents, rows: int) -> pa.Array:
    """The content of each row. Each piece tells where it ends, so that no two contents have one text."""
    pieces = [_piece(name, values) for name, values in sorted(contents.columns.items())]
    pieces += [piece for name, child in sorted(contents.children.items()) for piece in _pieces_of_child(name, *child)]
    if not pieces:
        return pa.repeat(_NOTHING, rows)
    # With a piece that is never null: pyarrow (25.0.1) leaves out rows of which all pieces are skipped.
    return pc.binary_join_element_wise(_NOTHING, *pieces, _BETWEEN_COLUMNS, null_handling="skip")


def _piece(name: str, values: pa.Array) -> pa.Array:
    """`name=value`, or `name:length=value` where the value may have any character; null where there is no value."""
    for is_one, number in _AS_NUMBERS.items():
        if is_one(values.type):
            values = values.cast(number)
    if pa.types.is_floating(values.type):
        # Its bits; 0 and -0 are one number.
        values = pc.add(values, 0.0).view(pa.int64())
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = values.cast(_BYTES)
        lengths = pc.binary_length(values).cast(pa.large_string()).cast(_BYTES)
        return pc.binary_join_element_wise(
            pa.scalar(f"{name}:".encode(), _BYTES), lengths, pa.scalar(b"=", _BYTES), values, _NOTHING
        )
    return pc.binary_join_element_wise(
        pa.scalar(f"{name}=".encode(), _BYTES), values.cast(pa.large_string()).cast(_BYTES), _NOTHING
    )


def _pieces_of_child(name: str, counts: Sequence[int], contents: Contents) -> Iterator[pa.Array]:
    rows = sum(counts)
    offsets = pc.cumulative_sum(pa.array([0, *counts], pa.int64()))
    lists = pa.LargeListArray.from_arrays(offsets, _texts(contents, rows))
    joined = pc.binary_join(lists, _BETWEEN_ROWS)
    # A list without rows is as no list: the table cannot tell them apart.
    present = pc.greater(pa.array(counts, pa.int64()), 0)
    yield _piece(f"{name}[]", pc.if_else(present, joined, pa.scalar(None, _BYTES)))


def _canonical(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    except orjson.JSONEncodeError:
        # Half a character, an integer of more than 64 bits, or more levels than orjson takes.
        return json.dumps(value, sort_keys=True, default=str).encode()


def _without(value: Any, noise: Collection[Field]) -> Any:
    if not noise:
        return value
    if isinstance(value, list):
        return [_without(one, noise) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _without(one, below((key,), noise)) for key, one in value.items() if (key,) not in noise}
