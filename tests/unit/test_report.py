"""What a load tells others: rows of the history, and the event of the asset."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import dlt
import pytest
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

from include.apis.datasets import DATASETS
from include.report.assets import event_extra, table_asset
from include.report.history import LoadReport, read_reports, write_report

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


def test_an_asset_names_its_table_and_no_host() -> None:
    asset = table_asset(DATASETS, "datasets")
    assert (asset.name, asset.uri) == ("datasets_raw.datasets", "datasets://datasets_raw/datasets")


def test_a_report_is_one_line() -> None:
    assert REPORT.summary() == (
        "datasets: 2293 rows loaded (2293 read, no total promised), 23 pages, 1.5 s, merge, into duckdb, load 1764000000.1"
    )
    assert "(2293 read, 2300 promised)" in replace(REPORT, promised_rows=2300).summary()
