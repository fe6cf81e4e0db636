"""What each sync mode and each window leaves in the embedded DuckDB, run by Airflow, read from a real API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.load.proof import LoadProof
from tests.e2e.conftest import Deployment
from tests.support.airflow_run import day
from tests.support.api_server import Answer, ApiServer, numbered

FIRST, SECOND, THIRD = day(1), day(2), day(3)


def record(number: int, version: int = 1, tags: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    """A record with a nested object and a nested list."""
    return {
        "id": number,
        "version": version,
        "owner": {"name": f"owner {version}"},
        "tags": [{"name": tag} for tag in tags],
    }


def changed(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    """A record that says when it changed."""
    return {"id": number, "updated_at": at.isoformat().replace("+00:00", "Z"), **fields}


def window(interval: tuple[datetime, datetime]) -> dict[str, str]:
    """The form's fields for it."""
    return {"window_start": interval[0].isoformat(), "window_end": interval[1].isoformat()}


# --- records: new, changed, gone

CONTENT = "SELECT id, version, owner__name FROM datasets ORDER BY id, version"
TAGS = "SELECT d.id, t.name FROM datasets d JOIN datasets__tags t ON t._dlt_root_id = d._dlt_id ORDER BY ALL"
ALL_TAGS = "SELECT count(*) FROM datasets__tags"


def test_merge_updates_by_key_and_keeps_what_vanished(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1), record(2), record(3)]
    deployment.run()
    deployment.run()
    assert deployment.rows(CONTENT) == [(1, 1, "owner 1"), (2, 1, "owner 1"), (3, 1, "owner 1")]
    assert deployment.rows(ALL_TAGS) == [(6,)]

    api.records = [record(1), record(2, version=2, tags=("c",)), record(4, tags=())]
    outcome = deployment.run()
    assert deployment.rows(CONTENT) == [
        (1, 1, "owner 1"),
        (2, 2, "owner 2"),
        (3, 1, "owner 1"),
        (4, 1, "owner 1"),
    ]
    assert deployment.rows(TAGS) == [(1, "a"), (1, "b"), (2, "c"), (3, "a"), (3, "b")]
    # No child row without its record.
    assert deployment.rows(ALL_TAGS) == [(5,)]
    # The first record is as it was.
    assert outcome.xcom["loaded_rows"] == 2
    assert outcome.xcom["read_rows"] == outcome.xcom["promised_rows"] == 3


def test_replace_is_the_snapshot(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1), record(2)]
    deployment.run(sync_mode="replace")
    deployment.run(sync_mode="replace")
    assert deployment.rows(CONTENT) == [(1, 1, "owner 1"), (2, 1, "owner 1")]

    api.records = [record(2, version=2, tags=("c",)), record(3)]
    deployment.run(sync_mode="replace")
    assert deployment.rows(CONTENT) == [(2, 2, "owner 2"), (3, 1, "owner 1")]
    assert deployment.rows(TAGS) == [(2, "c"), (3, "a"), (3, "b")]
    assert deployment.rows(ALL_TAGS) == [(3,)]


def test_replace_by_an_empty_collection_empties_the_table(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1), record(2)]
    deployment.run(sync_mode="replace")
    api.records = []
    deployment.run(sync_mode="replace")
    assert deployment.ids() == []
    assert deployment.rows(ALL_TAGS) == [(0,)]


def test_a_replacement_that_fails_leaves_the_table(
    deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no space")

    api.records = [record(1), record(2)]
    deployment.run(sync_mode="replace")
    api.records = [record(2, version=2)]
    # As late as can be: the new rows have been written somewhere.
    monkeypatch.setattr("dlt.destinations.sql_jobs.SqlStagingReplaceFollowupJob.generate_sql", fail)
    assert deployment.airflow.run(sync_mode="replace").task_state == "failed"
    assert deployment.rows(CONTENT) == [(1, 1, "owner 1"), (2, 1, "owner 1")]
    assert deployment.rows(ALL_TAGS) == [(4,)]


def test_an_empty_collection_changes_nothing_in_other_modes(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1)]
    deployment.run()
    api.records = []
    outcome = deployment.run()
    assert deployment.ids() == [1]
    assert (outcome.xcom["read_rows"], outcome.xcom["loaded_rows"]) == (0, 0)
    deployment.run(sync_mode="append")
    assert deployment.ids() == [1]


