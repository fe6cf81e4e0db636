"""Window arithmetic: which instants a run loads, what the API is asked for, what a record's cursor means.

Hypothesis draws the same examples at every run (`derandomize`) and keeps nothing on disk. No clock is read.
"""

import ast
import json
import sys
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import get_args
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.configure.choices import CursorFormat
from include.decide import cursor as load_cursor
from include.decide import window as load_window
from include.decide.cursor import Side, format_instant, format_start, parse_cursor
from include.decide.window import LoadWindow, NothingToLoad, coverage, form_window, parse_instant, run_window
from include.errors import ConfigurationError, PermanentError, ResponseShapeError

MICROSECOND = timedelta(microseconds=1)
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
NAIVE = datetime(2026, 11, 1)  # noqa: DTZ001 - what has to be refused
BERLIN = ZoneInfo("Europe/Berlin")
UNIT = {
    "iso8601_z": MICROSECOND,
    "iso8601_offset": MICROSECOND,
    "date": timedelta(days=1),
    "epoch_seconds": timedelta(seconds=1),
    "epoch_milliseconds": timedelta(milliseconds=1),
}

many = settings(deadline=None, max_examples=120, database=None, derandomize=True)
# Epoch milliseconds are told from seconds by magnitude, which needs an instant after March 1973.
instants = st.datetimes(datetime(1974, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def utc(*fields: int) -> pendulum.DateTime:
    return pendulum.DateTime(*fields, tzinfo=pendulum.UTC)


def window(start: datetime | None, end: datetime) -> LoadWindow:
    return LoadWindow(start, end)  # type: ignore[arg-type]


def scheduled(start: datetime, end: datetime, covered: datetime | None = NOW, lookback_days: float = 0) -> LoadWindow:
    return run_window("scheduled", start, end, covered, NOW, lookback_days)


DAY = window(utc(2026, 11, 1), utc(2026, 11, 2))


# --- LoadWindow


def test_a_window_holds_its_start_and_not_its_end() -> None:
    assert DAY.contains(utc(2026, 11, 1))
    assert DAY.contains(utc(2026, 11, 2) - MICROSECOND)
    assert not DAY.contains(utc(2026, 11, 2))
    assert not DAY.contains(utc(2026, 11, 1) - MICROSECOND)
    assert DAY.contains(datetime(2026, 11, 2, 0, 30, tzinfo=BERLIN))
    assert not DAY.contains(datetime(2026, 11, 2, 1, 0, tzinfo=BERLIN))


def test_a_window_without_a_start_holds_everything_before_its_end() -> None:
    everything = window(None, utc(2026, 11, 2))
    assert everything.contains(utc(1, 1, 1))
    assert not everything.contains(utc(2026, 11, 2))
    assert str(everything) == "[beginning, 2026-11-02T00:00:00Z)"


def test_a_window_is_held_and_written_in_utc() -> None:
    berlin = window(datetime(2026, 11, 1, tzinfo=BERLIN), datetime(2026, 11, 2, tzinfo=BERLIN))
    assert str(DAY) == "[2026-11-01T00:00:00Z, 2026-11-02T00:00:00Z)"
    assert str(berlin) == "[2026-10-31T23:00:00Z, 2026-11-01T23:00:00Z)"
    assert berlin.start is not None
    assert berlin.start.timezone_name == berlin.end.timezone_name == "UTC"
    assert isinstance(berlin.end, pendulum.DateTime)


@pytest.mark.parametrize(
    ("start", "end"),
    [(NOW, NOW), (NOW, NOW - MICROSECOND), (NAIVE, NOW), (None, NAIVE), (NAIVE, NAIVE + MICROSECOND)],
)
def test_a_window_in_which_nothing_can_lie_cannot_be_made(start: datetime | None, end: datetime) -> None:
    with pytest.raises(ConfigurationError):
        window(start, end)


def test_a_naive_instant_is_in_no_window() -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        DAY.contains(NAIVE)


# --- the form


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T00:00:00Z",
        "2026-11-01t00:00:00z",
        " 2026-11-01T02:00:00+02:00 ",
        "2026-10-31 19:00:00-05:00",
        "20261101T000000Z",
        "2026-11-01T00:00Z",
    ],
)
def test_parse_instant_reads_iso_8601_with_an_offset(text: str) -> None:
    parsed = parse_instant(text, "window_start")
    assert parsed == utc(2026, 11, 1)
    assert parsed.timezone_name == "UTC"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-03T00:00:00",
        "2026-11-03",
        "yesterday",
        "now",
        "12:00Z",
        "1793491200",
        "1709123012345",
        "2026-11-31T00:00:00Z",
        "2026-11-01T00:00:00+25:00",
        "0001-01-01T00:00:00+05:00",
        "",
    ],
)
def test_parse_instant_refuses_anything_else_by_the_name_of_the_field(text: str) -> None:
    with pytest.raises(ConfigurationError, match="window_start") as refused:
        parse_instant(text, "window_start")
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("absent", [None, "", "  "])
def test_a_form_with_neither_field_asks_for_no_window(absent: str | None) -> None:
    assert form_window(absent, None, NOW) is None
    assert form_window(None, absent, NOW) is None


