"""Which window a run loads, which it is refused, and when there is nothing left to load."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.configure.choices import SyncModeName
from include.configure.options import SourceOptions
from include.decide.plan import plan_window
from include.decide.run import AirflowRun
from include.decide.sync_mode import SYNC_MODES
from include.decide.window import LoadWindow
from include.errors import ConfigurationError
from include.report.history import LoadReport

# All runs are planned in the real present, long after these days.
DAYS = [datetime(2026, 1, number, tzinfo=UTC) for number in range(1, 10)]
QUEUED_AT = datetime(2026, 2, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

RUN = AirflowRun(
    dag_id="datasets",
    run_id="manual__1",
    task_id="datasets.datasets",
    map_index=-1,
    try_number=1,
    kind="manual",
    queued_at=QUEUED_AT,
    data_interval_start=None,
    data_interval_end=None,
    window_start=None,
    window_end=None,
    sync_mode=None,
)
SOURCE = "https://api.example.org/v1/datasets"
SCHEDULED = replace(RUN, kind="scheduled", data_interval_start=DAYS[3], data_interval_end=DAYS[4])
BACKFILL = replace(SCHEDULED, kind="backfill")
ASKED = replace(RUN, window_start="2026-01-03T00:00:00Z", window_end="2026-01-04T02:00:00+02:00")

SNAPSHOTS = SourceOptions()
WINDOWS = SourceOptions(cursor_path="updated_at")


def loaded(
    start: datetime | None, end: datetime | None, began: datetime = DAYS[8], mode: SyncModeName = "merge"
) -> LoadReport:
    """The report of a completed load of [start, end); without an end, of a snapshot."""
    return LoadReport(
        resource="datasets",
        load_id="1795404275.2",
        dag_id="datasets",
        run_id="scheduled__8",
        run_kind="scheduled",
        try_number=1,
        sync_mode=mode,
        window_start=start,
        window_end=end,
        started_at=began,
        finished_at=began + SECOND,
        seconds=1.0,
        pages=1,
        passes=1,
        promised_rows=1,
        read_rows=1,
        loaded_rows=1,
        destination="duckdb",
        source=SOURCE,
    )


def plan(
    options: SourceOptions, run: AirflowRun, *history: LoadReport, mode: SyncModeName = "merge"
) -> LoadWindow | None:
    return plan_window(options, SYNC_MODES[mode], run, history, SOURCE)


@pytest.mark.parametrize("run", [RUN, SCHEDULED, BACKFILL])
@pytest.mark.parametrize("mode", ["merge", "replace", "append", "scd2"])
def test_without_a_cursor_every_run_is_a_snapshot(run: AirflowRun, mode: SyncModeName) -> None:
    assert plan(SNAPSHOTS, run, mode=mode) is None


@pytest.mark.parametrize("run", [RUN, SCHEDULED, BACKFILL])
@pytest.mark.parametrize("mode", ["replace", "scd2"])
def test_a_mode_that_needs_the_whole_collection_reads_it_also_with_a_cursor(
    run: AirflowRun, mode: SyncModeName
) -> None:
    assert plan(WINDOWS, run, loaded(None, DAYS[4]), mode=mode) is None


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_a_scheduled_run_loads_its_interval_and_the_first_one_all_before_it(mode: SyncModeName) -> None:
    assert plan(WINDOWS, SCHEDULED, mode=mode) == LoadWindow(None, DAYS[4])
    assert plan(WINDOWS, SCHEDULED, loaded(None, DAYS[3]), mode=mode) == LoadWindow(DAYS[3], DAYS[4])
    # A backfilled day is not all history.
    assert plan(WINDOWS, SCHEDULED, loaded(DAYS[2], DAYS[3]), mode=mode) == LoadWindow(None, DAYS[4])


def test_late_changes_are_looked_for_as_far_back_as_the_option_says() -> None:
    options = SourceOptions(cursor_path="updated_at", lookback_days=1.5)
    expected = LoadWindow(DAYS[3] - timedelta(days=1.5), DAYS[4])
    assert plan(options, SCHEDULED, loaded(None, DAYS[3])) == expected
    assert plan(options, BACKFILL, loaded(None, DAYS[3])) == LoadWindow(DAYS[3], DAYS[4])


@pytest.mark.parametrize("history", [[], [loaded(None, DAYS[6])], [loaded(None, None)]])
def test_a_backfill_run_loads_its_interval_and_nothing_else(history: list[LoadReport]) -> None:
    assert plan(WINDOWS, BACKFILL, *history) == LoadWindow(DAYS[3], DAYS[4])


def test_a_manual_run_loads_what_no_completed_load_covers() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    windows = [plan(WINDOWS, RUN), plan(WINDOWS, RUN, loaded(None, DAYS[1]), loaded(DAYS[1], DAYS[2]))]
    after = datetime.now(UTC)
    assert [window and window.start for window in windows] == [None, DAYS[2]]
    assert all(window is not None and before <= window.end <= after for window in windows)


def test_what_is_covered_ends_at_the_first_gap() -> None:
    window = plan(WINDOWS, RUN, loaded(None, DAYS[1]), loaded(DAYS[2], DAYS[3]), loaded(DAYS[0], DAYS[1]))
    assert window is not None
    assert window.start == DAYS[1]


def test_a_snapshot_covers_what_there_was_when_its_reading_began() -> None:
    window = plan(WINDOWS, RUN, loaded(None, None, began=DAYS[5]))
    assert window is not None
    assert window.start == DAYS[5]


def test_a_manual_run_with_nothing_left_is_skipped() -> None:
    with pytest.raises(AirflowSkipException, match="is loaded already") as caught:
        plan(WINDOWS, RUN, loaded(None, datetime.now(UTC) + SECOND))
    # A traceback of one sentence.
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_a_window_that_is_asked_for_is_loaded_whatever_has_been(mode: SyncModeName) -> None:
    for run in (
        ASKED,
        replace(SCHEDULED, window_start=ASKED.window_start, window_end=ASKED.window_end),
    ):
        assert plan(WINDOWS, run, loaded(None, DAYS[6]), mode=mode) == LoadWindow(DAYS[2], DAYS[3])


def test_a_cleared_run_loads_its_own_window_again_whatever_has_been_since() -> None:
    own = replace(loaded(DAYS[0], DAYS[1]), run_id=RUN.run_id)
    later = loaded(None, DAYS[6])
    for run in (RUN, replace(SCHEDULED, run_id=RUN.run_id), replace(BACKFILL, run_id=RUN.run_id)):
        assert plan(WINDOWS, run, later, own) == LoadWindow(DAYS[0], DAYS[1])
    # Unless it asks for another one, or it is a run of that name of another DAG.
    assert plan(WINDOWS, ASKED, own) == LoadWindow(DAYS[2], DAYS[3])
    assert plan(WINDOWS, SCHEDULED, replace(own, run_id=SCHEDULED.run_id, dag_id="other"), later) == LoadWindow(
        DAYS[3], DAYS[4]
    )


@pytest.mark.parametrize(
    ("options", "mode", "reason"),
    [
        (SNAPSHOTS, "merge", "option `cursor_path` is not set"),
        (SNAPSHOTS, "replace", "option `cursor_path` is not set"),
        (WINDOWS, "replace", "`replace` needs the whole collection"),
        (WINDOWS, "scd2", "`scd2` needs the whole collection"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(options: SourceOptions, mode: SyncModeName, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        plan(options, ASKED, mode=mode)


@pytest.mark.parametrize("options", [SNAPSHOTS, WINDOWS])
@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("2026-01-03T00:00:00Z", None, "window_start is set and window_end is not"),
        (None, "2026-01-03T00:00:00Z", "window_end is set and window_start is not"),
        ("2026-01-03T00:00:00", "2026-01-04T00:00:00Z", "window_start has to be an ISO 8601"),
        ("2026-01-03T00:00:00Z", "2026-01-04", "window_end has to be an ISO 8601"),
        ("2026-01-04T00:00:00Z", "2026-01-03T00:00:00Z", "window_start has to be before window_end"),
        ("2026-01-04T00:00:00Z", "2026-01-04T01:00:00+01:00", "window_start has to be before window_end"),
        ("2026-01-03T00:00:00Z", "2999-01-01T00:00:00Z", "window_end is in the future"),
        ("yesterday", "2026-01-03T00:00:00Z", "window_start has to be an ISO 8601"),
    ],
)
def test_a_window_that_cannot_be_is_refused(
    options: SourceOptions, start: str | None, end: str | None, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        plan(options, replace(RUN, window_start=start, window_end=end))


@pytest.mark.parametrize("kind", ["scheduled", "backfill"])
@pytest.mark.parametrize("end", [DAYS[3], None])
def test_a_run_without_a_real_interval_is_never_green(kind: Any, end: datetime | None) -> None:
    with pytest.raises(ConfigurationError, match="CronDataIntervalTimetable"):
        plan(WINDOWS, replace(SCHEDULED, kind=kind, data_interval_end=end))


@pytest.mark.parametrize("mode", ["merge", "replace", "scd2"])
def test_a_backfill_is_skipped_when_a_snapshot_that_began_later_holds_everything(mode: SyncModeName) -> None:
    later = loaded(None, None, began=QUEUED_AT + SECOND, mode=mode)
    with pytest.raises(AirflowSkipException, match=r"load 1795404275\.2 \(scheduled__8\).*`cursor_path`"):
        plan(SNAPSHOTS, BACKFILL, later, mode=mode)


def test_a_backfill_over_snapshots_is_not_skipped_for_less() -> None:
    after = QUEUED_AT + SECOND
    history = [
        loaded(None, None, began=QUEUED_AT),  # began before anybody asked
        loaded(None, None, began=after, mode="replace"),  # another mode
        loaded(DAYS[0], DAYS[1], began=after),  # a window
        loaded(None, DAYS[1], began=after),  # a window from the beginning
    ]
    assert plan(SNAPSHOTS, BACKFILL, *history) is None


@pytest.mark.parametrize("run", [RUN, SCHEDULED])
def test_only_a_backfill_is_skipped(run: AirflowRun) -> None:
    assert plan(SNAPSHOTS, run, loaded(None, None, began=QUEUED_AT + SECOND)) is None


def test_an_append_is_never_skipped() -> None:
    assert plan(SNAPSHOTS, BACKFILL, loaded(None, None, QUEUED_AT + SECOND, "append"), mode="append") is None


def context(run_type: str = "backfill", map_index: int | None = None, **params: str) -> dict[str, Any]:
    """Airflow's context, as far as it is read; `id` is the example of RFC 9562, A.6, of 2022-02-22T19:22:22Z."""
    instance = SimpleNamespace(
        dag_id="datasets",
        run_id="backfill__2",
        task_id="datasets.datasets",
        map_index=map_index,
        try_number=2,
        id=UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"),
    )
    run = SimpleNamespace(
        run_type=SimpleNamespace(value=run_type), data_interval_start=DAYS[3], data_interval_end=DAYS[4]
    )
    return {"ti": instance, "dag_run": run, "params": params}