def test_an_empty_collection_is_a_load_as_any_other(deployment: Deployment) -> None:
    for mode in ("merge", "replace", "append", "scd2"):
        deployment.run(sync_mode=mode)
    assert deployment.reports("sync_mode", "read_rows", "loaded_rows") == [
        (mode, 0, 0) for mode in ("merge", "replace", "append", "scd2")
    ]


def test_append_adds_each_run_once(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1), record(2)]
    first = deployment.run(sync_mode="append")
    api.records = [record(1, version=2, tags=("c",)), record(3)]
    second = deployment.run(sync_mode="append")
    assert deployment.rows(CONTENT) == [
        (1, 1, "owner 1"),
        (1, 2, "owner 2"),
        (2, 1, "owner 1"),
        (3, 1, "owner 1"),
    ]
    assert deployment.rows(ALL_TAGS) == [(7,)]
    stamps = "SELECT DISTINCT _run_id, _dlt_load_id, _loaded_at FROM datasets ORDER BY _loaded_at"
    runs, loads, times = zip(*deployment.rows(stamps), strict=True)
    assert [first.run_id in runs[0], second.run_id in runs[1]] == [True, True]
    assert loads == (first.xcom["load_id"], second.xcom["load_id"])
    assert datetime.now(UTC) - timedelta(minutes=1) < times[0] < times[1] < datetime.now(UTC)

    # Cleared: what the run added before is replaced by what it finds now.
    deployment.run_again(second)
    assert deployment.ids() == [1, 1, 2, 3]
    api.records = [record(1, version=3, tags=("c",))]
    deployment.run_again(second)
    assert deployment.rows(CONTENT) == [(1, 1, "owner 1"), (1, 3, "owner 3"), (2, 1, "owner 1")]
    assert deployment.rows(ALL_TAGS) == [(5,)]


VERSIONS = """
    SELECT id, version, _dlt_valid_from IS NOT NULL, _dlt_valid_to IS NULL FROM datasets ORDER BY id, version
"""
SUCCESSORS = """
    SELECT count(*) FROM datasets o JOIN datasets n ON n.id = o.id AND n._dlt_valid_from = o._dlt_valid_to
"""


def test_scd2_keeps_every_version_with_its_time(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1), record(2), record(3)]
    deployment.run(sync_mode="scd2")
    deployment.run(sync_mode="scd2")
    assert deployment.rows(VERSIONS) == [(number, 1, True, True) for number in (1, 2, 3)]

    api.records = [record(1), record(2, version=2, tags=("c",)), record(4)]
    outcome = deployment.run(sync_mode="scd2")
    assert deployment.rows(VERSIONS) == [
        (1, 1, True, True),
        (2, 1, True, False),
        (2, 2, True, True),
        (3, 1, True, False),
        (4, 1, True, True),
    ]
    # One instant closes the old version and opens the new one: at no moment are there two, or none.
    assert deployment.rows("SELECT count(DISTINCT _dlt_valid_to) FROM datasets") == [(1,)]
    assert deployment.rows(SUCCESSORS) == [(1,)]
    # History keeps the child rows of the versions that ended.
    assert (2, "a") in deployment.rows(TAGS)
    assert (2, "c") in deployment.rows(TAGS)
    assert outcome.xcom["read_rows"] == 3

    # A record that comes back begins anew.
    api.records.append(record(3))
    deployment.run(sync_mode="scd2")
    assert (3, 1, True, True) in deployment.rows(VERSIONS)
    assert (3, 1, True, False) in deployment.rows(VERSIONS)


# --- from one mode to another


def test_the_modes_without_history_follow_each_other(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1), record(2)]
    deployment.run()
    api.records = [record(2, version=2), record(3)]
    deployment.run(sync_mode="append")
    assert deployment.ids() == [1, 2, 2, 3]
    # By key: what the append added is updated with what was there before.
    api.records = [record(2, version=3)]
    deployment.run()
    assert deployment.rows(CONTENT) == [(1, 1, "owner 1"), (2, 3, "owner 3"), (3, 1, "owner 1")]
    deployment.run(sync_mode="append")
    assert deployment.ids() == [1, 2, 2, 3]
    deployment.run(sync_mode="replace")
    assert deployment.rows(CONTENT) == [(2, 3, "owner 3")]
    assert deployment.rows(ALL_TAGS) == [(2,)]
    deployment.run()
    assert deployment.rows(CONTENT) == [(2, 3, "owner 3")]


def test_history_and_no_history_do_not_mix(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1)]
    deployment.run()
    assert "`datasets` keeps no history" in deployment.refused(sync_mode="scd2")
    api.records = [record(1, version=2)]
    assert deployment.rows(CONTENT) == [(1, 1, "owner 1")]


