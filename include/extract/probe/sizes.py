"""How many records a page may have, where the total is, and whether the order of the records stays.

In: how the API pages. Out: numbers and places; None where it could not be found out.
"""

from dataclasses import dataclass

from include.extract.answer import content_key
from include.extract.probe.asking import Asker, Reply
from include.extract.probe.paging import Paging
from include.extract.probe.places import Found, records_in, totals_in

# What is asked for, the largest first: a larger page is no gain.
SIZES = (1000, 100, 50, 20)


@dataclass(frozen=True)
class LargePage:
    """The largest page that was got. `asked`: what it was asked for; `refused`: sizes that the API refused."""

    reply: Reply
    found: Found
    asked: int
    refused: tuple[int, ...]

    @property
    def length(self) -> int:
        """Its records."""
        return len(self.found.records)


def largest_page(asker: Asker, paging: Paging) -> LargePage | None:
    """None: there is no parameter for the size, or none of the sizes was taken."""
    if not paging.size_param:
        return None
    refused: list[int] = []
    for size in SIZES:
        reply = asker.ask(paging.params(size))
        found = records_in(reply.body) if reply.is_good else None
        if found and found.records:
            return LargePage(reply, found, size, tuple(refused))
        refused.append(size)
    return None


def total_in(replies: list[Reply], at_least: int) -> tuple[str, int] | None:
    """The place and the number that is the same in all answers, whatever the size of their pages; None: there is none."""
    each = [totals_in(reply.body, reply.headers, at_least) for reply in replies if reply.is_good]
    if not each:
        return None
    return next(
        ((place, number) for place, number in each[0].items() if all(one.get(place) == number for one in each)), None
    )


def end_is_at(asker: Asker, paging: Paging, total: int, size: int) -> bool | None:
    """Whether the last record is where the total says; None: it cannot be asked for."""
    if not paging.position_param or not total:
        return None
    if paging.kind == "offset":
        reply, expected = asker.ask(paging.params(size, total - 1)), 1
    else:
        pages = -(-total // size)
        reply, expected = asker.ask(paging.params(size, paging.base + pages - 1)), total - (pages - 1) * size
    found = records_in(reply.body) if reply.is_good else None
    return None if found is None else len(found.records) == expected


def comes_again(asker: Asker, params: dict[str, int], found: Found) -> bool | None:
    """Whether the same question brings the same records in the same order; None: it was not answered."""
    reply = asker.ask(params)
    again = records_in(reply.body) if reply.is_good else None
    if again is None:
        return None
    return [content_key(one) for one in again.records] == [content_key(one) for one in found.records]
