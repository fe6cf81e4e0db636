"""By which parameters an API pages: names that are usual together are tried, and what comes is compared with the first answer.

In: the first answer. Out: a `Paging`, or what the API says itself of its next page. Size 2 at position 3 tells all in one request:
by offset it begins with the fourth record, by number from 1 with the fifth, by number from 0 with the seventh.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
    trial = _Trial(keys)
    for size, position in _families(nexts, len(keys), asker.given_params()):
        if asker.left <= KEPT_REQUESTS or len(keys) < FEWEST_RECORDS or (trial.size_param and nexts):
            break
        if trial.is_worth(size, position):
            reply = asker.ask({size: SIZE, position: POSITION})
            if paging := trial.judge(size, position, reply):
                return paging
    return _followed(nexts, trial.size_param, trial.small)


@dataclass
class _Trial:
    """What is known of names so far. `first`: the keys of the first answer. `small`: an answer of a small page."""

    first: Sequence[Any]
    size_param: str | None = None
    small: Reply | None = None
    ignored: set[str] = field(default_factory=set)

    def is_worth(self, size: str, position: str) -> bool:
        """Neither is ignored, and where the size is known, it is that one."""
        return not self.ignored & {size, position} and self.size_param in (None, size)

    def judge(self, size: str, position: str, reply: Reply) -> Paging | None:
        """The paging, where both were heeded."""
        seen = _keys_of(reply)
        if (how := _position_of(self.first, seen)) is not None:
            return Paging(how[0], position, size, how[1], reply=reply)
        if seen == self.first[:SIZE]:
            self.size_param, self.small = size, reply
            self.ignored.add(position)
        elif seen == self.first:
            self.ignored |= {size, position}
        elif len(seen) == SIZE:
            # In an order of its own, which tells nothing of the position.
            self.size_param, self.small = size, reply
        return None


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
    hints = {name: value for name, value in _numbers_in_links(nexts) if name not in given}
    sizes = [name for name, value in hints.items() if value == length and "off" not in name.lower()]
    own = [(size, position) for size in sizes for position in hints if position not in sizes]
    near = [pair for pair in FAMILIES if set(pair) & set(hints)]
    yield from (pair for pair in dict.fromkeys((*own, *near, *FAMILIES)) if not given & set(pair))


def _numbers_in_links(nexts: list[Next]) -> Iterator[tuple[str, int]]:
    for link in (one.value for one in nexts if one.kind != "cursor"):
        for name, value in parse_qsl(urlsplit(link).query):
            if value.isdecimal() and len(value) < 20:
                yield name, int(value)