def test_a_table_with_history_is_not_spoiled(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1)]
    deployment.options(sync_mode="scd2")
    deployment.run()
    before = deployment.rows("SELECT * FROM datasets")
    for mode in ("merge", "replace", "append"):
        assert "keeps history (scd2)" in deployment.refused(sync_mode=mode)
    assert deployment.rows("SELECT * FROM datasets") == before


# --- windows


def boundary_records(tick: timedelta) -> list[dict[str, Any]]:
    """Records on both boundaries of the second day, and a tick to either side."""
    start, end = SECOND
    instants = [start - tick, start, start + tick, end - tick, end, end + tick]
    return [changed(number, instant) for number, instant in enumerate(instants, 1)]


@pytest.mark.parametrize("api_does", ["half-open", "inclusive", "after", "nothing", "more"])
def test_a_window_is_half_open_whatever_the_api_makes_of_it(
    deployment: Deployment, api: ApiServer, api_does: str
) -> None:
    filters = api_does in ("half-open", "inclusive", "after")
    # The test's API compares texts.
    api.records = boundary_records(timedelta(seconds=1) if filters else timedelta(microseconds=1))
    api.end_inclusive, api.start_exclusive = api_does == "inclusive", api_does == "after"
    params = {"start_param": "since", "end_param": "until"}
    if api_does == "nothing":
        params = {"start_param": "from", "end_param": "to"}
    if api_does == "more":
        params = {}
    deployment.options(cursor_path="updated_at", **params)
    outcome = deployment.run(**window(SECOND))
    assert deployment.ids() == [2, 3, 4]
    assert deployment.reports("window_start", "window_end", "read_rows", "loaded_rows") == [(*SECOND, 3, 3)]
    if api_does != "more":
        assert api.requests[0].query[params["start_param"]] == "2026-01-01T23:59:59Z"
        assert api.requests[0].query[params["end_param"]] == "2026-01-03T00:00:00Z"
    assert "promised" in outcome.log


def test_neighbouring_windows_meet(deployment: Deployment, api: ApiServer) -> None:
    api.records, api.end_inclusive = boundary_records(timedelta(seconds=1)), True
    deployment.options(cursor_path="updated_at", start_param="since", end_param="until", sync_mode="append")
    for interval in (THIRD, FIRST, SECOND):
        deployment.run("backfill", interval)
    # Appended, so that a record in two windows would be there twice.
    assert deployment.ids() == [1, 2, 3, 4, 5, 6]
    assert deployment.reports("run_kind", "window_start", "window_end", "loaded_rows") == [
        ("backfill", *THIRD, 2),
        ("backfill", *FIRST, 1),
        ("backfill", *SECOND, 3),
    ]


@pytest.mark.parametrize(
    ("cursor_format", "start", "end"),
    [
        # The start is one unit earlier, for an API that excludes it.
        ("iso8601_offset", "2026-01-01T23:59:59+00:00", "2026-01-02T12:00:00.500000+00:00"),
        # A window that ends within a day, a second: the API is asked for more, and the rest is left out here.
        ("date", "2026-01-01", "2026-01-03"),
        ("epoch_seconds", "1767311999", "1767355201"),
        ("epoch_milliseconds", "1767311999999", "1767355200500"),
    ],
)
def test_the_api_gets_the_window_in_its_own_format(
    deployment: Deployment, api: ApiServer, cursor_format: str, start: str, end: str
) -> None:
    api.start_param = api.end_param = None
    half = SECOND[0] + timedelta(hours=12, milliseconds=500)
    api.records = [changed(1, SECOND[0]), changed(2, half - timedelta(microseconds=1)), changed(3, half)]
    deployment.options(cursor_path="updated_at", start_param="s", end_param="e", cursor_format=cursor_format)
    deployment.run(**window((SECOND[0], half)))
    assert {(request.query["s"], request.query["e"]) for request in api.requests} == {(start, end)}
    assert deployment.ids() == [1, 2]


