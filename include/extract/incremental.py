"""dlt's `incremental` of a declaration, for the window of one run.

In: the declared incremental, the window. Out: the same with `initial_value` and `end_value`, so that dlt fills placeholders and
parameters by itself and keeps no state. What of the answer lies in the window is decided here (`source.py`), whatever dlt makes of it.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.configure.choices import CursorFormat
from include.decide.cursor import Side, as_datetime, format_instant, format_start
from include.decide.window import LoadWindow

# Before anything that an API has, and such that each format can write it.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT, _DAY = timedelta(microseconds=1), timedelta(days=1)


def for_window(declared: Mapping[str, Any], window: LoadWindow | None, cursor_format: CursorFormat) -> dict[str, Any]:
    """dlt's configuration of `incremental`, of which a run without a window reads everything since the declared beginning."""
    beginning, now = declared.get("initial_value"), datetime.now(UTC)
    start = as_datetime(window.start) if window is not None and window.start is not None else None
    end = as_datetime(window.end) if window is not None else now
    initial_value = as_declared(beginning, start, cursor_format, "start")
    if start is None and beginning is not None:
        initial_value = beginning
    # What has no cursor is ours to judge; and a reading that stops early is none that can be proven.
    rest = {name: value for name, value in declared.items() if name not in ("row_order", "parameter", "lag")}
    return {
        **rest,
        "initial_value": initial_value,
        "end_value": as_declared(beginning, end, cursor_format, "end"),
        "on_cursor_value_missing": "include",
    }


def as_declared(example: Any, instant: datetime | None, cursor_format: CursorFormat, side: Side) -> Any:
    """`instant` (UTC; None: before anything) as the declaration writes instants; as `cursor_format` says, where it gives no example.

    A start is one unit earlier: an API may mean "after" by its parameter.
    """
    if instant is None or (side == "start" and instant == BEGINNING):
        return as_declared(example, BEGINNING, cursor_format, "end")
    match example:
        case datetime():
            instant = instant - _INSTANT if side == "start" else instant
            return instant if example.tzinfo else instant.replace(tzinfo=None)
        case date():
            return (instant - _DAY).date() if side == "start" else (instant + _DAY - _INSTANT).date()
        case bool():
            pass
        case int() | float():
            written: CursorFormat = "epoch_milliseconds" if abs(example) >= 10**11 else "epoch_seconds"
            return _written(instant, written, side)
        case str():
            return _written(instant, _format_of(example, cursor_format), side)
    return _written(instant, cursor_format, side)


def _written(instant: datetime, cursor_format: CursorFormat, side: Side) -> str | int:
    return format_start(instant, cursor_format) if side == "start" else format_instant(instant, cursor_format, side)


def _format_of(text: str, otherwise: CursorFormat) -> CursorFormat:
    if len(text) == len("2026-11-27") and text[4:5] == "-":
        return "date"
    if text.upper().endswith("Z"):
        return "iso8601_z"
    return "iso8601_offset" if text[-6:-5] in "+-" and ":" in text[-3:] else otherwise
