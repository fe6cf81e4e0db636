"""Instants as APIs and their records write them.

In: an instant, or a record's cursor value. Out: what an API takes in a parameter, or the instant in UTC. No clock, network,
Airflow or dlt. Every error here is permanent: the same call fails again.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pendulum

from include.configure.choices import CursorFormat
from include.errors import ConfigurationError, ResponseShapeError

Side = Literal["start", "end"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# 1e11 is the year 5138 in seconds and March 1973 in milliseconds.
_FIRST_EPOCH_MILLISECONDS = 10**11
# datetime.fromisoformat takes any character as the separator: it reads "1709123012345" as 1709-12-30T23:45.
_ISO_8601 = re.compile(r"(?:\d{4}-\d\d-\d\d|\d{8})(?:[Tt ].*)?", re.ASCII)


# The coarsest that an API which takes the format may compare by: records may have fewer digits than the parameter.
_UNIT: dict[CursorFormat, timedelta] = {
    "iso8601_z": timedelta(seconds=1),
    "iso8601_offset": timedelta(seconds=1),
    "date": timedelta(days=1),
    "epoch_seconds": timedelta(seconds=1),
    "epoch_milliseconds": timedelta(milliseconds=1),
}


def format_start(start: datetime, cursor_format: CursorFormat) -> str | int:
    """The start of a window as an API is to be asked for it: one unit of the format earlier.

    An API may mean "after" by its parameter, and would leave out the records at the start itself. Both ends of a window are
    enforced by `LoadWindow.contains`: what comes too early is dropped. Raises as `format_instant` does.
    """
    exact = as_datetime(in_utc(start, "The instant"))
    # The year 1 has no earlier one.
    earlier = exact - min(_UNIT.get(cursor_format, timedelta()), exact - datetime.min.replace(tzinfo=UTC))
    return format_instant(earlier, cursor_format, "start")


def format_instant(instant: datetime, cursor_format: CursorFormat, side: Side) -> str | int:
    """`instant` (aware, else `ConfigurationError`) in UTC, as an API takes it for the `side` of a window.

    A format coarser than the instant is rounded outward: down for the start, up for the end, so the API is
    asked for the whole window or more, and `LoadWindow.contains` drops the rest. Dates are UTC days. The ISO
    formats carry microseconds only where there are some. Raises `ConfigurationError` (permanent) for an
    unknown format.
    """
    exact = as_datetime(in_utc(instant, "The instant"))
    match cursor_format:
        case "iso8601_z":
            return exact.isoformat().removesuffix("+00:00") + "Z"
        case "iso8601_offset":
            return exact.isoformat()
        case "date":
            days = _whole(exact, timedelta(days=1), side)
            return (_EPOCH + timedelta(days=days)).date().isoformat()
        case "epoch_seconds":
            return _whole(exact, timedelta(seconds=1), side)
        case "epoch_milliseconds":
            return _whole(exact, timedelta(milliseconds=1), side)
        case _:
            raise ConfigurationError(
                "cursor_format has to be one of iso8601_z, iso8601_offset, date, epoch_seconds, epoch_milliseconds."
            )


def parse_cursor(value: object) -> pendulum.DateTime:
    """The instant, in UTC, that a record's cursor value means.

    ISO 8601 text or a datetime, taken as UTC when it has no offset; a date as text is its midnight in UTC, so
    a window that ends inside a day holds the records of that day as they are so far, and only a later window
    that holds the same midnight sees the rest; a number is seconds since 1970, or milliseconds from 1e11 on
    (up to the year 5138, and after 3 March 1973).

    What is finer than a microsecond is cut off, never rounded up: as window bounds are whole microseconds,
    the record stays on the side of every bound that it was on, which is also the side on which the API puts
    it.

    Raises `ResponseShapeError` (permanent), naming the type and not the value, for anything else: None, a
    bool, a number as text, text that is not ISO 8601, an instant outside the years 1 to 9999.
    """
    try:
        if isinstance(value, str):
            # Not pendulum.parse: slower by a factor of six, and it reads the clock for "now" and "12:00".
            parsed = from_iso_8601(value)
            if parsed is not None:
                return as_pendulum(parsed)
        elif isinstance(value, datetime):
            return as_pendulum(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            per_unit = 1_000 if abs(value) >= _FIRST_EPOCH_MILLISECONDS else 1_000_000
            # repr of a float is the number as the JSON text had it; float arithmetic could cross a bound.
            exact = value if isinstance(value, int) else Decimal(repr(value))
            return as_pendulum(_EPOCH + math.floor(exact * per_unit) * _MICROSECOND)
    except (ValueError, OverflowError):  # not finite, or outside the years 1 to 9999
        pass
    raise ResponseShapeError(
        f"A record's cursor value of type {type(value).__name__} is not an instant: cursor_path has to lead"
        " to ISO 8601 text or a number of seconds or milliseconds since 1970."
    )


def from_iso_8601(text: str) -> datetime | None:
    """The date and time as written, naive without an offset; None: `text` is not ISO 8601."""
    if not _ISO_8601.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())  # RFC 3339, section 5.6, allows "t" and "z"
    except ValueError:
        return None


def as_pendulum(instant: datetime) -> pendulum.DateTime:
    """`instant` in UTC, where naive means UTC. `pendulum.instance` does the same, four times slower."""
    tzinfo = instant.tzinfo
    u = instant if tzinfo is None or tzinfo is UTC or tzinfo is pendulum.UTC else instant.astimezone(UTC)
    return pendulum.DateTime(u.year, u.month, u.day, u.hour, u.minute, u.second, u.microsecond, tzinfo=pendulum.UTC)


def in_utc(instant: datetime, name: str) -> pendulum.DateTime:
    """`instant` in UTC; a naive one, or one outside the years 1 to 9999, raises `ConfigurationError`."""
    if instant.tzinfo is None:
        raise ConfigurationError(f"{name} has no time zone: give an offset or Z.")
    try:
        return as_pendulum(instant)
    except OverflowError:
        raise ConfigurationError(f"{name} is outside the years 1 to 9999 in UTC.") from None


def as_datetime(instant: pendulum.DateTime) -> datetime:
    """The same instant without pendulum's own arithmetic, whose intervals are rounded floats."""
    return datetime.combine(instant.date(), instant.time(), tzinfo=UTC)


def _whole(instant: datetime, unit: timedelta, side: Side) -> int:
    """How many `unit` since 1970, rounded down for a start and up for an end."""
    since = instant - _EPOCH
    return since // unit if side == "start" else -(-since // unit)