def test_a_manual_run_loads_what_is_not_covered(deployment: Deployment, api: ApiServer) -> None:
    api.records = [changed(1, FIRST[0])]
    deployment.options(cursor_path="updated_at", start_param="since", end_param="until")
    deployment.run("scheduled", FIRST)
    # All history up to the end of the day, as nothing was loaded before.
    assert deployment.reports("window_start", "window_end") == [(None, FIRST[1])]
    assert "since" not in api.requests[-1].query

    # Late: it changed in what is covered, so only a look back would find it.
    api.records += [changed(2, FIRST[0]), changed(3, FIRST[1]), changed(4, THIRD[0])]
    before = datetime.now(UTC).replace(microsecond=0)
    deployment.run()
    ((start, end),) = deployment.reports("window_start", "window_end")[1:]
    assert start == FIRST[1]
    assert before <= end <= datetime.now(UTC)
    assert deployment.ids() == [1, 3, 4]

    deployment.options(cursor_path="updated_at", start_param="since", end_param="until", lookback_days=1)
    deployment.run("scheduled", SECOND)
    assert deployment.ids() == [1, 2, 3, 4]


def test_a_run_with_nothing_to_load_is_skipped(deployment: Deployment, api: ApiServer) -> None:
    deployment.options(cursor_path="updated_at")
    today = datetime.now(UTC)
    deployment.run("scheduled", (today - timedelta(days=1), today + timedelta(days=1)))
    outcome = deployment.run()
    assert outcome.task_state == "skipped"
    assert "is loaded already" in outcome.log
    assert api.count() == 1
    assert (outcome.xcom, outcome.assets) == (None, ())


def test_a_backfill_over_an_api_without_a_past_reads_it_once(deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1)]
    deployment.run()
    # Queued after that snapshot, so it has to read; the other one waits meanwhile, and finds it done.
    holds: list[Any] = []
    waiting = deployment.run("backfill", FIRST, meanwhile=lambda: holds.append(deployment.run("backfill", SECOND)))
    assert holds[0].task_state == "success"
    assert waiting.task_state == "skipped"
    assert f"load {holds[0].xcom['load_id']} ({holds[0].run_id}) read everything" in waiting.log
    assert api.count(offset=0) == 2
    assert waiting.assets == ()
    assert [kind for (kind,) in deployment.reports("run_kind")] == ["manual", "backfill"]

    # Cleared, it is asked for anew.
    assert deployment.run_again(waiting).task_state == "success"
    assert api.count(offset=0) == 3


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (window((SECOND[0], FIRST[0])), "window_start has to be before window_end"),
        (window((SECOND[0], datetime(2999, 1, 1, tzinfo=UTC))), "window_end is in the future"),
        (window(FIRST) | {"sync_mode": "replace"}, "`replace` needs the whole collection"),
    ],
)
def test_a_window_that_cannot_be_is_refused_before_a_request(
    deployment: Deployment, params: dict[str, str], sentence: str
) -> None:
    deployment.options(cursor_path="updated_at")
    assert sentence in deployment.refused(**params)


def test_a_window_without_a_cursor_is_refused_before_a_request(deployment: Deployment) -> None:
    assert "`cursor_path` is not set" in deployment.refused(**window(FIRST))


@pytest.mark.parametrize("kind", ["scheduled", "backfill"])
def test_an_interval_of_zero_width_is_never_green(deployment: Deployment, kind: Any) -> None:
    deployment.options(cursor_path="updated_at")
    assert "CronDataIntervalTimetable" in deployment.refused(kind, (FIRST[0], FIRST[0]))


@pytest.mark.parametrize("value", [None, "soon"])
def test_a_record_without_a_time_fails_the_run(deployment: Deployment, api: ApiServer, value: object) -> None:
    api.records = [changed(1, FIRST[0]), {"id": 2, "updated_at": value}]
    deployment.options(cursor_path="updated_at")
    outcome = deployment.airflow.run("backfill", FIRST)
    assert outcome.task_state == "failed"
    assert "The option `cursor_path` is `updated_at`, but a record fails it" in outcome.reason
    assert deployment.ids() == []


# --- what is written down


