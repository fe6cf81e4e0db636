"""Decides which half-open UTC window a run loads.

In: a run's data interval or the form's values, the windows of completed loads, a `now`. Out: a `LoadWindow`. No clock, network, Airflow or dlt: every function gives the same answer to the same arguments. All arithmetic
is in UTC, so neither the schedule's time zone nor a DST change opens a gap: neighbours share one boundary
instant, and that instant belongs to the later one. Every error here is permanent: the same call fails again.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import pendulum

from include.decide.cursor import as_datetime, as_pendulum, format_instant, from_iso_8601, in_utc
from include.errors import ConfigurationError, PermanentError

RunKind = Literal["scheduled", "backfill", "manual"]


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
        end = in_utc(self.end, "The end of the window")
        object.__setattr__(self, "end", end)
        if self.start is None:
            return
        start = in_utc(self.start, "The start of the window")
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
    parsed = from_iso_8601(value.strip())
    if parsed is None or parsed.tzinfo is None:
        raise ConfigurationError(
            f"{field} has to be an ISO 8601 date and time with an offset, such as 2026-11-01T00:00:00Z."
        )
    return in_utc(parsed, field)


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
    if end > in_utc(now, "now"):
        raise ConfigurationError("window_end is in the future: give a window that is over.")
    return LoadWindow(start, end)


def run_window(
    kind: RunKind,
    data_interval_start: datetime | None,
    data_interval_end: datetime | None,
    covered_until: datetime | None,
    now: datetime,
    lookback_days: float,
) -> LoadWindow:
    """The window of a run that asks for none, of a resource with a `cursor_path`, in UTC. All datetimes have to be aware.

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
    now = in_utc(now, "now")
    covered = None if covered_until is None else in_utc(covered_until, "covered_until")
    if kind == "manual":
        return _not_covered_yet(covered, now)
    interval = _interval(kind, data_interval_start, data_interval_end)
    if kind == "backfill":
        return interval
    if covered is None:
        return LoadWindow(None, interval.end)
    return _with_lookback(interval, lookback_days)


def _not_covered_yet(covered: pendulum.DateTime | None, now: pendulum.DateTime) -> LoadWindow:
    end = now.replace(microsecond=0)
    if covered is not None and covered >= end:
        raise NothingToLoad(
            f"Everything up to {format_instant(covered, 'iso8601_z', 'end')} is loaded already, nothing"
            " is left for this run. To load a past window again, give window_start and window_end."
        )
    return LoadWindow(covered, end)


def _interval(kind: RunKind, start: datetime | None, end: datetime | None) -> LoadWindow:
    if start is None or end is None:
        raise ConfigurationError(f"This {kind} run has no data interval. {_TIMETABLE_ADVICE}")
    first, last = in_utc(start, "data_interval_start"), in_utc(end, "data_interval_end")
    if first >= last:
        raise ConfigurationError(f"The data interval of this {kind} run has zero width. {_TIMETABLE_ADVICE}")
    return LoadWindow(first, last)


def _with_lookback(interval: LoadWindow, lookback_days: float) -> LoadWindow:
    assert interval.start is not None
    try:
        return LoadWindow(as_pendulum(as_datetime(interval.start) - timedelta(days=lookback_days)), interval.end)
    except OverflowError:
        raise ConfigurationError("lookback_days reaches back beyond the year 1.") from None


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


_TIMETABLE_ADVICE = (
    'Give the DAG schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"): a cron text or preset such'
    ' as "@daily" gives every run an interval of zero width.'
)
