"""Where things are in an answer: its records, what may be its total, its next page.

In: a JSON body and headers. Out: JSONPaths, as the options take them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from requests.utils import parse_header_links

from include.extract.answer import HEADER_PREFIX

Record = dict[str, Any]

_LEVELS = 3
_USUAL = ("data", "results", "items", "records", "rows", "result", "features", "hits", "datasets", "entries", "values")
_TOTAL = re.compile(r"total|count|found|matched|hits|^items$|setsize|nhits|numrows")
_NO_TOTAL = re.compile(r"page|offset|limit|size$|index|start|next|prev|first|last")
_TOTAL_HEADERS = (
    "X-Total-Count",
    "X-Total",
    "Total-Count",
    "X-Count",
    "X-Pagination-Total",
    "X-Pagination-Total-Count",
)
_NEXT = re.compile(r"next(url|link|page|pageurl|recordsurl|href)?$|odatanextlink$")
_CURSOR = re.compile(r"next(cursor|cursorid|pagetoken|token|key|marker)$|continuationtoken$|^(end)?cursor$|^scrollid$")
_BETWEEN_WORDS = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True)
class Found:
    """The records of an answer, at `selector`; none: the list is empty."""

    selector: str
    records: list[Record]


@dataclass(frozen=True)
class Next:
    """What names the next page: `kind` is that of the paginator, `place` where it stands, `value` what it says."""

    kind: str
    place: str
    value: str


def records_in(body: Any) -> Found | None:
    """The longest list of objects; None: there is no list of objects, nor an empty one under a usual name."""
    found = list(_lists(body, "", _LEVELS))
    filled = [one for one in found if one.records]
    if filled:
        return max(filled, key=lambda one: (len(one.records), -one.selector.count(".")))
    return next((one for one in found if one.selector.rpartition(".")[2] in ("$", *_USUAL)), None)


def _lists(value: Any, path: str, levels: int) -> Iterator[Found]:
    if isinstance(value, list):
        if all(isinstance(item, dict) for item in value):
            yield Found(path or "$", value)
        elif not path:
            # The array [meta, records].
            for position, item in enumerate(value[:4]):
                yield from _lists(item, f"$[{position}]", levels - 1)
    elif isinstance(value, dict) and levels:
        for name, item in value.items():
            yield from _lists(item, _below(path, name), levels - 1)


def totals_in(body: Any, headers: Mapping[str, str], at_least: int) -> dict[str, int]:
    """What may be the number of all records, by place, best first: whole numbers of `at_least` that have a usual name."""
    found = {f"{HEADER_PREFIX}{name}": headers.get(name, "") for name in _TOTAL_HEADERS}
    named = {place: int(value) for place, value in found.items() if value.isascii() and value.isdecimal()}
    numbers = dict(_numbers(body, "", _LEVELS))
    return {place: value for place, value in {**named, **numbers}.items() if value >= at_least}


def _numbers(value: Any, path: str, levels: int) -> Iterator[tuple[str, int]]:
    if isinstance(value, list) and not path:
        for position, item in enumerate(value[:4]):
            if isinstance(item, dict) and len(value) <= 2:
                yield from _numbers(item, f"$[{position}]", levels - 1)
    if not isinstance(value, dict) or not levels:
        return
    for name, item in value.items():
        plain = _plain(name)
        if type(item) is int and _TOTAL.search(plain) and not _NO_TOTAL.search(plain):
            yield _below(path, name), item
        yield from _numbers(item, _below(path, name), levels - 1)


def next_in(body: Any, headers: Mapping[str, str]) -> list[Next]:
    """What names the next page, best first; none: nothing does, or this is the last."""
    links = parse_header_links(headers.get("Link", "")) if headers.get("Link") else []
    of_header = [Next("header_link", "next", link["url"]) for link in links if link.get("rel") == "next"]
    of_body = sorted(_nexts(body, "", _LEVELS), key=lambda one: one.kind != "json_link")
    return [*of_body, *of_header]


def _nexts(value: Any, path: str, levels: int) -> Iterator[Next]:
    if not isinstance(value, dict) or not levels:
        return
    for name, item in value.items():
        place, plain = _below(path, name), _plain(name)
        if _NEXT.search(plain) and isinstance(item, dict):
            yield from (
                Next("json_link", _below(place, inner), link)
                for inner in ("href", "url")
                if isinstance(link := item.get(inner), str) and link
            )
        elif _NEXT.search(plain) and isinstance(item, str) and ("/" in item or "?" in item):
            yield Next("json_link", place, item)
        elif (_CURSOR.search(plain) or _NEXT.search(plain)) and isinstance(item, str) and item:
            yield Next("cursor", place, item)
        yield from _nexts(item, place, levels - 1)


def _below(path: str, name: str) -> str:
    return ".".join(filter(None, (path, name if name.isidentifier() else f'"{name}"')))


def _plain(name: str) -> str:
    """In lower case, and without what stands between words."""
    return _BETWEEN_WORDS.sub("", name.lower())