def test_a_form_with_both_fields_asks_for_that_window_in_utc() -> None:
    asked = form_window("2026-11-01T02:00:00+02:00", "2026-11-02T00:00:00Z", NOW)
    assert asked == DAY
    assert form_window("2026-11-01T00:00:00Z", "2026-11-20T12:00:00Z", NOW) == window(utc(2026, 11, 1), NOW)


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("2026-11-01T00:00:00Z", None, "window_end is not"),
        ("", "2026-11-02T00:00:00Z", "window_start is not"),
        ("2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z", "before window_end"),
        ("2026-11-01T00:00:00Z", "2026-11-01T01:00:00+01:00", "before window_end"),
        ("2026-11-01T00:00:00Z", "2026-11-20T12:00:00.000001Z", "future"),
        ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", "future"),
        ("2026-11-01", "2026-11-02T00:00:00Z", "window_start has to be"),
        ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00", "window_end has to be"),
    ],
)
def test_a_form_that_names_no_past_window_is_refused(start: str | None, end: str | None, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        form_window(start, end, NOW)


# --- the window of a run


@pytest.mark.parametrize("covered", [utc(2026, 10, 1), utc(2026, 11, 1), utc(2026, 11, 2), NOW])
def test_a_scheduled_run_loads_exactly_its_interval_whatever_is_covered(covered: datetime) -> None:
    assert scheduled(utc(2026, 11, 1), utc(2026, 11, 2), covered) == DAY


def test_the_first_scheduled_run_loads_all_history_up_to_the_end_of_its_interval() -> None:
    assert scheduled(utc(2026, 11, 1), utc(2026, 11, 2), None) == window(None, utc(2026, 11, 2))


def test_lookback_widens_a_scheduled_window_backwards_by_absolute_days() -> None:
    # On 25 October 2026 the day in Berlin has 25 hours; a day of lookback has 24.
    start, end = datetime(2026, 10, 26, tzinfo=BERLIN), datetime(2026, 10, 27, tzinfo=BERLIN)
    assert scheduled(start, end, lookback_days=1) == window(utc(2026, 10, 24, 23), utc(2026, 10, 26, 23))
    assert scheduled(start, end, lookback_days=0.5) == window(utc(2026, 10, 25, 11), utc(2026, 10, 26, 23))


@pytest.mark.parametrize("covered", [None, utc(2026, 10, 1), NOW])
def test_a_backfill_loads_its_interval_and_nothing_else(covered: datetime | None) -> None:
    assert run_window("backfill", utc(2026, 11, 1), utc(2026, 11, 2), covered, NOW, 7) == DAY


@pytest.mark.parametrize("interval", [None, NOW, utc(2026, 11, 1)])
def test_a_manual_run_loads_what_is_not_covered_up_to_now(interval: datetime | None) -> None:
    assert run_window("manual", interval, interval, utc(2026, 11, 9), NOW, 7) == window(utc(2026, 11, 9), NOW)
    assert run_window("manual", interval, interval, None, NOW, 7) == window(None, NOW)


def test_a_manual_run_leaves_the_second_that_has_begun_to_the_next_one() -> None:
    now = NOW + timedelta(microseconds=700_000)
    stamped_in_whole_seconds = parse_cursor("2026-11-20T12:00:00Z")  # written at 12:00:00.9, after the run
    first = run_window("manual", None, None, utc(2026, 11, 9), now, 0)
    second = run_window("manual", None, None, coverage([window(None, first.end)]), utc(2026, 11, 21), 0)
    assert not first.contains(stamped_in_whole_seconds)
    assert second.contains(stamped_in_whole_seconds)


@pytest.mark.parametrize("ahead", [timedelta(0), MICROSECOND, timedelta(days=1)])
def test_a_manual_run_with_nothing_left_says_so_instead_of_loading_nothing(ahead: timedelta) -> None:
    with pytest.raises(NothingToLoad, match=r"2026-11-.*is loaded already.*window_start") as refused:
        run_window("manual", None, None, NOW + ahead, NOW, 0)
    assert isinstance(refused.value, PermanentError)


@pytest.mark.parametrize("covered", [None, utc(2026, 10, 1)])
@pytest.mark.parametrize("kind", ["scheduled", "backfill"])
@pytest.mark.parametrize("interval", [(None, None), (None, NOW), (NOW, None), (NOW, NOW), (NOW, utc(2026, 1, 1))])
def test_an_interval_without_width_is_never_a_load(
    kind: load_window.RunKind,
    interval: tuple[datetime | None, datetime | None],
    covered: datetime | None,
) -> None:
    with pytest.raises(ConfigurationError, match="CronDataIntervalTimetable"):
        run_window(kind, *interval, covered, NOW, 1)


@pytest.mark.parametrize("days", [-1, -0.001, float("nan"), float("inf"), 1e6])
def test_a_lookback_that_is_no_number_of_days_is_refused(days: float) -> None:
    with pytest.raises(ConfigurationError, match="lookback_days"):
        scheduled(utc(2026, 11, 1), utc(2026, 11, 2), lookback_days=days)


def test_naive_datetimes_are_refused_by_name() -> None:
    start, end = utc(2026, 11, 1), utc(2026, 11, 2)
    for name, arguments in {
        "data_interval_start": (NAIVE, end, NOW, NOW),
        "data_interval_end": (start, NAIVE, NOW, NOW),
        "covered_until": (start, end, NAIVE, NOW),
        "now": (start, end, NOW, NAIVE),
    }.items():
        with pytest.raises(ConfigurationError, match=name):
            run_window("scheduled", *arguments, 0)
    with pytest.raises(ConfigurationError, match="now"):
        form_window("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", NAIVE)


def daily_boundaries(zone: tzinfo, first_day: datetime, days: int, hour: int, minute: int) -> list[datetime]:
    """When a cron line "minute hour * * *" in `zone` ends one interval and begins the next."""
    walls = [first_day + timedelta(days=n, hours=hour, minutes=minute) for n in range(days + 1)]
    # Samoa skipped 30 December 2011 and Kwajalein 21 August 1993: such a day begins when the next one does.
    return sorted({wall.replace(tzinfo=zone).astimezone(UTC) for wall in walls})


@many
@given(
    zone=st.timezones(),
    first_day=st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1)).map(  # noqa: DTZ001
        lambda day: day.replace(hour=0, minute=0, second=0, microsecond=0)
    ),
    hour=st.integers(0, 23),
    minute=st.sampled_from([0, 1, 30, 59]),
    data=st.data(),
)
@example(zone=BERLIN, first_day=datetime(2026, 3, 27), hour=2, minute=30, data=None)  # noqa: DTZ001 # that hour is skipped
@example(zone=BERLIN, first_day=datetime(2026, 10, 23), hour=2, minute=30, data=None)  # noqa: DTZ001 # and comes twice
@example(zone=UTC, first_day=datetime(2028, 2, 27), hour=0, minute=0, data=None)  # noqa: DTZ001 # a leap day
@example(zone=ZoneInfo("Pacific/Apia"), first_day=datetime(2011, 12, 28), hour=0, minute=0, data=None)  # noqa: DTZ001
def test_neighbouring_windows_leave_no_gap_and_do_not_overlap(
    zone: tzinfo, first_day: datetime, hour: int, minute: int, data: st.DataObject | None
) -> None:
    boundaries = daily_boundaries(zone, first_day, 5, hour, minute)
    local = [boundary.astimezone(zone) for boundary in boundaries]
    windows = [scheduled(start, end) for start, end in pairwise(local)]
    backfills = [run_window("backfill", start, end, None, NOW, 9) for start, end in pairwise(local)]
    assert windows == backfills
    assert all(earlier.end == later.start for earlier, later in pairwise(windows))

    span = boundaries[-1] - boundaries[0]
    assert sum((w.end - w.start for w in windows if w.start), timedelta()) == span
    records = [b + shift for b in boundaries[:-1] for shift in (timedelta(0), MICROSECOND)]
    records += [b - MICROSECOND for b in boundaries[1:]]
    if data is not None:
        drawn = data.draw(st.integers(0, span // MICROSECOND - 1))
        records.append(boundaries[0] + drawn * MICROSECOND)
    for record in records:
        as_api_writes_it = parse_cursor(record.astimezone(zone).isoformat())
        assert sum(w.contains(as_api_writes_it) for w in windows) == 1, record
    assert not any(w.contains(boundaries[-1]) for w in windows)
    assert not any(w.contains(boundaries[0] - MICROSECOND) for w in windows)

    first = scheduled(local[0], local[1], covered=None)
    assert coverage([*reversed(windows[1:]), first]) == boundaries[-1]


@many
@given(start=instants, width=st.integers(1, 10**12), lookback=st.integers(0, 4000), zone=st.timezones())
def test_lookback_moves_the_start_and_leaves_the_end(start: datetime, width: int, lookback: int, zone: tzinfo) -> None:
    end = start + width * MICROSECOND
    widened = scheduled(start.astimezone(zone), end.astimezone(zone), lookback_days=lookback / 10)
    assert widened.start is not None
    assert abs((start - widened.start) - lookback * timedelta(hours=2.4)) <= MICROSECOND
    assert widened.end == end


# --- coverage

HOUR_ZERO = utc(2026, 11, 1)


def hours(start: int | None, end: int) -> LoadWindow:
    hour = timedelta(hours=1)
    return window(None if start is None else HOUR_ZERO + start * hour, HOUR_ZERO + end * hour)


@pytest.mark.parametrize(
    ("windows", "until"),
    [
        ([], None),
        ([hours(0, 5), hours(5, 9)], None),
        ([hours(None, 3)], 3),
        ([hours(3, 5), hours(None, 3)], 5),
        ([hours(None, 3), hours(4, 5)], 3),
        ([hours(None, 3), hours(4, 5), hours(2, 4)], 5),
        ([hours(None, 9), hours(2, 4)], 9),
        ([hours(None, 3), hours(None, 7), hours(1, 2)], 7),
    ],
)
def test_coverage_never_skips_a_gap(windows: list[LoadWindow], until: int | None) -> None:
    assert coverage(iter(windows)) == (None if until is None else HOUR_ZERO + timedelta(hours=until))


@many
@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 11), st.integers(1, 6)).map(
            lambda pair: hours(pair[0], pair[1] if pair[0] is None else pair[0] + pair[1])
        ),
        max_size=9,
    )
)
def test_coverage_is_the_first_hour_that_no_load_holds(windows: list[LoadWindow]) -> None:
    expected = None
    if any(w.start is None for w in windows):
        hour = HOUR_ZERO
        while any(w.contains(hour) for w in windows):
            hour = hour + timedelta(hours=1)
        expected = hour
    assert coverage(windows) == expected


