"""Whether the API gives only what changed in a window, by which parameters, and which of its ends belong to it.

In: the field of the change, and records that came. Out: a `TimeFilter`; None: none of the usual names filters.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.configure.choices import CursorFormat
from include.decide.cursor import as_datetime, format_instant, parse_cursor
from include.errors import ResponseShapeError
from include.extract.probe.asking import Asker, Reply
from include.extract.probe.fields import Record, value_at
from include.extract.probe.places import records_in

# So many different instants are needed: one at each end, one between, one outside.
FEWEST_INSTANTS = 4
KEPT_REQUESTS = 1


@dataclass(frozen=True)
class TimeFilter:
    """`end_param` None: only the start is heeded. `start_is_in`, `end_is_in`: whether the API counts that end in; None: unknown."""

    start_param: str
    end_param: str | None
    start_is_in: bool | None
    end_is_in: bool | None


def find_filter(
    asker: Asker, path: str, form: CursorFormat, records: Sequence[Record], params: dict[str, int], page_size: int
) -> TimeFilter | None:
    """Ask for a window that holds some of the `records`, by one pair of names after the other.

    `params` are those of a page, which holds `page_size` records unless it is the last.
    """
    instants = sorted({as_datetime(parse_cursor(value_at(record, path))) for record in records})
    if len(instants) < FEWEST_INSTANTS:
        return None
    middle = (len(instants) - 2) // 2
    low, high = instants[middle], instants[middle + 2]
    for start, end in _names(path):
        if asker.left <= KEPT_REQUESTS:
            return None
        asked = {start: _written(low, form, "start"), end: _written(high, form, "end")}
        found = _judged(asker.ask({**params, **asked}), path, low, high, (start, end), page_size)
        if found is not None:
            return found
    return None


def _judged(
    reply: Reply, path: str, low: datetime, high: datetime, names: tuple[str, str], page_size: int
) -> TimeFilter | None:
    found = records_in(reply.body) if reply.is_good else None
    try:
        came = {as_datetime(parse_cursor(value_at(one, path))) for one in found.records} if found else set()
    except ResponseShapeError:
        return None
    if not found or not came or min(came) < low:
        return None
    is_all = len(found.records) < page_size
    start_is_in = True if low in came else (False if is_all else None)
    if max(came) > high:
        return TimeFilter(names[0], None, start_is_in, None)
    return TimeFilter(*names, start_is_in, True if high in came else (False if is_all else None))


def _written(instant: datetime, form: CursorFormat, side: Any) -> Any:
    return format_instant(instant, form, side)


def _names(path: str) -> Iterator[tuple[str, str]]:
    """Pairs of names for the start and the end, commonest first."""
    name = path.rpartition(".")[2]
    stem = re.sub(r"_(at|on|date|time)$", "", name)
    pairs = [
        (f"{name}__gte", f"{name}__lt"),
        (f"{stem}_since", f"{stem}_before"),
        (f"{name}_gte", f"{name}_lte"),
        (f"{name}:gte", f"{name}:lt"),
        (f"filter[{name}.gte]", f"filter[{name}.lt]"),
        ("since", "until"),
        (f"{stem}_after", f"{stem}_before"),
        ("start_date", "end_date"),
        ("start", "end"),
    ]
    yield from dict.fromkeys(pairs)
