"""What Airflow has of loads, in few queries that read few rows, however many loads there were.

In: a session of Airflow's metadata database. Out: resources, loads, windows and failed tries. Reads only.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow.models.asset import AssetEvent, AssetModel, TaskOutletAssetReference
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.xcom import XComModel
from airflow.utils.types import DagRunType
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from load_history_page.reports import FAILED_KEY, Load, instant, load_of, reports_in, sentences

# The scheme of the URIs of our assets, `datasets://<schema>/<resource>`.
OURS = "datasets://%"
# Loads on one page.
PAGE = 100
# Loads whose windows make the calendar.
WINDOWS = 5_000
# Failed tries on one page.
FAILURES = 50


@dataclass(frozen=True)
class Resource:
    """A table that a task of a DAG loads. `next_interval_end`: UTC; None: Airflow plans no run."""

    asset_id: int
    asset: str
    name: str
    dag_id: str
    task_id: str
    is_paused: bool
    next_interval_end: datetime | None


@dataclass(frozen=True)
class Window:
    """What one load covers, UTC: [start, end). `start` None: from the beginning. And what it changed in the schema."""

    run_id: str
    start: datetime | None
    end: datetime
    schema_changes: tuple[str, ...]
    loaded_at: datetime


@dataclass(frozen=True)
class Failure:
    """A try of a task that failed. `sentence` None: the try left none. `is_retried`: another try came, or will."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    ended_at: datetime | None
    is_retried: bool
    sentence: str | None


def resources(session: Session, dag_id: str | None = None) -> list[Resource]:
    """The resources of one DAG, or of all DAGs, in alphabetical order."""
    query = (
        select(
            AssetModel.id,
            AssetModel.name,
            AssetModel.uri,
            TaskOutletAssetReference.dag_id,
            TaskOutletAssetReference.task_id,
            DagModel.is_paused,
            DagModel.next_dagrun_data_interval_end,
        )
        .join(TaskOutletAssetReference, TaskOutletAssetReference.asset_id == AssetModel.id)
        .join(DagModel, DagModel.dag_id == TaskOutletAssetReference.dag_id)
        .where(AssetModel.uri.like(OURS))
        .order_by(TaskOutletAssetReference.dag_id, AssetModel.uri)
    )
    if dag_id is not None:
        query = query.where(TaskOutletAssetReference.dag_id == dag_id)
    return [
        Resource(asset_id, name, uri.rpartition("/")[2], dag, task, bool(paused), next_end)
        for asset_id, name, uri, dag, task, paused, next_end in session.execute(query)
    ]


def by_name(found: Sequence[Resource], name: str | None) -> Resource | None:
    """The resource of that name; without a name the first. None: there is none."""
    return next((one for one in found if name in (None, one.name)), None)


