"""The Airflow asset of each table, and what its events tell.

In: an API and its resource; a load report. Out: an `Asset` for `outlets`, and the event's extra: counts, times and the
load id, small and without secrets, so that a downstream DAG can be scheduled on the table and see what changed.
"""

from datetime import datetime

from airflow.sdk import Asset
from pydantic import JsonValue

from include.apis.api import Api
from include.load.counts import Counts
from include.report.history import LoadReport


def table_asset(api: Api, resource: str) -> Asset:
    """The asset of the table of `resource`. Its URI names no host: the destination is known in the task only."""
    schema = api.destination_schema
    return Asset(name=f"{schema}.{resource}", uri=f"datasets://{schema}/{resource}", group=api.name)


def event_extra(report: LoadReport) -> dict[str, JsonValue]:
    """The report as JSON values, the counts first; instants as ISO 8601 in UTC."""
    names = dict.fromkeys(["read_rows", "loaded_rows", *Counts.__annotations__, *vars(report)])
    values = {name: getattr(report, name) for name in names}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
