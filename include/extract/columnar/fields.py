"""Rows as fields: what each row has under a JSON key, one key after the other.

In: objects, or bare values. Out: for each field its values, one a row, in the order in which keys come.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from include.extract.columnar.names import Field

Record = Mapping[str, Any]


def only(values: Sequence[Any], kind: type, found: set[type]) -> Sequence[Any]:
    """The values that are of `kind`, and None for the others; `found` are the types of all."""
    return values if found == {kind} else [value if isinstance(value, kind) else None for value in values]


def fields_of_rows(rows: Sequence[Any]) -> Iterable[tuple[Field, Sequence[Any]]]:
    """The fields of rows that are objects, and under () those that are bare values or lists."""
    kinds = set(map(type, rows))
    if dict not in kinds:
        yield (), rows
        return
    if kinds != {dict}:
        yield (), [None if isinstance(row, dict) else row for row in rows]
    yield from fields_of((), only(rows, dict, kinds))


def fields_of(path: Field, rows: Sequence[Record | None]) -> Iterator[tuple[Field, Sequence[Any]]]:
    """The fields of objects that lie at `path`, each with its values, one a row."""
    return (((*path, key), values) for key, values in _by_key(rows))


def _by_key(rows: Sequence[Record | None]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each key of the objects, in order, with its values, one a row; None: the row has no such key, or is no object."""
    first = rows[0]
    if first and len(first) > 1:
        same_keys: Any = rows
        try:
            # Nearly always all have the same keys, and then this is three times as fast.
            in_columns = list(zip(*map(itemgetter(*first), same_keys), strict=True))
            if set(map(len, same_keys)) == {len(first)}:
                return zip(first, in_columns, strict=True)
        except (KeyError, TypeError):
            pass
    objects = [row or {} for row in rows]
    keys = dict.fromkeys(chain.from_iterable(objects))
    return ((key, [each.get(key) for each in objects]) for key in keys)