# --- what the API is asked for


@pytest.mark.parametrize(
    ("cursor_format", "start", "end"),
    [
        ("iso8601_z", "2026-11-01T06:30:00.000001Z", "2026-11-01T06:30:00.000001Z"),
        ("iso8601_offset", "2026-11-01T06:30:00.000001+00:00", "2026-11-01T06:30:00.000001+00:00"),
        ("date", "2026-11-01", "2026-11-02"),
        ("epoch_seconds", 1793514600, 1793514601),
        ("epoch_milliseconds", 1793514600000, 1793514600001),
    ],
)
def test_a_format_coarser_than_the_instant_is_rounded_outward(
    cursor_format: CursorFormat, start: str | int, end: str | int
) -> None:
    instant = datetime(2026, 11, 1, 7, 30, 0, 1, tzinfo=BERLIN)
    assert format_instant(instant, cursor_format, "start") == start
    assert format_instant(instant, cursor_format, "end") == end


@pytest.mark.parametrize("side", get_args(Side))
@pytest.mark.parametrize(
    ("cursor_format", "text"),
    [
        ("iso8601_z", "2026-11-01T00:00:00Z"),
        ("iso8601_offset", "2026-11-01T00:00:00+00:00"),
        ("date", "2026-11-01"),
        ("epoch_seconds", 1793491200),
        ("epoch_milliseconds", 1793491200000),
    ],
)
def test_an_instant_that_a_format_can_say_is_not_rounded(
    cursor_format: CursorFormat, text: str | int, side: Side
) -> None:
    assert format_instant(datetime(2026, 11, 1, 1, tzinfo=BERLIN), cursor_format, side) == text