def test_a_run_is_read_from_the_context() -> None:
    window = {"window_start": "2026-01-03T00:00:00Z", "window_end": "2026-01-04T00:00:00Z"}
    assert AirflowRun.from_context(context(**window)) == replace(
        BACKFILL,
        run_id="backfill__2",
        try_number=2,
        queued_at=datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC),
        **window,
    )


@pytest.mark.parametrize(
    ("run_type", "kind"),
    [
        ("scheduled", "scheduled"),
        ("backfill", "backfill"),
        ("manual", "manual"),
        # Neither has an interval that somebody chose.
        ("asset_triggered", "manual"),
        ("asset_materialization", "manual"),
    ],
)
def test_what_airflow_calls_a_run(run_type: str, kind: str) -> None:
    assert AirflowRun.from_context(context(run_type)).kind == kind


def test_a_run_has_one_name_at_each_try_and_no_other_run_has_it() -> None:
    names = [
        replace(RUN, **changes).name
        for changes in (
            {"try_number": 2},
            {"run_id": "manual__2"},
            {"task_id": "other"},
            {"dag_id": "other"},
            {"map_index": 0},
        )
    ]
    assert names[0] == RUN.name
    assert len({*names}) == len(names)


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_a_cleared_run_loads_the_window_again_that_it_loaded_before(mode: SyncModeName) -> None:
    first = replace(SCHEDULED, run_id="scheduled__8")
    of_its_own, of_others = loaded(None, DAYS[4], mode=mode), replace(loaded(DAYS[4], DAYS[7]), run_id="scheduled__9")
    assert plan(WINDOWS, first, of_its_own, of_others, mode=mode) == LoadWindow(None, DAYS[4])
    # Not another DAG's run of the same name, and not before a window that the form asks for.
    assert plan(WINDOWS, first, replace(of_its_own, dag_id="other"), mode=mode) == LoadWindow(DAYS[3], DAYS[4])
    asked = replace(ASKED, run_id="scheduled__8")
    assert plan(WINDOWS, asked, of_its_own, mode=mode) == LoadWindow(DAYS[2], DAYS[3])


