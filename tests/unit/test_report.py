"""What a load tells others: rows of the history, and the event of the asset."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import dlt
import pytest
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

from include.apis.datasets import DATASETS
from include.report.assets import event_extra, table_asset
from include.report.history import Counts, LoadReport, read_reports, write_report
from include.report.version import PROJECT_VERSION

PROJECT = Path(__file__).parents[2]

STARTED_AT = datetime(2026, 11, 1, 0, 0, 5, tzinfo=UTC)
REPORT = LoadReport(
    resource="datasets",
    load_id="1764000000.1",
    dag_id="datasets",
    run_id="manual__1",
    run_kind="manual",
    try_number=1,
    sync_mode="merge",
    window_start=None,
    window_end=datetime(2026, 11, 1, tzinfo=UTC),
    started_at=STARTED_AT,
    finished_at=STARTED_AT + timedelta(seconds=1.5),
    seconds=1.5,
    pages=23,
    passes=1,
    promised_rows=None,
    read_rows=2293,
    loaded_rows=2293,
    destination="duckdb",
)

PipelineFor = Callable[[str], dlt.Pipeline]


@pytest.fixture
def pipeline_for(dlt_home: Path) -> PipelineFor:
    """A pipeline of a resource, into one DuckDB file for all."""

    def make(resource: str) -> dlt.Pipeline:
        database = dlt.destinations.duckdb(str(dlt_home / "datasets.duckdb"))
        return dlt.pipeline(resource, destination=database, dataset_name=DATASETS.destination_schema)

    return make


def test_before_the_first_load_there_is_no_history(pipeline_for: PipelineFor) -> None:
    assert read_reports(pipeline_for("datasets"), "datasets") == []


def test_what_is_written_is_read_again_for_its_own_resource_alone(pipeline_for: PipelineFor) -> None:
    other = replace(REPORT, resource="owners", load_id="1764000000.2")
    write_report(REPORT, pipeline_for("datasets"))
    write_report(other, pipeline_for("owners"))
    assert read_reports(pipeline_for("datasets"), "datasets") == [REPORT]
    assert read_reports(pipeline_for("datasets"), "owners") == [other]
    assert read_reports(pipeline_for("datasets"), "nobody") == []


def test_instants_come_back_in_utc_whatever_the_zone_of_the_session(dlt_home: Path) -> None:
    elsewhere = REPORT.started_at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    credentials = DuckDbCredentials(str(dlt_home / "datasets.duckdb"))
    credentials.local_config = {"TimeZone": "America/New_York"}
    destination = dlt.destinations.duckdb(credentials)
    pipeline = dlt.pipeline("datasets", destination=destination, dataset_name=DATASETS.destination_schema)
    write_report(replace(REPORT, started_at=elsewhere), pipeline)
    (read,) = read_reports(pipeline, "datasets")
    assert (read.started_at, read.started_at.utcoffset()) == (REPORT.started_at, timedelta())
    assert dlt.pipeline() is pipeline, "the load's own pipeline stays the active one"


def test_an_event_tells_the_whole_report_as_json(pipeline_for: PipelineFor) -> None:
    extra = event_extra(REPORT)
    assert json.loads(json.dumps(extra)) == extra
    assert extra == {
        **vars(REPORT),
        "window_end": "2026-11-01T00:00:00+00:00",
        "started_at": "2026-11-01T00:00:05+00:00",
        "finished_at": "2026-11-01T00:00:06.500000+00:00",
    }


def test_an_event_begins_with_the_counts() -> None:
    extra = event_extra(replace(REPORT, inserted_rows=93, updated_rows=200, unchanged_rows=2000))
    assert list(extra)[:7] == ["read_rows", "loaded_rows", *Counts.__annotations__]
    assert list(extra.values())[:5] == [2293, 2293, 93, 200, 2000]


def test_a_load_that_failed_covers_nothing(pipeline_for: PipelineFor) -> None:
    loaded = replace(REPORT, status="loaded", load_id="1764000000.2")
    failed = replace(REPORT, status="failed", load_id="", reason="ApiFailure", message="The API is away.")
    for report in (REPORT, loaded, failed):
        write_report(report, pipeline_for("datasets"))
    assert read_reports(pipeline_for("datasets"), "datasets") == [REPORT, loaded]


def test_each_column_is_there_from_the_first_report_on_whatever_is_in_it(pipeline_for: PipelineFor) -> None:
    pipeline = pipeline_for("datasets")
    write_report(REPORT, pipeline)
    with pipeline.sql_client() as client:
        names = {
            name
            for (name,) in client.execute_sql(
                "SELECT column_name FROM information_schema.columns WHERE table_name = '_load_reports'"
            )
            or ()
        }
    assert names >= {field.name for field in fields(LoadReport)}


def test_a_history_of_fewer_columns_is_read(pipeline_for: PipelineFor) -> None:
    """As the versions before have written it."""
    pipeline = pipeline_for("datasets")
    of_before = {field.name: getattr(REPORT, field.name) for field in fields(LoadReport) if field.default is MISSING}
    history = dlt.pipeline("load_reports", destination=pipeline.destination, dataset_name=pipeline.dataset_name)
    columns = [{"name": "window_start", "data_type": "timestamp"}, {"name": "promised_rows", "data_type": "bigint"}]
    history.run([of_before], table_name="_load_reports", write_disposition="append", columns=columns)
    pipeline.activate()
    assert read_reports(pipeline, "datasets") == [REPORT]
    write_report(replace(REPORT, load_id="1764000000.2", status="loaded", requests=24), pipeline)
    assert [(one.status, one.requests) for one in read_reports(pipeline, "datasets")] == [(None, None), ("loaded", 24)]


def test_the_version_of_the_project_stands_in_one_more_place() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == PROJECT_VERSION


def test_an_asset_names_its_table_and_no_host() -> None:
    asset = table_asset(DATASETS, "datasets")
    assert (asset.name, asset.uri) == ("datasets_raw.datasets", "datasets://datasets_raw/datasets")


def test_a_report_is_one_line() -> None:
    assert REPORT.summary() == (
        "datasets: 2293 rows loaded (2293 read, no total promised), 23 pages, 1.5 s, merge, into duckdb, load 1764000000.1"
    )
    assert "(2293 read, 2300 promised)" in replace(REPORT, promised_rows=2300).summary()
