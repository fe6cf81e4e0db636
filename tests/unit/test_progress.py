"""What the log says of a load while it goes on: the opening, a line every ten seconds, and that loading begins."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import dlt
import pytest

from include.configure.options import SourceOptions
from include.decide.window import LoadWindow
from include.extract.clock import Clock
from include.extract.key_set import KeySet
from include.extract.read import ResourceRead
from include.report.progress import ProgressLog, opening


class Stopped(Clock):
    """A clock that goes when it is told to."""

    now = 1_000.0

    def monotonic(self) -> float:
        """The moment that was told."""
        return self.now


def read_of(rows: int, promised: int | None, pages: int, retries: int = 0) -> ResourceRead:
    """A read that has come so far."""
    read = ResourceRead(SourceOptions())
    read.progress.ids = KeySet()
    read.progress.ids.update(list(range(rows)))
    read.progress.promised_rows, read.progress.pages = promised, pages
    read.traffic.retries = retries
    return read


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "include.report.progress"]


@pytest.fixture
def clock(caplog: pytest.LogCaptureFixture) -> Stopped:
    caplog.set_level(logging.INFO)
    return Stopped()


def after(seconds: float, clock: Stopped, **reads: ResourceRead) -> None:
    """A page that comes so many seconds after the beginning."""
    progress = ProgressLog(reads, [name for name in reads if name == "child"], clock)
    with progress("Extract datasets"):
        clock.now += seconds
        progress.update("datasets")


@pytest.mark.parametrize(
    ("read", "line"),
    [
        (
            read_of(12_300, 20_000, 123, retries=2),
            "12,300 of 20,000 records, 123 pages, 410 a second, about 19 s left, 2 retries",
        ),
        (read_of(12_300, None, 123, retries=1), "12,300 records, 123 pages, 410 a second, 1 retry"),
        # More than promised: the total is no count.
        (read_of(300, 20, 3), "300 records, 3 pages, 10 a second"),
        (read_of(0, 20, 0), "0 of 20 records, 0 pages"),
        (read_of(30, 30, 1), "30 of 30 records, 1 pages, 1 a second, about 0 s left"),
    ],
)
def test_a_line_says_how_far_it_is(
    read: ResourceRead, line: str, clock: Stopped, caplog: pytest.LogCaptureFixture
) -> None:
    after(30, clock, datasets=read)
    assert said(caplog) == [f"datasets: {line}"]


def test_one_line_for_all_that_a_task_reads_and_no_total_for_a_child(
    clock: Stopped, caplog: pytest.LogCaptureFixture
) -> None:
    after(10, clock, parent=read_of(10, 20, 1), child=read_of(100, 120, 5))
    assert said(caplog) == [
        "parent: 10 of 20 records, 1 pages, 1 a second, about 10 s left; child: 100 records, 5 pages, 10 a second"
    ]


def test_one_line_for_ten_seconds_however_many_pages_come(clock: Stopped, caplog: pytest.LogCaptureFixture) -> None:
    progress = ProgressLog({"datasets": read_of(10, 20, 1)}, clock=clock)
    with progress("Extract datasets"):
        for _ in range(350):
            clock.now += 0.1
            progress.update("datasets")
    assert len(said(caplog)) == 3


def test_the_pace_is_that_of_the_pass(clock: Stopped, caplog: pytest.LogCaptureFixture) -> None:
    read = read_of(900, 1_000, 9)
    progress = ProgressLog({"datasets": read}, clock=clock)
    with progress("Extract datasets"):
        clock.now += 90
        progress.update("datasets")
        # The collection moved: it is read again, from its beginning.
        read.progress.passes, read.progress.ids = 2, KeySet()
        progress.update("datasets")
        read.progress.ids.update(list(range(100)))
        clock.now += 10
        progress.update("datasets")
    assert said(caplog)[-1] == "datasets: 100 of 1,000 records, 9 pages, 10 a second, about 90 s left"


def test_it_says_once_that_loading_begins(clock: Stopped, caplog: pytest.LogCaptureFixture) -> None:
    parent, child = read_of(10, None, 1), read_of(1_200, None, 1)
    progress = ProgressLog({"parent": parent, "child": child}, clock=clock)
    for step in ("Normalize datasets in 1", "Load datasets in 1", "Load datasets in 2"):
        with progress(step):
            clock.now += 60
            progress.update("Jobs")
    assert said(caplog) == ["All is read; begins to load 1,210 rows"]


def test_dlt_calls_it_at_each_page_and_step(tmp_path: Path, clock: Stopped, caplog: pytest.LogCaptureFixture) -> None:
    @dlt.resource
    def datasets():  # type: ignore[no-untyped-def]
        for number in range(3):
            clock.now += 11
            yield [{"id": number}]

    pipeline = dlt.pipeline(
        "progress", destination=dlt.destinations.duckdb(str(tmp_path / "a.duckdb")), pipelines_dir=str(tmp_path)
    )
    pipeline.collector = ProgressLog({"datasets": read_of(3, None, 1)}, clock=clock)
    pipeline.run(datasets())
    lines = said(caplog)
    assert len([line for line in lines if line.startswith("datasets: 3 records")]) == 3
    assert lines[3:] == ["All is read; begins to load 3 rows"]


def test_the_opening_says_what_the_run_will_do() -> None:
    window = LoadWindow(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    options = SourceOptions()
    options.api_key, options.username, options.page_size = "s3cret-key", "somebody", 50
    options.params, options.sync_mode = {"token": "s3cret-token"}, "append"
    read = ResourceRead(options, window=window)
    line = opening("datasets", read, "https://api.example.org/v2", "datasets_raw.datasets", "duckdb")
    assert line == (
        "datasets: reads the window [2026-01-01T00:00:00Z, 2026-01-02T00:00:00Z) of https://api.example.org/v2, sync mode `merge`, "
        "into datasets_raw.datasets (duckdb); options that are not the defaults: page_size=50, params"
    )


def test_the_opening_of_a_snapshot_with_the_defaults() -> None:
    line = opening("datasets", ResourceRead(SourceOptions()), "https://a", "raw.datasets", "duckdb")
    assert line == (
        "datasets: reads a snapshot of https://a, sync mode `merge`, into raw.datasets (duckdb); options that are not the defaults: none"
    )
