"""Which fields of the records that came may be the key, and which may say when a record changed.

In: records. Out: dotted paths, best first. Found in so many records, which is no promise for the others.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from include.configure.choices import CursorFormat
from include.decide.cursor import from_iso_8601

Record = dict[str, Any]

_KEY_NAMES = (re.compile(r"^_?id$"), re.compile(r"(^|_)(uuid|guid|identifier|doi|key|slug|code)$"), re.compile(r"id$"))
_CHANGED = re.compile(r"modif|updat|chang|edited", re.IGNORECASE)
_TIME = re.compile(r"date|time|_at$|_on$|creat|publi|issued|modif|updat|chang|since", re.IGNORECASE)
# 2001 to 2100: any other number is none of seconds since 1970.
_SECONDS = range(978_307_200, 4_102_444_800)


def key_candidates(records: Sequence[Record]) -> list[str]:
    """Fields that each record has, of one type, text or whole numbers, and no two alike. By name, then in their order."""
    found = [path for path, values in _columns(records) if _tells_apart(values) and not cursor_format_of(path, values)]
    return sorted(found, key=_rank)


def cursor_candidates(records: Sequence[Record]) -> dict[str, CursorFormat]:
    """Fields in which each record has an instant, with how it is written; those that speak of a change come first."""
    found = {path: form for path, values in _columns(records) if (form := cursor_format_of(path, values))}
    return dict(sorted(found.items(), key=lambda item: not says_change(item[0])))


def says_change(path: str) -> bool:
    """Whether the name of a field is that of an instant of a change."""
    return bool(_CHANGED.search(path))


def value_at(record: Record, path: str) -> Any:
    """The value at a dotted path; None: there is none."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def cursor_format_of(path: str, values: Sequence[Any]) -> CursorFormat | None:
    """How the instants are written; None: they are none."""
    if all(isinstance(value, str) and from_iso_8601(value) is not None for value in values):
        return _text_format(values)
    if not _TIME.search(path) or not all(type(value) is int for value in values):
        return None
    units: tuple[tuple[int, CursorFormat], ...] = ((1, "epoch_seconds"), (1000, "epoch_milliseconds"))
    return next((form for unit, form in units if all(value // unit in _SECONDS for value in values)), None)


def _text_format(values: Sequence[str]) -> CursorFormat:
    if all(len(value) == len("2026-11-27") for value in values):
        return "date"
    return "iso8601_z" if all(value[-1:] in "Zz" for value in values) else "iso8601_offset"


def _columns(records: Sequence[Record]) -> Iterator[tuple[str, list[Any]]]:
    """The values of each field that all have, also of those one level down."""
    for path in _paths(records[0]) if records else ():
        values = [value_at(record, path) for record in records]
        if all(value is not None for value in values):
            yield path, values


def _paths(record: Record) -> Iterator[str]:
    # A dot leads into an object: a field with one in its own name cannot be named.
    for name, value in record.items():
        if "." not in name:
            yield name
            yield from (f"{name}.{below}" for below in (value if isinstance(value, dict) else ()) if "." not in below)


def _tells_apart(values: Sequence[Any]) -> bool:
    kinds = set(map(type, values))
    return len(kinds) == 1 and kinds <= {str, int} and len(set(values)) == len(values)


def _rank(path: str) -> tuple[int, int]:
    name = path.rpartition(".")[2]
    by_name = next((at for at, pattern in enumerate(_KEY_NAMES) if pattern.search(name.lower())), len(_KEY_NAMES))
    return by_name, path.count(".")
