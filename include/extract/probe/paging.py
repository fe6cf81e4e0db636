"""By which parameters an API pages: names that are usual together are tried, and what comes is compared with the first answer.

In: the first answer. Out: a `Paging`, or what the API says itself of its next page. Size 2 at position 3 tells all in one request:
by offset it begins with the fourth record, by number from 1 with the fifth, by number from 0 with the seventh.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from include.extract.answer import content_key
from include.extract.probe.asking import Asker, Reply
from include.extract.probe.places import Found, Next, next_in, records_in

SIZE, POSITION = 2, 3
# Fewer records in the first answer tell nothing.
FEWEST_RECORDS = 6
# Sizes and positions that are usual together, commonest first.
FAMILIES = (
    ("limit", "offset"),
    ("page_size", "page"),
    ("per_page", "page"),
    ("_per_page", "_page"),
    ("_limit", "_page"),
    ("size", "page"),
    ("rows", "start"),
    ("page[size]", "page[number]"),
    ("limit", "page"),
    ("$limit", "$offset"),
    ("pageSize", "page"),
    ("limit", "skip"),
    ("_limit", "_start"),
    ("per_page", "start"),
)
# What is left for cap, total, order and filter.
KEPT_REQUESTS = 7


@dataclass(frozen=True)
class Paging:
    """How to page. `position_param`, `size_param` None: there is none. `base`: the first page's number.

    `kind` is a name that the option `paginator` knows; `next` is what named the next page, of links and cursors. `reply` is an answer
    of a small page: totals that are only in pages are there.
    """

    kind: str
    position_param: str | None = None
    size_param: str | None = None
    base: int = 0
    next: Next | None = None
    cursor_param: str | None = None
    reply: Reply | None = None

    def params(self, size: int, position: int | None = None) -> dict[str, int]:
        """The parameters of a page of `size`; `position` None: of the first."""
        params = {self.size_param: size} if self.size_param else {}
        if self.position_param:
            params[self.position_param] = self.base if position is None else position
        return params


def recognise(asker: Asker, first: Reply, found: Found) -> Paging:
    """Try the names until size and position are known; a link that the API gives says its names itself."""
    nexts = next_in(first.body, first.headers)
    keys = [content_key(record) for record in found.records]
    size_param: str | None = None
    ignored: set[str] = set()
    small: Reply | None = None
    for size, position in _families(nexts, len(keys), asker.given_params()):
        if asker.left <= KEPT_REQUESTS or len(keys) < FEWEST_RECORDS:
            break
        if ignored & {size, position} or (size_param and size != size_param):
            continue
        reply = asker.ask({size: SIZE, position: POSITION})
        seen = _keys_of(reply)
        if (how := _position_of(keys, seen)) is not None:
            return Paging(how[0], position, size, how[1], reply=reply)
        if seen == keys[:SIZE]:
            size_param, small = size, reply
            ignored.add(position)
        elif seen == keys:
            ignored |= {size, position}
        if size_param and nexts:
            break
    return _followed(nexts, size_param, small)


def _position_of(first: Sequence[Any], seen: Sequence[Any]) -> tuple[str, int] | None:
    """The kind, and the number of the first page; None: the position was not heeded."""
    if len(seen) != SIZE:
        return None
    places = {
        ("offset", 0): POSITION,
        ("page_number", 1): SIZE * (POSITION - 1),
        ("page_number", 0): SIZE * POSITION,
    }
    return next((how for how, at in places.items() if seen == first[at : at + SIZE]), None)


def _followed(nexts: list[Next], size_param: str | None, small: Reply | None) -> Paging:
    for one in nexts:
        if one.kind in ("json_link", "header_link"):
            return Paging(one.kind, size_param=size_param, next=one, reply=small)
    if nexts:
        return Paging("cursor", size_param=size_param, next=nexts[0], reply=small)
    return Paging("single_page", size_param=size_param, reply=small)


def find_cursor_param(asker: Asker, paging: Paging, found: Found) -> str | None:
    """The parameter that takes the cursor to the next page; None: none of the usual names does."""
    assert paging.next is not None
    name = paging.next.place.rpartition(".")[2].strip('"')
    first = [content_key(record) for record in found.records]
    for param in dict.fromkeys((name, f"_{name}", "cursor", "page_token", "next", "after")):
        if asker.left <= KEPT_REQUESTS - 2:
            return None
        seen = _keys_of(asker.ask({param: paging.next.value}))
        if seen and not set(seen) & set(first):
            return param
    return None


def _keys_of(reply: Reply) -> list[Any]:
    found = records_in(reply.body) if reply.is_good else None
    return [content_key(record) for record in found.records] if found else []


def _families(nexts: list[Next], length: int, given: set[str]) -> Iterator[tuple[str, str]]:
    """All pairs of names, those first that the API's own link has. A name that somebody has set is not tried."""
    hints = {
        name: value
        for one in nexts
        if one.kind != "cursor"
        for name, value in parse_qsl(urlsplit(one.value).query)
        if value.isdecimal() and name not in given
    }
    sizes = [name for name, value in hints.items() if int(value) == length and "off" not in name.lower()]
    positions = [name for name in hints if name not in sizes]
    own = [(size, position) for size in sizes for position in positions]
    near = [pair for pair in FAMILIES if set(pair) & set(hints)]
    for pair in dict.fromkeys((*own, *near, *FAMILIES)):
        if not given & set(pair):
            yield pair