def last_loads(session: Session, found: Iterable[Resource]) -> dict[int, Load]:
    """The newest load of each resource, by asset."""
    by_asset = {resource.asset_id: resource for resource in found}
    newest = aliased(AssetEvent)
    # One step in the index for each asset, not a pass over its events.
    last_id = (
        select(newest.id)
        .where(newest.asset_id == AssetModel.id)
        .order_by(newest.timestamp.desc(), newest.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(AssetEvent.asset_id, AssetEvent.extra, AssetEvent.source_run_id, AssetEvent.timestamp)
        .join(AssetModel, AssetEvent.id == last_id)
        .where(AssetModel.id.in_(by_asset))
    )
    return {
        asset_id: _load(extra, by_asset[asset_id], run_id, timestamp)
        for asset_id, extra, run_id, timestamp in session.execute(query)
    }


def loads(session: Session, resource: Resource, before: int | None = None) -> tuple[list[Load], int | None]:
    """At most `PAGE` loads of a resource, newest first; and where the next page begins, None: there is none."""
    query = (
        select(AssetEvent.id, AssetEvent.extra, AssetEvent.source_run_id, AssetEvent.timestamp)
        .where(AssetEvent.asset_id == resource.asset_id)
        .order_by(AssetEvent.timestamp.desc(), AssetEvent.id.desc())
        .limit(PAGE + 1)
    )
    if before is not None:
        at = select(AssetEvent.timestamp).where(AssetEvent.id == before).scalar_subquery()
        query = query.where(
            (AssetEvent.timestamp < at) | ((AssetEvent.timestamp == at) & (AssetEvent.id < before)),
        )
    rows = session.execute(query).all()
    found = [_load(extra, resource, run_id, timestamp) for _, extra, run_id, timestamp in rows[:PAGE]]
    return found, rows[PAGE - 1].id if len(rows) > PAGE else None


def count_loads(session: Session, resource: Resource) -> int:
    """How many loads Airflow remembers."""
    query = select(func.count()).select_from(AssetEvent).where(AssetEvent.asset_id == resource.asset_id)
    return session.scalar(query) or 0


def windows(session: Session, resource: Resource) -> list[Window]:
    """What the newest `WINDOWS` loads cover, newest first."""
    extra = AssetEvent.extra
    query = (
        select(
            extra["window_start"].as_string(),
            extra["window_end"].as_string(),
            extra["started_at"].as_string(),
            extra["schema_changes"],
            AssetEvent.source_run_id,
            AssetEvent.timestamp,
        )
        .where(AssetEvent.asset_id == resource.asset_id)
        .order_by(AssetEvent.timestamp.desc(), AssetEvent.id.desc())
        .limit(WINDOWS)
    )
    found = []
    for start, end, started, changes, run_id, timestamp in session.execute(query):
        until = instant(end)
        found.append(
            Window(
                run_id or "",
                instant(start) if until else None,
                # A snapshot holds what there was when it began.
                until or instant(started) or timestamp,
                sentences(changes),
                timestamp,
            )
        )
    return found


def failures(session: Session, dag_id: str, task_id: str | None = None, run_id: str | None = None) -> list[Failure]:
    """At most `FAILURES` failed tries, newest first."""
    tries: list[Failure] = []
    for model in (TaskInstance, TaskInstanceHistory):
        query = (
            select(
                model.run_id,
                model.task_id,
                model.map_index,
                model.try_number,
                model.end_date,
                model.state,
                model.retry_reason,
            )
            .where(model.dag_id == dag_id, model.state.in_(("failed", "up_for_retry")))
            .order_by(model.end_date.desc())
            .limit(FAILURES)
        )
        if task_id is not None:
            query = query.where(model.task_id == task_id)
        if run_id is not None:
            query = query.where(model.run_id == run_id)
        for run, task, map_index, number, ended, state, reason in session.execute(query):
            is_retried = state == "up_for_retry" or model is TaskInstanceHistory
            tries.append(Failure(dag_id, run, task, map_index, number, ended, is_retried, reason))
    tries = sorted(tries, key=_newest)[:FAILURES]
    said = _sentences(session, dag_id, {one.run_id for one in tries})
    return [_with_sentence(one, said) for one in tries]


def loads_of_run(session: Session, dag_id: str, run_id: str, task_id: str | None = None) -> list[Load]:
    """The loads of one run, by its XComs."""
    query = select(XComModel.task_id, XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == "return_value"
    )
    if task_id is not None:
        query = query.where(XComModel.task_id == task_id)
    return [
        load_of(report, dag_id, run_id, task)
        for task, value in session.execute(query.order_by(XComModel.task_id))
        for report in reports_in(_value(value))
    ]


def states(session: Session, dag_id: str, run_id: str, task_id: str | None = None) -> dict[str, str]:
    """The state of each task of a run; none: there is no such run."""
    query = select(TaskInstance.task_id, TaskInstance.state).where(
        TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id
    )
    if task_id is not None:
        query = query.where(TaskInstance.task_id == task_id)
    return {task: str(state or "not started") for task, state in session.execute(query.order_by(TaskInstance.task_id))}


def last_interval_ends(session: Session, dag_ids: Collection[str]) -> dict[str, datetime]:
    """By DAG, the end of the newest interval that the schedule made a run for."""
    query = (
        select(DagRun.dag_id, func.max(DagRun.data_interval_end))
        .where(DagRun.dag_id.in_(dag_ids), DagRun.run_type == DagRunType.SCHEDULED)
        .group_by(DagRun.dag_id)
    )
    return {dag_id: end for dag_id, end in session.execute(query) if end}


def _load(extra: Any, resource: Resource, run_id: str | None, timestamp: datetime) -> Load:
    report = extra if isinstance(extra, dict) else {}
    finished = {"finished_at": timestamp.isoformat(), **report}
    return load_of({**finished, "resource": resource.name}, resource.dag_id, run_id or "", resource.task_id)


def _newest(one: Failure) -> tuple[bool, float]:
    return one.ended_at is not None, -one.ended_at.timestamp() if one.ended_at else 0.0


def _sentences(session: Session, dag_id: str, run_ids: set[str]) -> dict[tuple[str, str, int], Any]:
    """What failed tries pushed, by run, task and map index."""
    if not run_ids:
        return {}
    query = select(XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id.in_(run_ids), XComModel.key == FAILED_KEY
    )
    return {(run, task, index): _value(value) for run, task, index, value in session.execute(query)}


def _with_sentence(one: Failure, said: dict[tuple[str, str, int], Any]) -> Failure:
    for report in reports_in(said.get((one.run_id, one.task_id, one.map_index))):
        load = load_of(report, one.dag_id, one.run_id, one.task_id)
        if load.sentence and load.try_number in (None, one.try_number):
            return replace(one, sentence=load.sentence)
    return one


def _value(stored: Any) -> Any:
    """An XCom as plain JSON: Airflow's own decoder would make objects of what somebody wrote."""
    if not isinstance(stored, str):
        return stored
    try:
        return json.loads(stored)
    except ValueError:
        return None
