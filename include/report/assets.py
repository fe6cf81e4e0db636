"""The Airflow asset of each table, and what its events tell.

In: a catalogue entry; a load report. Out: an `Asset` for `outlets`, and the event's extra: counts, times and the
load id, small and without secrets, so that a downstream DAG can be scheduled on the table and see what changed.
"""

from datetime import datetime

from airflow.sdk import Asset
from pydantic import JsonValue

from include.apis.datasets import Resource
from include.apis.names import DESTINATION_SCHEMA
from include.report.history import LoadReport


def table_asset(resource: Resource) -> Asset:
    """The asset of the table of `resource`. Its URI names no host: the destination is known in the task only."""
    return Asset(
        name=f"{DESTINATION_SCHEMA}.{resource.name}",
        uri=f"datasets://{DESTINATION_SCHEMA}/{resource.name}",
        group="datasets",
    )


def event_extra(report: LoadReport) -> dict[str, JsonValue]:
    """The report as JSON values; instants as ISO 8601 in UTC."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(report).items()}