@pytest.mark.parametrize("run", [RUN, SCHEDULED, BACKFILL])
@pytest.mark.parametrize("mode", ["merge", "append"])
def test_a_requested_window_wins_whatever_the_kind(run: AirflowRun, mode: SyncModeName) -> None:
    asked = replace(run, window_start=ASKED.window_start, window_end=ASKED.window_end)
    assert plan(WINDOWS, asked, mode=mode) == LoadWindow(DAYS[2], DAYS[3])
    assert plan(WINDOWS, asked, loaded(None, DAYS[8], mode=mode), mode=mode) == LoadWindow(DAYS[2], DAYS[3])


@pytest.mark.parametrize("other", ["http://127.0.0.1:5000/v1/datasets", f"{SOURCE} (0123456789ab)", None])
def test_what_another_source_has_loaded_covers_nothing(other: str | None) -> None:
    # Seen: after `make run`, the first run of a real API was green with 0 of 500 rows.
    demo = replace(loaded(None, DAYS[7]), source=other)
    assert plan(WINDOWS, SCHEDULED, demo) == LoadWindow(None, DAYS[4])
    window = plan(WINDOWS, RUN, demo)
    assert window is not None
    assert window.start is None
    # Its own loads count beside those of the other.
    assert plan(WINDOWS, SCHEDULED, demo, loaded(None, DAYS[3])) == LoadWindow(DAYS[3], DAYS[4])


def test_a_snapshot_of_another_source_skips_no_backfill() -> None:
    late = loaded(None, None, began=QUEUED_AT + SECOND)
    with pytest.raises(AirflowSkipException):
        plan(SNAPSHOTS, BACKFILL, late)
    assert plan(SNAPSHOTS, BACKFILL, replace(late, source="http://127.0.0.1:5000/v1/datasets")) is None


def test_an_append_after_loads_without_a_source_asks_for_a_window_instead_of_adding_all_rows_again() -> None:
    before = replace(loaded(None, DAYS[7], mode="append"), source=None)
    for run in (RUN, SCHEDULED):
        with pytest.raises(ConfigurationError, match="window_start and window_end"):
            plan(WINDOWS, run, before, mode="append")
    assert plan(WINDOWS, ASKED, before, mode="append") == LoadWindow(DAYS[2], DAYS[3])
    assert plan(WINDOWS, BACKFILL, before, mode="append") == LoadWindow(DAYS[3], DAYS[4])
