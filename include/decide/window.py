"""Decides which half-open UTC window a run loads, and translates between windows, API parameters and records.

In: a run's data interval or the form's values, the windows of completed loads, a `now`, cursor values of
records.
Out: a `LoadWindow`; an instant in the format an API takes; a record's cursor value as an instant.
No clock, network, Airflow or dlt: every function gives the same answer to the same arguments. All arithmetic
is in UTC, so neither the schedule's time zone nor a DST change opens a gap: neighbours share one boundary
instant, and that instant belongs to the later one. Every error here is permanent: the same call fails again.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, assert_never

import pendulum

from include.errors import ConfigurationError, PermanentError, ResponseShapeError

RunKind = Literal["scheduled", "backfill", "manual"]
CursorFormat = Literal["iso8601_z", "iso8601_offset", "date", "epoch_seconds", "epoch_milliseconds"]
Side = Literal["start", "end"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# 1e11 is the year 5138 in seconds and March 1973 in milliseconds.
_FIRST_EPOCH_MILLISECONDS = 10**11
# datetime.fromisoformat takes any character as the separator: it reads "1709123012345" as 1709-12-30T23:45.
_ISO_8601 = re.compile(r"(?:\d{4}-\d\d-\d\d|\d{8})(?:[Tt ].*)?", re.ASCII)


class NothingToLoad(PermanentError):
    """Completed loads cover everything up to now. A caller may end the run as skipped, never as loaded."""


@dataclass(frozen=True)
class LoadWindow:
    """Half-open UTC interval [start, end). `start` None: from the beginning of all history; `end` always set.

    Any aware datetimes go in and are held in UTC. Raises `ConfigurationError` (permanent) for a naive bound
    and for a window in which no instant lies.
    """

    start: pendulum.DateTime | None
    end: pendulum.DateTime

    def __post_init__(self) -> None:
        end = _utc(self.end, "The end of the window")
        object.__setattr__(self, "end", end)
        if self.start is None:
            return
        start = _utc(self.start, "The start of the window")
        object.__setattr__(self, "start", start)
        if start >= end:
            raise ConfigurationError(f"The window {self} is empty: its start has to be before its end.")

    def contains(self, instant: datetime) -> bool:
        """Whether `instant` (aware; naive: `ConfigurationError`) is at or after `start` and before `end`."""
        if instant.tzinfo is None:
            raise ConfigurationError("An instant without a time zone cannot be compared with a window.")
        return instant < self.end and (self.start is None or self.start <= instant)

    def __str__(self) -> str:
        start = "beginning" if self.start is None else format_instant(self.start, "iso8601_z", "start")
        return f"[{start}, {format_instant(self.end, 'iso8601_z', 'end')})"


def parse_instant(value: str, field: str) -> pendulum.DateTime:
    """The instant, in UTC, that a person wrote into `field` as ISO 8601 with an offset or `Z`.

    Raises `ConfigurationError` (permanent), naming the field, for a date alone, a time without an offset,
    anything else. Digits beyond microseconds are dropped.
    """
    parsed = _from_iso_8601(value.strip())
    if parsed is None or parsed.tzinfo is None:
        raise ConfigurationError(
            f"{field} has to be an ISO 8601 date and time with an offset, such as 2026-11-01T00:00:00Z."
        )
    return _utc(parsed, field)


def form_window(window_start: str | None, window_end: str | None, now: datetime) -> LoadWindow | None:
    """The window asked for in the run's form; None: neither field is filled in (None or blank).

    Raises `ConfigurationError` (permanent) for one field without the other, for what `parse_instant` refuses,
    for a reversed or empty window, and for one that ends after `now` (aware): it would be recorded as
    complete too early.
    """
    start_text, end_text = (window_start or "").strip(), (window_end or "").strip()
    if not start_text and not end_text:
        return None
    if not start_text or not end_text:
        missing, given = ("window_start", "window_end") if end_text else ("window_end", "window_start")
        raise ConfigurationError(f"{given} is set and {missing} is not: give both, or neither.")
    start, end = parse_instant(start_text, "window_start"), parse_instant(end_text, "window_end")
    if start >= end:
        raise ConfigurationError("window_start has to be before window_end, which is not part of the window.")
    if end > _utc(now, "now"):
        raise ConfigurationError("window_end is in the future: give a window that is over.")
    return LoadWindow(start, end)


def run_window(
    kind: RunKind,
    data_interval_start: datetime | None,
    data_interval_end: datetime | None,
    requested: LoadWindow | None,
    covered_until: datetime | None,
    now: datetime,
    lookback_days: float,
) -> LoadWindow:
    """The window that a run of a resource with a `cursor_path` loads, in UTC. All datetimes have to be aware.

    - `requested` (see `form_window`), when not None, whatever the kind.
    - scheduled: its data interval, `lookback_days` (of 24 hours each) wider at the start. With nothing
      covered before (`covered_until` None, see `coverage`): all history up to the end of the interval. A gap
      that missed runs left before the interval is not filled: that is for a backfill, a cleared or a manual
      run.
    - backfill: exactly its data interval, also into an empty destination. Airflow 3.3 plans no backfill run
      whose interval is not over (`airflow.models.backfill._get_info_list`), so that is not checked again.
    - manual: `[covered_until, now)`, all history up to `now` where nothing is covered. `now` is cut to the
      whole second: an API that stamps whole seconds may yet add records of the second that has begun. The
      data interval is ignored, as it is None or of zero width (`airflow dags test`).

    Raises `NothingToLoad` (permanent) for a manual run when `covered_until` is not before `now`. Raises
    `ConfigurationError` (permanent) for a naive datetime, a negative or not finite `lookback_days`, and for a
    scheduled or backfill run with no data interval or one of zero width, which would load no rows and look
    green.
    """
    if not (math.isfinite(lookback_days) and lookback_days >= 0):
        raise ConfigurationError("lookback_days has to be a number of days, 0 or more.")
    now = _utc(now, "now")
    covered = None if covered_until is None else _utc(covered_until, "covered_until")
    if requested is not None:
        return requested
    if kind == "manual":
        end = now.replace(microsecond=0)
        if covered is not None and covered >= end:
            raise NothingToLoad(
                f"Everything up to {format_instant(covered, 'iso8601_z', 'end')} is loaded already, nothing"
                " is left for this run. To load a past window again, give window_start and window_end."
            )
        return LoadWindow(covered, end)

    if data_interval_start is None or data_interval_end is None:
        raise ConfigurationError(f"This {kind} run has no data interval. {_TIMETABLE_ADVICE}")
    start = _utc(data_interval_start, "data_interval_start")
    end = _utc(data_interval_end, "data_interval_end")
    if start >= end:
        raise ConfigurationError(f"The data interval of this {kind} run has zero width. {_TIMETABLE_ADVICE}")
    if kind == "backfill":
        return LoadWindow(start, end)
    if kind == "scheduled":
        if covered is None:
            return LoadWindow(None, end)
        try:
            return LoadWindow(_pendulum(_std(start) - timedelta(days=lookback_days)), end)
        except OverflowError:
            raise ConfigurationError("lookback_days reaches back beyond the year 1.") from None
    assert_never(kind)


def coverage(windows: Iterable[LoadWindow]) -> pendulum.DateTime | None:
    """The instant (UTC) up to which the windows of completed loads, in any order, leave no gap in history.

    The chain begins with the windows that reach back to the beginning of all history (`start` None) and goes
    on through those that touch or overlap it. None: no window does, so nothing is covered from the beginning,
    whatever single days were backfilled. Cautious on purpose: too early an answer loads records again, which
    a merge makes harmless; too late a one leaves them out for ever.
    """
    ordered = list(windows)
    reached = max((window.end for window in ordered if window.start is None), default=None)
    if reached is None:
        return None
    for start, end in sorted((window.start, window.end) for window in ordered if window.start is not None):
        if start > reached:
            break
        reached = max(reached, end)
    return reached


def format_instant(instant: datetime, cursor_format: CursorFormat, side: Side) -> str | int:
    """`instant` (aware, else `ConfigurationError`) in UTC, as an API takes it for the `side` of a window.

    A format coarser than the instant is rounded outward: down for the start, up for the end, so the API is
    asked for the whole window or more, and `LoadWindow.contains` drops the rest. Dates are UTC days. The ISO
    formats carry microseconds only where there are some. Raises `ConfigurationError` (permanent) for an
    unknown format.
    """
    exact = _std(_utc(instant, "The instant"))
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
            parsed = _from_iso_8601(value)
            if parsed is not None:
                return _pendulum(parsed)
        elif isinstance(value, datetime):
            return _pendulum(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            per_unit = 1_000 if abs(value) >= _FIRST_EPOCH_MILLISECONDS else 1_000_000
            # repr of a float is the number as the JSON text had it; float arithmetic could cross a bound.
            exact = value if isinstance(value, int) else Decimal(repr(value))
            return _pendulum(_EPOCH + math.floor(exact * per_unit) * _MICROSECOND)
    except (ValueError, OverflowError):  # not finite, or outside the years 1 to 9999
        pass
    raise ResponseShapeError(
        f"A record's cursor value of type {type(value).__name__} is not an instant: cursor_path has to lead"
        " to ISO 8601 text or a number of seconds or milliseconds since 1970."
    )


_TIMETABLE_ADVICE = (
    'Give the DAG schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"): a cron text or preset such'
    ' as "@daily" gives every run an interval of zero width.'
)


def _from_iso_8601(text: str) -> datetime | None:
    """The date and time as written, naive without an offset; None: `text` is not ISO 8601."""
    if not _ISO_8601.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())  # RFC 3339, section 5.6, allows "t" and "z"
    except ValueError:
        return None


def _pendulum(instant: datetime) -> pendulum.DateTime:
    """`instant` in UTC, where naive means UTC. `pendulum.instance` does the same, four times slower."""
    tzinfo = instant.tzinfo
    u = instant if tzinfo is None or tzinfo is UTC or tzinfo is pendulum.UTC else instant.astimezone(UTC)
    return pendulum.DateTime(u.year, u.month, u.day, u.hour, u.minute, u.second, u.microsecond, tzinfo=pendulum.UTC)


def _utc(instant: datetime, name: str) -> pendulum.DateTime:
    """`instant` in UTC; a naive one, or one outside the years 1 to 9999, raises `ConfigurationError`."""
    if instant.tzinfo is None:
        raise ConfigurationError(f"{name} has no time zone: give an offset or Z.")
    try:
        return _pendulum(instant)
    except OverflowError:
        raise ConfigurationError(f"{name} is outside the years 1 to 9999 in UTC.") from None


def _std(instant: pendulum.DateTime) -> datetime:
    """The same instant without pendulum's own arithmetic, whose intervals are rounded floats."""
    return datetime.combine(instant.date(), instant.time(), tzinfo=UTC)


def _whole(instant: datetime, unit: timedelta, side: Side) -> int:
    """How many `unit` since 1970, rounded down for a start and up for an end."""
    since = instant - _EPOCH
    return since // unit if side == "start" else -(-since // unit)