@many
@given(instant=instants, offset=offsets, cursor_format=st.sampled_from(get_args(CursorFormat)))
def test_what_the_api_is_asked_for_contains_the_window_and_is_less_than_a_unit_wider(
    instant: datetime, offset: timezone, cursor_format: CursorFormat
) -> None:
    asked_start = parse_cursor(format_instant(instant.astimezone(offset), cursor_format, "start"))
    asked_end = parse_cursor(format_instant(instant.astimezone(offset), cursor_format, "end"))
    assert asked_start <= instant <= asked_end
    assert instant - asked_start < UNIT[cursor_format]
    assert asked_end - instant < UNIT[cursor_format]


@many
@given(instant=instants, offset=offsets, cursor_format=st.sampled_from(get_args(CursorFormat)))
def test_an_api_that_excludes_the_start_is_asked_for_one_unit_more(
    instant: datetime, offset: timezone, cursor_format: CursorFormat
) -> None:
    asked = parse_cursor(format_start(instant.astimezone(offset), cursor_format))
    # ISO 8601 has microseconds where there are some, but an API may keep whole seconds.
    unit = max(UNIT[cursor_format], timedelta(seconds=1) if cursor_format.startswith("iso") else timedelta())
    assert unit <= instant - asked < 2 * unit


def test_the_start_of_all_years_is_asked_for_as_it_is() -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    assert format_start(first, "date") == "0001-01-01"
    assert format_start(first + timedelta(hours=1), "iso8601_z") == "0001-01-01T00:59:59Z"