def test_the_report_says_what_happened(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(250)
    before = datetime.now(UTC)
    outcome = deployment.run("scheduled", FIRST)
    columns = (
        *("resource", "load_id", "dag_id", "run_id", "run_kind", "try_number", "sync_mode", "window_start"),
        *("window_end", "pages", "passes", "promised_rows", "read_rows", "loaded_rows", "destination"),
    )
    assert deployment.reports(*columns) == [
        (
            *("datasets", outcome.xcom["load_id"], "datasets", outcome.run_id, "scheduled", 1, "merge", None),
            *(None, 3, 1, 250, 250, 250, "duckdb"),
        )
    ]
    assert deployment.rows("SELECT DISTINCT _dlt_load_id FROM datasets") == [(outcome.xcom["load_id"],)]
    ((started, finished, seconds),) = deployment.reports("started_at", "finished_at", "seconds")
    assert before <= started < finished <= datetime.now(UTC)
    assert seconds == pytest.approx((finished - started).total_seconds(), abs=0.001)
    # The same in XCom, the asset's event and the log.
    assert outcome.assets == (outcome.xcom,)
    assert outcome.xcom["started_at"] == started.isoformat()
    assert (
        "datasets: 250 rows loaded (250 read, 250 promised): 250 new, 0 changed, 0 as they were, 3 pages" in outcome.log
    )


def test_a_failed_run_is_reported_as_one_and_is_no_event(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(250)
    deployment.run()
    api.records = numbered(250, first=1000)
    api.fail(99, Answer(404), offset=198)
    outcome = deployment.airflow.run()
    assert outcome.task_state == "failed"
    assert (outcome.xcom["status"], outcome.assets) == ("failed", ())
    assert deployment.ids() == list(range(250))
    assert deployment.reports("status") == [("loaded",), ("failed",)]


def test_a_report_that_cannot_be_written_fails_no_load(
    deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the history table is read-only")

    api.records = numbered(3)
    monkeypatch.setattr("include.report.history.write_report", fail)
    outcome = deployment.run()
    assert "its report could not be written" in outcome.log
    assert "the history table is read-only" in outcome.log
    assert deployment.ids() == [0, 1, 2]
    assert outcome.assets == (outcome.xcom,)


@pytest.mark.parametrize("mode", ["merge", "replace", "append", "scd2"])
def test_a_load_that_lost_a_record_fails(
    deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    check = LoadProof.check

    def lose_one(proof: LoadProof, *args: Any) -> None:
        proof.read.ids.update([99])
        check(proof, *args)

    api.records = numbered(3)
    monkeypatch.setattr(LoadProof, "check", lose_one)
    outcome = deployment.airflow.run(sync_mode=mode)
    assert outcome.task_state == "failed"
    assert "The load is incomplete: 4 records were read from the API, 1 of them" in outcome.reason
    assert deployment.ids() == []


# --- records that vanished


def test_more_deletes_than_the_share_need_a_word(deployment: Deployment, api: ApiServer) -> None:
    deployment.options(deletes="remove")
    api.records = numbered(10)
    deployment.run()
    api.records = numbered(5)
    outcome = deployment.airflow.run()
    assert outcome.task_state == "failed"
    assert "5 of 10 rows of the table `datasets` would be removed" in outcome.reason
    assert len(deployment.ids()) == 10
    allowed = deployment.run(allow_deletes=True)
    assert (allowed.xcom["unchanged_rows"], allowed.xcom["deleted_rows"]) == (5, 5)
    assert len(deployment.ids()) == 5
    # The event is the same, and begins with the counts.
    assert list(allowed.assets[-1])[:4] == ["read_rows", "loaded_rows", "inserted_rows", "updated_rows"]


@pytest.mark.parametrize("mode", ["replace", "append", "scd2"])
def test_other_modes_know_no_deletes(deployment: Deployment, api: ApiServer, mode: str) -> None:
    deployment.options(deletes="mark", max_delete_share=0)
    api.records = [record(1), record(2)]
    deployment.run(sync_mode=mode)
    api.records = [record(1)]
    deployment.run(sync_mode=mode)
    api.records = []
    deployment.run(sync_mode=mode)
    valid = " WHERE _dlt_valid_to IS NULL" if mode == "scd2" else ""
    rows = deployment.rows(f"SELECT id FROM datasets{valid} ORDER BY id")
    assert rows == {"replace": [], "append": [(1,), (1,), (2,)], "scd2": []}[mode]


def test_a_read_that_is_not_proven_takes_nothing_out(deployment: Deployment, api: ApiServer) -> None:
    deployment.options(deletes="remove", max_delete_share=1, overlap=False, page_size=2)
    api.records = numbered(10)
    deployment.run()
    api.records = numbered(5)
    outcome = deployment.run()
    assert "not_proven" in outcome.xcom["notes"]
    assert outcome.xcom["deleted_rows"] == 0
    assert len(deployment.ids()) == 10
    assert "Nothing was marked or removed" in outcome.log


def test_what_does_not_count_changes_nothing(deployment: Deployment, api: ApiServer) -> None:
    deployment.options(ignore_fields=["version", "owner.name"])
    api.records = [record(1)]
    first = deployment.run()
    api.records = [record(1, version=2)]
    assert deployment.run().xcom["unchanged_rows"] == 1
    assert deployment.rows("SELECT version, _dlt_load_id FROM datasets") == [(1, first.xcom["load_id"])]
