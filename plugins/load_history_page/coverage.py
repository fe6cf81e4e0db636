"""Which days are loaded, and where a window is missing.

In: what each load covers. Out: the days of the last weeks, each with how far it is covered, and the gaps. No database, no HTML.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal

from load_history_page.store import Window

WEEKS = 26
EARLIEST = datetime.min.replace(tzinfo=UTC)

Interval = tuple[datetime, datetime]
DayState = Literal["loaded", "part", "gap", "none"]


@dataclass(frozen=True)
class Day:
    """A day in UTC: `loaded`, in `part`, a `gap` between loaded ones, or `none`: before or after all that was loaded."""

    day: date
    state: DayState


@dataclass(frozen=True)
class Coverage:
    """`weeks`: days from Monday to Sunday, oldest first. `gaps`: all between the first and the last window. UTC."""

    weeks: tuple[tuple[Day, ...], ...]
    gaps: tuple[Interval, ...]
    has_windows: bool


def coverage(windows: Sequence[Window], today: date) -> Coverage:
    """What `windows` cover together, on the `WEEKS` weeks up to `today`."""
    covered = _merged((window.start or EARLIEST, window.end) for window in windows)
    gaps = tuple((end, start) for (_, end), (start, _) in pairwise(covered))
    monday = today - timedelta(days=today.weekday()) - timedelta(weeks=WEEKS - 1)
    weeks = tuple(
        tuple(_day(monday + timedelta(days=7 * week + day), covered) for day in range(7)) for week in range(WEEKS)
    )
    return Coverage(weeks, gaps, any(window.start for window in windows))


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same instants, as few intervals, in order."""
    merged: list[Interval] = []
    for start, end in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _day(day: date, covered: list[Interval]) -> Day:
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    if not covered or end <= covered[0][0] or start >= covered[-1][1]:
        return Day(day, "none")
    if any(first <= start and end <= last for first, last in covered):
        return Day(day, "loaded")
    return Day(day, "part" if any(first < end and start < last for first, last in covered) else "gap")