def test_an_unknown_format_and_a_naive_instant_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="cursor_format"):
        format_instant(NOW, "iso", "start")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="time zone"):
        format_instant(NAIVE, "date", "start")
    with pytest.raises(ConfigurationError, match="cursor_format"):
        format_start(NOW, "iso")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="time zone"):
        format_start(NAIVE, "date")


# --- the cursor value of a record


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-11-01T00:00:00Z", utc(2026, 11, 1)),
        ("2026-11-01t00:00:00z", utc(2026, 11, 1)),
        ("2026-11-01T01:00:00+01:00", utc(2026, 11, 1)),
        ("2026-11-01 00:00:00+00", utc(2026, 11, 1)),
        ("2026-11-01T00:00:00", utc(2026, 11, 1)),
        ("2026-11-01", utc(2026, 11, 1)),
        ("20261101", utc(2026, 11, 1)),
        ("2026-11-01T00:00:00.5Z", utc(2026, 11, 1, 0, 0, 0, 500_000)),
        ("2026-11-01T23:59:59.999999999Z", utc(2026, 11, 1, 23, 59, 59, 999_999)),
        (1793491200, utc(2026, 11, 1)),
        (1793491200.0, utc(2026, 11, 1)),
        (1793491200123, utc(2026, 11, 1, 0, 0, 0, 123_000)),
        (1793491200123.5, utc(2026, 11, 1, 0, 0, 0, 123_500)),
        (0, utc(1970, 1, 1)),
        (-1, utc(1969, 12, 31, 23, 59, 59)),
        (-0.0000001, utc(1969, 12, 31, 23, 59, 59, 999_999)),
        (10**11 - 1, utc(5138, 11, 16, 9, 46, 39)),
        (10**11, utc(1973, 3, 3, 9, 46, 40)),
        (-(10**11), utc(1966, 10, 31, 14, 13, 20)),
        (datetime(2026, 11, 1, 1, tzinfo=BERLIN), utc(2026, 11, 1)),
        (NAIVE, utc(2026, 11, 1)),
    ],
)
def test_parse_cursor_reads_what_json_records_hold(value: object, instant: datetime) -> None:
    parsed = parse_cursor(value)
    assert parsed == instant
    assert parsed.timezone_name == "UTC"


