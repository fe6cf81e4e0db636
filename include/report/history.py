"""One frozen record per load, kept in the history table `_load_reports` beside the data.

In: what a load read and wrote. Out: a row of the history table, small metadata for the asset event, one readable
line. It holds counts, times and names, never a record, a URL or a key.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import dlt

from include.load.stored_schema import keep_on_top

REPORTS_TABLE = "_load_reports"
_SCHEMA = "load_reports"


@dataclass(frozen=True)
class LoadReport:
    """One load of one resource. Instants are UTC; None: the API promised no total; the run read a snapshot."""

    resource: str
    load_id: str
    dag_id: str
    run_id: str
    run_kind: str
    try_number: int
    sync_mode: str
    window_start: datetime | None
    window_end: datetime | None
    started_at: datetime
    finished_at: datetime
    seconds: float
    pages: int
    passes: int
    promised_rows: int | None
    read_rows: int
    loaded_rows: int
    destination: str

    def summary(self) -> str:
        """One line for the task log and for `make run`."""
        promised = "no total promised" if self.promised_rows is None else f"{self.promised_rows} promised"
        return (
            f"{self.resource}: {self.loaded_rows} rows loaded ({self.read_rows} read, {promised}), {self.pages} pages, "
            f"{self.seconds:.1f} s, {self.sync_mode}, into {self.destination}, load {self.load_id}"
        )


_COLUMNS = tuple(field.name for field in fields(LoadReport))
_INSTANTS = ("window_start", "window_end", "started_at", "finished_at")


def read_reports(pipeline: dlt.Pipeline, resource: str) -> list[LoadReport]:
    """The completed loads of `resource` in the destination of `pipeline`, in no order; none: an empty list.

    Raises what the destination raises: to guess at the history would load too little.
    """
    with _history(pipeline) as history:
        if not history.default_schema_name:
            return []
        query = f"SELECT {', '.join(_COLUMNS)} FROM {REPORTS_TABLE} WHERE resource = '{resource}'"
        return [LoadReport(*_in_utc(row)) for row in history.dataset()(query).fetchall()]


def write_report(report: LoadReport, pipeline: dlt.Pipeline) -> None:
    """Append `report` to the history table. Raises whatever the destination raises."""
    with _history(pipeline) as history:
        history.run(
            [asdict(report)],
            table_name=REPORTS_TABLE,
            write_disposition="append",
            # As the data beside it: dlt would write JSON lines. None is dlt's own choice, which its types leave out.
            loader_file_format="parquet" if history.destination.destination_name == "filesystem" else None,  # type: ignore[arg-type]
            columns=[
                {"name": "window_start", "data_type": "timestamp"},
                {"name": "window_end", "data_type": "timestamp"},
                {"name": "promised_rows", "data_type": "bigint"},
            ],
        )
    # Whoever opens the warehouse with dlt alone is shown the tables of the newest schema: the API's, not this one's.
    if schema_name := pipeline.default_schema_name:
        opened: Any = pipeline.destination_client()
        with opened as client:
            keep_on_top(client, schema_name)


@contextmanager
def _history(pipeline: dlt.Pipeline) -> Iterator[dlt.Pipeline]:
    """A pipeline of its own for the history table, so that the load's trace and state stay the load's."""
    history = dlt.pipeline(
        _SCHEMA,
        destination=pipeline.destination,
        dataset_name=pipeline.dataset_name,
        pipelines_dir=pipeline.pipelines_dir,
    )
    try:
        history.sync_destination()
        yield history
    finally:
        # `dlt.current.pipeline()` is the load's own to whatever runs after this.
        pipeline.activate()


def _in_utc(row: Iterable[Any]) -> Iterator[Any]:
    for name, value in zip(_COLUMNS, row, strict=True):
        if name not in _INSTANTS or value is None:
            yield value
            continue
        # SQLite has no type for instants: it gives back text.
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        yield instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
