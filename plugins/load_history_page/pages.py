"""What a page shows, put together from the store: the same for HTML and for JSON.

In: a session, which DAG, which run, which resource. Out: frozen records; what a page cannot find is None.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from load_history_page import store
from load_history_page.coverage import Coverage, coverage
from load_history_page.deadline import Age, age_of, deadline_hours
from load_history_page.reports import Load

# Changes of a schema on one page.
CHANGES = 50


@dataclass(frozen=True)
class Summary:
    """A resource in a list. `last` None: it has never been loaded."""

    resource: store.Resource
    last: Load | None
    age: Age


@dataclass(frozen=True)
class Details:
    """A resource by itself. `loads`: newest first; `total`: how many there are; `older_than`: where the next page begins."""

    summary: Summary
    loads: tuple[Load, ...]
    total: int
    older_than: int | None
    coverage: Coverage
    schema_changes: tuple[store.Window, ...]
    failures: tuple[store.Failure, ...]


@dataclass(frozen=True)
class DagPage:
    """The resources of a DAG, and one of them with all that is known. `details` None: there is no such resource."""

    dag_id: str
    summaries: tuple[Summary, ...]
    details: Details | None


@dataclass(frozen=True)
class RunPage:
    """One run. `states`: of its tasks; empty: no such run."""

    dag_id: str
    run_id: str
    states: dict[str, str]
    loads: tuple[Load, ...]
    failures: tuple[store.Failure, ...]


def overview(session: Session, found: Collection[store.Resource], now: datetime) -> tuple[Summary, ...]:
    """The resources of all DAGs that the caller may read."""
    last, hours = store.last_loads(session, found), deadline_hours()
    ends = store.last_interval_ends(session, {resource.dag_id for resource in found})
    return tuple(
        Summary(
            resource,
            last.get(resource.asset_id),
            age_of(last.get(resource.asset_id), ends.get(resource.dag_id), hours, now),
        )
        for resource in found
    )


def dag_page(session: Session, dag_id: str, name: str | None, before: int | None, now: datetime) -> DagPage:
    """A DAG, with the details of the resource `name`; None: of the first. `before`: loads older than that event."""
    found = store.resources(session, dag_id)
    summaries = overview(session, found, now)
    chosen = store.by_name(found, name)
    if chosen is None:
        return DagPage(dag_id, summaries, None)
    loads, older_than = store.loads(session, chosen, before)
    windows = store.windows(session, chosen)
    details = Details(
        next(one for one in summaries if one.resource is chosen),
        tuple(loads),
        store.count_loads(session, chosen),
        older_than,
        coverage(windows, now.date()),
        tuple(window for window in windows if window.schema_changes)[:CHANGES],
        tuple(store.failures(session, dag_id, chosen.task_id)),
    )
    return DagPage(dag_id, summaries, details)


def run_page(session: Session, dag_id: str, run_id: str, task_id: str | None) -> RunPage:
    """A run, or one task of it."""
    return RunPage(
        dag_id,
        run_id,
        store.states(session, dag_id, run_id, task_id),
        tuple(store.loads_of_run(session, dag_id, run_id, task_id)),
        tuple(store.failures(session, dag_id, task_id, run_id)),
    )
