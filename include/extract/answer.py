"""What one answer of the API holds: records, their keys, the total.

In: a response, and the options that say where things are. Out: an `Answer`; or a `ResponseShapeError` (permanent) that
names the page and the option to set, and never a record's value.
"""

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
import requests
from dlt.sources.helpers.rest_client.detector import find_response_page_data

from include.configure.options import json_path
from include.errors import ResponseShapeError
from include.redaction import redact, shown

log = logging.getLogger(__name__)

Record = dict[str, Any]

_CONTENT = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS

# What `total_path` begins with when the total is in a header.
HEADER_PREFIX = "header:"

_JSON_TYPES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}
_KEY_TYPES: dict[Any, str] = {str: "strings", bool: "booleans", int: "integers", float: "fractions"}


@dataclass(frozen=True)
class Answer:
    """The records of one answer, in its order; their keys, in the same order; the total, None: it names none.

    `body` is the JSON value; None: there was none to read, and that was fine.
    """

    records: list[Record]
    keys: list[Hashable]
    total: int | None
    body: Any


class AnswerReader:
    """Reads the answers of one collection.

    `data_selector` None: where dlt finds a list in the first answer. `primary_key`: one path, dotted, or several that tell records
    apart together; none: what is in them does. `one_record`: the answer may be a record itself.
    """

    def __init__(
        self,
        data_selector: str | None,
        total_path: str | None,
        primary_key: Sequence[str],
        one_record: bool = False,
    ) -> None:
        self._one_record = one_record
        self._is_found = data_selector is None
        self._data_selector = data_selector or ""
        self._records_at = json_path("data_selector", data_selector) if data_selector else None
        self._total_path = total_path
        self._total_of = _total_finder(total_path)
        self._primary_key = tuple(primary_key)
        self._key_of = key_finder(self._primary_key)
        is_field = len(self._primary_key) == 1 and "." not in self._primary_key[0]
        self._key_field = self._primary_key[0] if is_field else None
        self._key_types: tuple[set[type], ...] = tuple(set() for _ in self._primary_key)

    def start_pass(self) -> None:
        """Forget what earlier answers had: the collection is read anew."""
        self._key_types = tuple(set() for _ in self._primary_key)
        if self._is_found:
            self._records_at = None

    def read(self, response: requests.Response, page: str, nothing_is_fine: bool) -> Answer:
        """The answer to the question for `page`, which errors name.

        `nothing_is_fine`: everything that was promised has been read, so that emptiness in any form is the end. Else
        only an array, or null for a collection that is empty, is an answer.
        """
        if getattr(response, "is_nothing", False):
            # Somebody has decided that there is nothing here, and read it.
            return Answer([], [], None, None)
        try:
            body = response.json()
        except ResponseShapeError:
            if nothing_is_fine:
                return Answer([], [], None, None)
            raise
        total = self._read_total(response, body, page)
        records = self._read_records(body, page, nothing_is_fine, total)
        return Answer(records, self._read_keys(records, page), total, body)

    def _read_records(self, body: Any, page: str, nothing_is_fine: bool, total: int | None) -> list[Record]:
        if self._records_at is None:
            self._find_records(body)
        assert self._records_at is not None
        values = [match.value for match in self._records_at.find(body)]
        if len(values) == 1 and isinstance(values[0], list):
            return _checked_records(values[0], page)
        if self._one_record and len(values) == 1 and isinstance(values[0], dict):
            return values
        if self._selects_records(values):
            return values
        if nothing_is_fine or self._is_empty(values, total):
            return []
        found = f"{json_type(values[0])} there" if len(values) == 1 else _describe(body)
        raise ResponseShapeError(
            f"{page} has no array of records at `{self._data_selector}`: found {found}. If the records are elsewhere, "
            "set the option `data_selector`."
        )

    def _find_records(self, body: Any) -> None:
        """Where dlt's own detection finds the records, for this answer and all that follow."""
        path, found = find_response_page_data(body)
        # As dlt writes it, but for names that a JSONPath would read as something else.
        self._data_selector = ".".join(name if name.isidentifier() or name == "$" else f'"{name}"' for name in path)
        self._records_at = json_path("data_selector", self._data_selector)
        kind = f"a list of {len(found)}" if isinstance(found, list) else json_type(found)
        log.info("No `data_selector` is set; dlt finds the records at `%s`: %s.", self._data_selector, kind)

    def _selects_records(self, values: list[Any]) -> bool:
        """The selector names the records themselves, as `data[*]` does, or as any that finds several objects."""
        if not values or not all(isinstance(value, dict) for value in values):
            return False
        return len(values) > 1 or self._data_selector.endswith("[*]")

    def _is_empty(self, values: list[Any], total: int | None) -> bool:
        """An empty collection, told as null; or as an array of which `data[*]` finds nothing."""
        if total:
            return False
        return values == [None] or (not values and self._data_selector.endswith("[*]"))

    def keys_of(self, records: Sequence[Record]) -> list[Hashable]:
        """The keys of records that were read before."""
        return list(map(self._key_of, records))

    def _read_keys(self, records: list[Record], page: str) -> list[Hashable]:
        if not self._primary_key:
            return list(map(content_key, records))
        if self._key_field:
            # The common case, for every record: without a call of its own.
            field = self._key_field
            keys: list[Any] = [record.get(field, _MISSING) for record in records]
        else:
            keys = list(map(self._key_of, records))
        parts: list[list[Any]] = [keys] if len(self._primary_key) == 1 else list(map(list, zip(*keys, strict=True)))
        for path, values, types in zip(self._primary_key, parts, self._key_types, strict=False):
            self._check_key(path, values, types, page)
        return keys

    def _check_key(self, path: str, values: list[Any], types: set[type], page: str) -> None:
        here = set(map(type, values))
        if here & {type(None), dict, list, _Missing}:
            found = next(json_type(value) for value in values if isinstance(value, dict | list | _Missing | None))
            raise ResponseShapeError(
                f"{page} holds a record whose primary key `{path}` is {found}. If records are known by another field, "
                "set the option `primary_key`."
            )
        types |= here
        if len(types) > 1:
            # The column of the key has one type: 1 and "1" would end as one row, and "a" among numbers as null.
            kinds = " and ".join(sorted(_KEY_TYPES[key_type] for key_type in types))
            raise ResponseShapeError(
                f"{page} mixes primary keys `{path}` that are {kinds}: a table cannot tell 1 from '1'. If records are "
                "known by another field, set the option `primary_key`."
            )

    def _read_total(self, response: requests.Response, body: Any, page: str) -> int | None:
        value = self._total_of(response, body)
        if value is None:
            return None
        try:
            total = int(value) if not isinstance(value, bool) else -1
        except (TypeError, ValueError, OverflowError):
            total = -1
        if total < 0 or (isinstance(value, float) and value != total):
            raise ResponseShapeError(
                f"{page} gives a total at `{self._total_path}` that is not a whole number of records but "
                f"{json_type(value)}. If the total is elsewhere, set the option `total_path`."
            )
        return total


