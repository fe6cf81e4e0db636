"""A load as its report tells it, whatever the report lacks.

In: the extra of an asset event, or an XCom: the columns of `_load_reports` as JSON, of this version of the project or an earlier one.
Out: `Load`. Nothing that stands in a report can make the page fail: a value of another type is None.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

# What a failed try pushes, besides what the task returns.
FAILED_KEY = "load_report"


@dataclass(frozen=True)
class Load:
    """One load of one resource. Instants are UTC; None: the report does not say. The window is half-open; None: a snapshot."""

    resource: str
    dag_id: str
    run_id: str
    task_id: str
    status: str = "loaded"
    reason: str | None = None
    message: str | None = None
    run_kind: str | None = None
    sync_mode: str | None = None
    try_number: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    promised_rows: int | None = None
    read_rows: int | None = None
    loaded_rows: int | None = None
    inserted_rows: int | None = None
    updated_rows: int | None = None
    unchanged_rows: int | None = None
    superseded_rows: int | None = None
    deleted_rows: int | None = None
    pages: int | None = None
    requests: int | None = None
    retries: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    seconds_reading: float | None = None
    seconds_loading: float | None = None
    destination: str | None = None
    load_id: str | None = None
    notes: tuple[str, ...] = ()
    schema_changes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str | None:
        """Why the load failed; None: it did not, or does not say."""
        return self.message or self.reason

    @property
    def is_snapshot(self) -> bool:
        """Whether the whole collection was read."""
        return self.window_end is None


def load_of(report: Any, dag_id: str, run_id: str, task_id: str, resource: str = "") -> Load:
    """The load that `report` tells of; what is not told is None. `resource`: where the report does not name it."""
    said = report if isinstance(report, dict) else {}
    values = {name: read(said.get(name)) for name, read in _READERS.items()}
    values["resource"] = values["resource"] or resource
    values["status"] = values["status"] or "loaded"
    return Load(**values, dag_id=dag_id, run_id=run_id, task_id=task_id)


def reports_in(xcom: Any) -> Iterator[dict[str, Any]]:
    """The reports in an XCom: one, several by resource, or none in something else."""
    if not isinstance(xcom, dict):
        return
    if isinstance(xcom.get("resource"), str):
        yield xcom
        return
    for name, report in xcom.items():
        if isinstance(report, dict):
            yield {"resource": name, **report}


def instant(value: Any) -> datetime | None:
    """ISO 8601, in UTC."""
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (OverflowError, TypeError, ValueError):
        return None


def sentences(value: Any) -> tuple[str, ...]:
    """Notes, or changes of a schema, one line each: of an object `key: value`, of an array its items."""
    if isinstance(value, dict):
        return tuple(f"{_words(key)}: {_inline(item)}" for key, item in value.items() if item not in (None, [], {}))
    if isinstance(value, list):
        return tuple(_inline(item) for item in value)
    return (str(value),) if value else ()


def _words(key: Any) -> str:
    return str(key).replace("_", " ")


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_words(key)} {_inline(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_inline(item) for item in value)
    return str(value)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Beyond, and for what JSON calls NaN, no axis can be drawn.
    return value if is_number and 0 <= value < 1e15 else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# By the type of a field: how its value is read.
_READ: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    str | None: _text,
    int | None: _count,
    float | None: _number,
    datetime | None: instant,
    tuple[str, ...]: sentences,
}
_OF_AIRFLOW = {"dag_id", "run_id", "task_id"}
_READERS = {field.name: _READ[field.type] for field in fields(Load) if field.name not in _OF_AIRFLOW}
