"""One frozen record per load, kept in the history table `_load_reports` beside the data.

In: what a load read and wrote. Out: a row of the history table, small metadata for the asset event, one readable
line. It holds counts, times and names, never a record, a URL or a key.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

import dlt
from dlt.common.data_types import TDataType
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from sqlglot import exp

from include.apis.api import REPORTS_TABLE
from include.decide.run import AirflowRun
from include.extract.read import ResourceRead
from include.load.counts import Counts
from include.load.stored_schema import keep_on_top
from include.report.version import PROJECT_VERSION

log = logging.getLogger(__name__)

Status = Literal["loaded", "failed"]

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
    source: str | None = None
    """Where the records came from: address, path and fixed parameters. None: a load of before that was kept."""
    notes: dict[str, Any] | None = None
    """What there is to say beside the counts; None: nothing."""
    # What follows is None in the rows of loads before version 0.2.0.
    status: Status | None = None
    reason: str | None = None
    """The class of the failure; None: there was none."""
    message: str | None = None
    """The failure as a sentence, redacted."""
    inserted_rows: int | None = None
    updated_rows: int | None = None
    unchanged_rows: int | None = None
    superseded_rows: int | None = None
    deleted_rows: int | None = None
    requests: int | None = None
    retries: int | None = None
    bytes: int | None = None
    seconds_reading: float | None = None
    seconds_loading: float | None = None
    dlt_version: str | None = None
    project_version: str | None = None
    schema_changes: dict[str, Any] | None = None
    """What the load has changed in the schema; None: nothing."""

    @classmethod
    def of(
        cls,
        resource: str,
        run: AirflowRun,
        read: ResourceRead,
        source: str,
        started_at: datetime,
        read_until: datetime,
        load_id: str,
        loaded_rows: int,
        destination: str,
        counts: Counts,
    ) -> "LoadReport":
        """The report of a load that ends now. `read_until`: when all was read. `counts`: those that are known."""
        finished_at = datetime.now(UTC)
        window, progress = read.window, read.progress
        return cls(
            resource=resource,
            load_id=load_id,
            dag_id=run.dag_id,
            run_id=run.run_id,
            run_kind=run.kind,
            try_number=run.try_number,
            sync_mode=read.mode.name,
            window_start=window.start if window else None,
            window_end=window.end if window else None,
            started_at=started_at,
            finished_at=finished_at,
            seconds=round((finished_at - started_at).total_seconds(), 3),
            pages=progress.pages,
            passes=progress.passes,
            promised_rows=progress.promised_rows,
            read_rows=progress.rows,
            loaded_rows=loaded_rows,
            destination=destination,
            source=source,
            notes=progress.notes or None,
            status="loaded",
            **counts,
            requests=read.traffic.requests,
            retries=read.traffic.retries,
            bytes=read.traffic.bytes,
            seconds_reading=round((read_until - started_at).total_seconds(), 3),
            seconds_loading=round((finished_at - read_until).total_seconds(), 3),
            dlt_version=dlt.__version__,
            project_version=PROJECT_VERSION,
        )

    def summary(self) -> str:
        """One line for the task log and for `make run`."""
        promised = "no total promised" if self.promised_rows is None else f"{self.promised_rows} promised"
        changes = ""
        if self.inserted_rows is not None:
            changes = f": {self.inserted_rows} new, {self.updated_rows} changed, {self.unchanged_rows} as they were"
            changes += f", {self.deleted_rows} deleted" if self.deleted_rows else ""
        return (
            f"{self.resource}: {self.loaded_rows} rows loaded ({self.read_rows} read, {promised}){changes}, {self.pages} pages, "
            f"{self.seconds:.1f} s, {self.sync_mode}, into {self.destination}, load {self.load_id}"
        )


_COLUMNS = tuple(field.name for field in fields(LoadReport))
_JSON = ("notes", "schema_changes")
# Said, since dlt makes no column of which it has seen no value: SQL may ask for each from the first load on.
_TYPES: dict[TDataType, tuple[str, ...]] = {
    "timestamp": ("window_start", "window_end"),
    "bigint": ("promised_rows", *Counts.__annotations__, "requests", "retries", "bytes"),
    "double": ("seconds_reading", "seconds_loading"),
    "text": ("source", "status", "reason", "message", "dlt_version", "project_version"),
    "json": _JSON,
}
_INSTANTS = ("window_start", "window_end", "started_at", "finished_at")


def read_reports(pipeline: dlt.Pipeline, resource: str) -> list[LoadReport]:
    """The completed loads of `resource` in the destination of `pipeline`, in no order; none: an empty list.

    Raises what the destination raises: to guess at the history would load too little.
    """
    with _history(pipeline) as history:
        if not history.default_schema_name:
            return []
        of_resource = exp.column("resource", quoted=True).eq(exp.Literal.string(resource))
        # A history that an earlier version of the project made has fewer columns.
        known = history.default_schema.tables[REPORTS_TABLE]["columns"]
        names = [name for name in _COLUMNS if name in known]
        columns = (exp.column(name, quoted=True) for name in names)
        query = exp.select(*columns).from_(exp.table_(REPORTS_TABLE, quoted=True)).where(of_resource)
        if "status" in known:
            status = exp.column("status", quoted=True)
            query = query.where(exp.or_(status.is_(exp.null()), status.eq(exp.Literal.string("loaded"))))
        try:
            rows = history.dataset()(query).fetchall()
        except DatabaseUndefinedRelation:
            # Somebody has dropped it: the next report makes it again, and until then nothing is covered.
            return []
        return [LoadReport(**dict(_as_written(zip(names, row, strict=True)))) for row in rows]


def keep_report(report: LoadReport, pipeline: dlt.Pipeline) -> None:
    """Append `report` to the history table, where that is possible.

    The data is loaded and checked: history may have a gap, a good load may not fail for it.
    """
    try:
        write_report(report, pipeline)
    except Exception:
        log.exception("The load is complete, but its report could not be written into the history table.")


def write_report(report: LoadReport, pipeline: dlt.Pipeline) -> None:
    """Append `report` to the history table. Raises whatever the destination raises."""
    with _history(pipeline) as history:
        history.run(
            [asdict(report)],
            table_name=REPORTS_TABLE,
            write_disposition="append",
            # As the data beside it: dlt would write JSON lines. None is dlt's own choice, which its types leave out.
            loader_file_format="parquet" if history.destination.destination_name == "filesystem" else None,  # type: ignore[arg-type]
            columns=[{"name": name, "data_type": kind} for kind, names in _TYPES.items() for name in names],
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


def _as_written(row: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in row:
        if name in _INSTANTS and value is not None:
            # SQLite has no type for instants: it gives back text.
            instant = datetime.fromisoformat(value) if isinstance(value, str) else value
            yield name, instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        elif name in _JSON and isinstance(value, str):
            yield name, json.loads(value)
        else:
            yield name, value