def _checked_records(values: list[Any], page: str) -> list[Record]:
    if set(map(type, values)) - {dict}:
        position, found = next((at, json_type(one)) for at, one in enumerate(values) if not isinstance(one, dict))
        raise ResponseShapeError(f"{page} holds {found} where record {position} should be an object.")
    return values


def json_type(value: Any) -> str:
    """In the words of JSON."""
    return "nothing" if isinstance(value, _Missing) else _JSON_TYPES.get(type(value), "null")


class _Missing:
    """In place of a key that a record does not have."""


_MISSING = _Missing()


def key_finder(paths: tuple[str, ...]) -> Callable[[Record], Hashable]:
    """Finds the key of a record: the value at the one path, or a tuple of those at several; without a path, what is in it."""
    if not paths:
        return content_key
    if len(paths) > 1:
        finders = [key_finder((path,)) for path in paths]
        return lambda record: tuple(find(record) for find in finders)
    (path,) = paths
    names = path.split(".")
    if len(names) == 1:
        return lambda record: record.get(path, _MISSING)
    return lambda record: _value_at(path, names, record)


def content_key(record: Record) -> Hashable:
    """The same for two records in which the same is, in whatever order."""
    return blake2b(orjson.dumps(record, option=_CONTENT, default=str), digest_size=16).digest()


def _value_at(path: str, names: list[str], record: Record) -> Any:
    if path in record:
        raise ResponseShapeError(
            f"A record has a field whose own name is `{shown(path)}`, and a dot in `primary_key` leads into an object. Such a field "
            "cannot be the key: set the option `primary_key` to another one."
        )
    value: Any = record
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _total_finder(total_path: str | None) -> Callable[[requests.Response, Any], Any]:
    """Finds the total in an answer; None: it is not there."""
    if not total_path:
        return lambda _response, _body: None
    if total_path.startswith(HEADER_PREFIX):
        header = total_path.removeprefix(HEADER_PREFIX).strip()
        return lambda response, _body: response.headers.get(header)
    selector = json_path("total_path", total_path)

    def in_body(_response: requests.Response, body: Any) -> Any:
        matches = selector.find(body) if isinstance(body, dict | list) else []
        return matches[0].value if matches else None

    return in_body


def _describe(body: Any) -> str:
    if not isinstance(body, dict):
        return json_type(body)
    # Names of fields only: values may hold anything.
    return f"an object with the fields {', '.join(f'`{shown(redact(name))}`' for name in list(body)[:8]) or '(none)'}"