def test_a_cursor_without_an_offset_is_utc_on_a_machine_in_any_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        try:
            assert parse_cursor("2026-11-01T00:00:00") == parse_cursor(NAIVE) == utc(2026, 11, 1)
        finally:
            elsewhere.undo()
            time.tzset()


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            True,
            False,
            [],
            {},
            b"2026-11-01",
            float("nan"),
            float("inf"),
            1e300,
            10**400,
            10**18,
            -(10**15),
        ),
        *("", "now", "12:00", "2026", "garbage", "2026-13-01", "2026-11-01T", "1793491200", "1709123012345"),
        *("2026-11-01T00:00:00Z\n", "2026-11-01T25:00:00Z", "0001-01-01T00:00:00+05:00"),
    ],
)
def test_parse_cursor_refuses_the_rest_by_type_and_keeps_the_value_to_itself(value: object) -> None:
    with pytest.raises(ResponseShapeError, match=f"type {type(value).__name__} ") as refused:
        parse_cursor(value)
    assert value in ("", None) or str(value) not in str(refused.value)


@many
@given(instant=instants, offset=offsets, extra_digits=st.text("0123456789", max_size=6))
def test_an_instant_written_with_any_offset_and_any_precision_is_the_same(
    instant: datetime, offset: timezone, extra_digits: str
) -> None:
    text = instant.astimezone(offset).isoformat(timespec="microseconds")
    assert parse_cursor(text) == instant
    assert parse_cursor(text[:26] + extra_digits + text[26:]) == instant


@many
@given(bound=st.integers(10**17, 10**18), first=st.integers(-2000, 2000), second=st.integers(-2000, 2000))
def test_nanoseconds_keep_their_order_and_their_side_of_a_bound(bound: int, first: int, second: int) -> None:
    bound -= bound % 1000  # a window's bound is a whole microsecond
    at_bound = datetime(1970, 1, 1, tzinfo=UTC) + (bound // 1000) * MICROSECOND

    def written(nanoseconds: int) -> str:
        seconds = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanoseconds // 10**9)
        return f"{seconds:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"

    one, other = parse_cursor(written(bound + first)), parse_cursor(written(bound + second))
    assert (one >= at_bound) == (first >= 0)
    assert (one < other) <= (first < second)
    assert (first <= second) <= (one <= other)


@many
@given(
    seconds=st.integers(10**8, 7 * 10**9),
    fraction=st.integers(0, 10**6 - 1),
    beyond=st.sampled_from(["", "9"]),
)
@example(seconds=1793491199, fraction=999_999, beyond="9")
@example(seconds=1_073_741_824, fraction=39_893, beyond="")  # as a float product: a microsecond less
def test_epoch_numbers_with_a_fraction_are_read_to_the_microsecond_and_never_rounded_up(
    seconds: int, fraction: int, beyond: str
) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=fraction)
    number = json.loads(f"{seconds}.{fraction:06d}{beyond}")
    # A seventh digit may not fit into a double: then the value, as parsed from JSON, decides.
    if number < seconds + 1:
        assert parse_cursor(number) < datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds + 1)
    if not beyond:
        assert parse_cursor(number) == expected


# --- the module


@pytest.mark.parametrize("module", [load_window, load_cursor])
def test_the_module_imports_neither_airflow_nor_dlt(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= {*sys.stdlib_module_names, "pendulum", "include"}
