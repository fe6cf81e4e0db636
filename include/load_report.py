"""One frozen record per load, kept in the history table `_load_reports` beside the data.

In: what a load read and wrote. Out: a row of the history table, small metadata for the asset event, one readable
line. It holds counts, times and names, never a record, a URL or a key.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

import dlt
from dlt.common.destination import AnyDestination

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
    queued_at: datetime | None
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


def write_report(report: LoadReport, destination: AnyDestination, dataset_name: str) -> None:
    """Append `report` to the history table. Raises whatever the destination raises."""
    active = dlt.current.pipeline()
    try:
        _pipeline(destination, dataset_name).run(
            [asdict(report)],
            table_name=REPORTS_TABLE,
            write_disposition="append",
            columns=[
                {"name": "window_start", "data_type": "timestamp", "nullable": True},
                {"name": "window_end", "data_type": "timestamp", "nullable": True},
                {"name": "queued_at", "data_type": "timestamp", "nullable": True},
                {"name": "promised_rows", "data_type": "bigint", "nullable": True},
            ],
        )
    finally:
        # `dlt.current.pipeline()` is the load's own pipeline to whatever runs after it.
        active.activate()


def _pipeline(destination: AnyDestination, dataset_name: str) -> dlt.Pipeline:
    return dlt.pipeline(_SCHEMA, destination=destination, dataset_name=dataset_name)
