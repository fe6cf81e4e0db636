"""Charts as numbers that a template writes as SVG: where each bar begins, how high it is, and what stands at the axis.

In: loads, and which of their counts are stacked. Out: `Chart`, in units of the SVG. No text of a report is put into markup here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from load_history_page.reports import Load

WIDTH, HEIGHT = 720, 160
LEFT, BOTTOM, TOP = 56, 20, 8


@dataclass(frozen=True)
class Series:
    """One colour of the stack: the field of `Load`, its name for people, and the class of its colour."""

    field: str
    label: str
    colour: str


@dataclass(frozen=True)
class Bar:
    """One colour of one load."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True)
class Column:
    """One load: its bars, lowest first, and a line of text for a pointer."""

    bars: tuple[Bar, ...]
    text: str


@dataclass(frozen=True)
class Chart:
    """Oldest load on the left. `ticks`: y and text. `start`, `end`: the first and last load; None: no load says when."""

    title: str
    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, str], ...]
    series: tuple[Series, ...]
    start: datetime | None
    end: datetime | None


ROWS = (
    Series("inserted_rows", "inserted", "c1"),
    Series("updated_rows", "updated", "c2"),
    Series("unchanged_rows", "unchanged", "c3"),
    Series("superseded_rows", "superseded", "c4"),
    Series("deleted_rows", "deleted", "c5"),
)
# What was told before inserted and updated rows were counted apart.
LOADED_ROWS = (Series("loaded_rows", "loaded", "c1"),)
SECONDS = (Series("seconds_reading", "reading", "c1"), Series("seconds_loading", "loading", "c2"))
ALL_SECONDS = (Series("seconds", "reading and loading", "c1"),)
REQUESTS = (Series("first_requests", "requests", "c1"), Series("retries", "retries", "c5"))


def charts(loads: Sequence[Load]) -> tuple[Chart, ...]:
    """Rows, seconds and requests of `loads`, newest first, each where a load tells of it."""
    oldest_first = list(reversed(loads))
    found = (
        _chart("Rows", oldest_first, ROWS) or _chart("Rows", oldest_first, LOADED_ROWS),
        _chart("Seconds", oldest_first, SECONDS) or _chart("Seconds", oldest_first, ALL_SECONDS),
        _chart("Requests", oldest_first, REQUESTS),
    )
    return tuple(chart for chart in found if chart)


def _chart(title: str, loads: Sequence[Load], series: tuple[Series, ...]) -> Chart | None:
    """None: no load tells of any of it."""
    values = [[_value(load, one.field) for one in series] for load in loads]
    if all(value is None for stack in values for value in stack):
        return None
    top = _round_up(max(sum(value or 0 for value in stack) for stack in values))
    slot = (WIDTH - LEFT) / len(loads)
    # Few loads are no walls, many still have a line each.
    width = min(slot * 0.8, 24)
    columns = tuple(
        Column(_bars(stack, series, LEFT + slot * number + (slot - width) / 2, width, top), _text(load, stack, series))
        for number, (load, stack) in enumerate(zip(loads, values, strict=True))
    )
    told = tuple(one for one, stack in zip(series, zip(*values, strict=True), strict=True) if any(stack)) or series[:1]
    ticks = tuple((HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP), short(top * part)) for part in (0, 0.5, 1))
    return Chart(title, columns, ticks, told, loads[0].finished_at, loads[-1].finished_at)


def _bars(
    stack: Sequence[float | None], series: Sequence[Series], x: float, width: float, top: float
) -> tuple[Bar, ...]:
    """The bars of one load, `top` being the highest value of the axis."""
    y, bars = float(HEIGHT - BOTTOM), []
    for value, one in zip(stack, series, strict=True):
        height = (value or 0) / top * (HEIGHT - BOTTOM - TOP)
        y -= height
        if height:
            bars.append(Bar(round(x, 2), round(y, 2), round(width, 2), round(height, 2), one.colour))
    return tuple(bars)


def _value(load: Load, field: str) -> float | None:
    if field != "first_requests":
        value: float | None = getattr(load, field)
        return value
    # `requests` counts all of them, the repeated ones too.
    return None if load.requests is None else max(load.requests - (load.retries or 0), 0)


def _text(load: Load, stack: Sequence[float | None], series: Sequence[Series]) -> str:
    when = f"{load.finished_at:%Y-%m-%d %H:%M} UTC: " if load.finished_at else ""
    told = [f"{value:,.10g} {one.label}" for value, one in zip(stack, series, strict=True) if value is not None]
    return when + (", ".join(told) or "not told")


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … so that the axis has round numbers."""
    if value <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 5) if value <= step * power), 10 * power)


def short(value: float) -> str:
    """A number for an axis: 1200 is `1.2k`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.4g}{unit}"
    return f"{value:.3g}"
