"""The page in this process, on a metadata database of Airflow's, and users with and without rights."""

import asyncio
import json
import os
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

RED, BLUE = "red", "blue"
DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Page:
    """The page below `/load-history`, behind Airflow's SimpleAuthManager. DAGs are of the team `red` unless a test says otherwise."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.statements: list[str] = []
        self.rows = 0

    def token(self, team: str = RED, role: str = "viewer") -> str:
        """A token that Airflow signed, for a user of `team`."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=team, role=role, teams=[team]))

    def get(self, path: str, token: str | None = "", **params: Any) -> httpx.Response:
        """An answer. `token` None: no token is sent; empty: one of the team `red`."""
        sent = self.token() if token == "" else token
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return self._send(path, headers, params)

    def get_with_cookie(self, path: str, token: str) -> httpx.Response:
        """As a frame in Airflow's UI asks."""
        return self._send(path, {"Cookie": f"_token={token}"}, {})

    def json(self, path: str, **params: Any) -> Any:
        """The JSON below `/api`."""
        answer = self.get(f"api/{path}", **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def html(self, path: str, **params: Any) -> str:
        """The page for people."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.text

    def _send(self, path: str, headers: dict[str, str], params: dict[str, Any]) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
                return await client.get(f"/load-history/{path}", headers=headers, params=params or None)

        return asyncio.run(ask())

    @contextmanager
    def counting(self) -> Iterator["Page"]:
        """Counts the statements that the database is sent, and the rows that it gives back."""
        from airflow import settings
        from sqlalchemy import event

        self.statements, self.rows = [], 0

        def sent(_: Any, __: Any, statement: str, *___: Any) -> None:
            self.statements.append(statement)

        engine = settings.engine
        event.listen(engine, "before_cursor_execute", sent)
        try:
            yield self
        finally:
            event.remove(engine, "before_cursor_execute", sent)


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    """The page, mounted as Airflow mounts it."""
    os.environ |= {
        "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-the-tests-of-this-machine-" * 2,
        "AIRFLOW__CORE__MULTI_TEAM": "True",
    }
    with warnings.catch_warnings():
        # Airflow's own, while it is imported and sets up its database.
        warnings.simplefilter("ignore")
        from airflow.api_fastapi.app import init_auth_manager
        from airflow.utils.db import initdb
        from fastapi import FastAPI

        import load_history_page.app  # noqa: F401
        from load_history import PREFIX, page

        initdb()
        app = FastAPI()
        init_auth_manager(app)
        app.mount(PREFIX, page)
    yield Page(app)
    for name in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__MULTI_TEAM"):
        os.environ.pop(name, None)


class Metadata:
    """What a test writes into Airflow's metadata, as Airflow does; `forget` removes it."""

    def __init__(self) -> None:
        from airflow import settings

        self.session = settings.Session()
        self._added: list[Any] = []

    def dag(self, dag_id: str, *resources: str, team: str = RED, task_id: str | None = None) -> None:
        """A DAG of `team`, with an asset for each resource. The task is called like its resource."""
        from airflow.models.asset import AssetModel, TaskOutletAssetReference
        from airflow.models.dag import DagModel
        from airflow.models.dagbundle import DagBundleModel
        from airflow.models.team import Team

        bundle = f"{dag_id}-bundle"
        owner = self.session.get(Team, team) or Team(name=team)
        with_team = DagBundleModel(name=bundle)
        with_team.teams = [owner]
        self._add(owner, with_team)
        self._add(DagModel(dag_id=dag_id, bundle_name=bundle, fileloc=f"{dag_id}.py"))
        for resource in resources:
            asset = AssetModel(
                name=f"{dag_id}.{resource}", uri=f"datasets://{dag_id}_raw/{resource}", group=dag_id, extra={}
            )
            self._add(asset)
            self._add(TaskOutletAssetReference(asset_id=asset.id, dag_id=dag_id, task_id=task_id or resource))

    def loads(self, dag_id: str, resource: str, *reports: dict[str, Any], run_id: str = "run") -> None:
        """An asset event for each report, a day apart."""
        from airflow.models.asset import AssetEvent

        asset_id = self._asset(dag_id, resource)
        self._add_all(
            [
                AssetEvent(
                    asset_id=asset_id,
                    extra=report,
                    source_dag_id=dag_id,
                    source_task_id=resource,
                    source_run_id=f"{run_id}-{number}",
                    timestamp=START + number * DAY,
                )
                for number, report in enumerate(reports)
            ]
        )

    def many_loads(self, dag_id: str, resource: str, number: int) -> None:
        """So many loads, an hour apart."""
        from airflow.models.asset import AssetEvent
        from sqlalchemy import insert

        asset_id = self._asset(dag_id, resource)
        rows = [
            {
                "asset_id": asset_id,
                "extra": report(one // 24),
                "source_dag_id": dag_id,
                "source_task_id": resource,
                "source_run_id": f"run-{one}",
                "timestamp": START + DAY + timedelta(hours=one),
            }
            for one in range(number)
        ]
        self.session.execute(insert(AssetEvent), rows)
        self.session.commit()

    def run(self, dag_id: str, task_id: str, state: str, run_id: str = "run", **columns: Any) -> None:
        """A run with one task; `columns` are those of the task instance."""
        from airflow.models.dag_version import DagVersion
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.types import DagRunTriggeredByType, DagRunType
        from sqlalchemy import insert

        version = DagVersion(dag_id=dag_id, version_number=uuid.uuid4().int % 10**6, bundle_name=f"{dag_id}-bundle")
        run = DagRun(
            dag_id=dag_id,
            run_id=run_id,
            run_type=columns.pop("run_type", DagRunType.MANUAL),
            run_after=START,
            logical_date=START if "data_interval" in columns else None,
            data_interval=columns.pop("data_interval", None),
            state=state if state in ("success", "failed") else "running",
            triggered_by=DagRunTriggeredByType.TEST,
        )
        self._add(version)
        self._add(run)
        values = {
            "id": uuid.uuid4(),
            "dag_id": dag_id,
            "task_id": task_id,
            "run_id": run_id,
            "map_index": -1,
            "try_number": 1,
            "state": state,
            "end_date": START,
            "pool": "default_pool",
            "pool_slots": 1,
            "dag_version_id": version.id,
            "span_status": "not_started",
            **columns,
        }
        # Not by its constructor, which wants a task.
        self.session.execute(insert(TaskInstance.__table__).values(**values))
        self.session.commit()

    def xcom(self, dag_id: str, task_id: str, key: str, value: Any, run_id: str = "run") -> None:
        """What a task returned, or pushed."""
        from airflow.models.dagrun import DagRun
        from airflow.models.xcom import XComModel
        from sqlalchemy import select

        found = self.session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
        self._add(
            XComModel(
                dag_run_id=found.id,
                dag_id=dag_id,
                run_id=run_id,
                task_id=task_id,
                map_index=-1,
                key=key,
                value=json.dumps(value),
            )
        )

    def forget(self) -> None:
        """Remove all, so that no other test sees it."""
        from airflow.models.asset import AssetEvent, AssetModel, TaskOutletAssetReference
        from airflow.models.dag import DagModel
        from airflow.models.dag_version import DagVersion
        from airflow.models.dagbundle import DagBundleModel
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.taskinstancehistory import TaskInstanceHistory
        from airflow.models.team import Team
        from airflow.models.xcom import XComModel
        from sqlalchemy import delete, text

        self.session.rollback()
        of_tests = (
            *(XComModel, TaskInstanceHistory, TaskInstance, DagRun, DagVersion),
            *(AssetEvent, TaskOutletAssetReference, AssetModel, DagModel),
        )
        for model in of_tests:
            self.session.execute(delete(model))
        self.session.execute(text("DELETE FROM dag_bundle_team"))
        for model in (DagBundleModel, Team):
            self.session.execute(delete(model))
        self.session.commit()
        self.session.close()

    def _asset(self, dag_id: str, resource: str) -> int:
        from airflow.models.asset import AssetModel
        from sqlalchemy import select

        return int(self.session.scalars(select(AssetModel.id).where(AssetModel.name == f"{dag_id}.{resource}")).one())

    def _add(self, *rows: Any) -> None:
        self._add_all(rows)

    def _add_all(self, rows: Sequence[Any]) -> None:
        self.session.add_all(rows)
        self.session.commit()


@pytest.fixture
def metadata(page: Page) -> Iterator[Metadata]:
    """Airflow's metadata, without a DAG."""
    made = Metadata()
    made.forget()
    yield made
    made.forget()


def report(number: int = 0, **values: Any) -> dict[str, Any]:
    """The extra of an asset event: the load of a day of January 2026 and later."""
    start = START + number * DAY
    return {
        "load_id": str(number),
        "status": "loaded",
        "sync_mode": "merge",
        "run_kind": "scheduled",
        "try_number": 1,
        "window_start": start.isoformat(),
        "window_end": (start + DAY).isoformat(),
        "started_at": (start + DAY).isoformat(),
        "finished_at": (start + DAY + timedelta(seconds=3)).isoformat(),
        "read_rows": 10 + number,
        "loaded_rows": 10 + number,
        "inserted_rows": 7,
        "updated_rows": 2,
        "unchanged_rows": 1,
        "requests": 5,
        "retries": 1,
        "seconds_reading": 2.0,
        "seconds_loading": 1.0,
        "seconds": 3.0,
        **values,
    }
