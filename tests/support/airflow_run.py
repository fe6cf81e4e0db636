"""Airflow in this process: its metadata database, the DAG `datasets`, and runs as a scheduler starts them.

In: what kind of run, its data interval, the form's values. Out: an `Outcome` with the states, the errors,
what Airflow was told, and the log as it leaves the task's process, before Airflow masks anything in it.

    airflow = StartedAirflow()                     # once per process: 15 s
    outcome = airflow.run(sync_mode="replace")     # "Trigger" in the UI
    airflow.run("backfill", day(3))                # one run of `airflow backfill create`
    airflow.run_again(outcome)                     # "Clear" in the UI
"""

import importlib.util
import io
import itertools
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

PROJECT = Path(__file__).parents[2]
DAGS = PROJECT / "dags"
Interval = tuple[datetime, datetime]

_numbers = itertools.count()


def day(number: int) -> Interval:
    """The data interval of a day of January 2026."""
    start = datetime(2026, 1, number, tzinfo=UTC)
    return start, start + timedelta(days=1)


@dataclass(frozen=True)
class Try:
    """One try of the task. `message` is what the task tells Airflow: RetryTask, TaskState, …"""

    state: str
    error: BaseException | None
    message: Any


@dataclass(frozen=True)
class Outcome:
    """One run. `xcom` is what the task returned, or told of its failure; `assets` are the extras of the asset events.

    `waits_seconds` is how long Airflow would have waited before each retry; here it does not.
    """

    run_id: str
    state: str
    tries: tuple[Try, ...]
    waits_seconds: tuple[float, ...]
    log: str
    xcom: Any
    assets: tuple[dict[str, Any], ...]

    @property
    def task_state(self) -> str:
        """Where the task ended."""
        return self.tries[-1].state

    @property
    def error(self) -> BaseException:
        """Why the last try failed."""
        assert self.tries[-1].error is not None, f"the run ended as {self.state}"
        return self.tries[-1].error

    @property
    def reason(self) -> str:
        """The sentence of the innermost cause, as a traceback shows it."""
        error = self.error
        while (cause := _cause(error)) is not None:
            error = cause
        return str(error)


def load_dag(folder: Path = DAGS, file: str = "datasets.py") -> Any:
    """The DAG, parsed anew in the environment of this moment, and with `folder` as Airflow's folder of DAGs."""
    name = f"dag_file_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, folder / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with only_our_warnings(), environment_kept():
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(folder)
        spec.loader.exec_module(module)
    return module.dag


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class StartedAirflow:
    """Airflow with a migrated metadata database and the DAG imported. One per process."""

    def __init__(self) -> None:
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
        # Imported here: the settings above and those of `conftest` are read when Airflow is imported.
        with only_our_warnings():
            from airflow import settings
            from airflow.utils.db import initdb

            # Another test may have imported Airflow before.
            settings.configure_vars()
            initdb()
        self.home = Path(os.environ["AIRFLOW_HOME"])
        self.dag = load_dag()

    def run(
        self,
        kind: Literal["manual", "scheduled", "backfill"] = "manual",
        interval: Interval | None = None,
        *,
        dag: Any = None,
        meanwhile: Callable[[], object] | None = None,
        **params: Any,
    ) -> Outcome:
        """One run from its creation to its end. `meanwhile` is called when it is queued and has not begun.

        Without an interval it has no logical date, as a run that is triggered in the UI or over the REST API.
        """
        conf = {"sync_mode": None, "window_start": None, "window_end": None} | params

        def create(*, dag: Any, session: Any, **_: object) -> Any:
            from airflow.sdk import DagRunState
            from airflow.utils.types import DagRunTriggeredByType, DagRunType

            number, now = next(_numbers), datetime.now(UTC)
            run = dag.create_dagrun(
                run_id=f"{kind}__{number}",
                logical_date=interval and interval[0] + timedelta(microseconds=number),
                data_interval=interval,
                run_after=now,
                start_date=now,
                conf=conf,
                run_type=DagRunType(kind),
                state=DagRunState.RUNNING,
                triggered_by=DagRunTriggeredByType.TEST,
                session=session,
            )
            session.commit()
            if meanwhile is not None:
                meanwhile()
            return run

        return self._execute(create, dag or self.dag, conf)

    def run_again(self, outcome: Outcome) -> Outcome:
        """The same run, cleared and executed once more."""

        def clear(*, dag: Any, session: Any, **_: object) -> Any:
            from airflow.models.dagrun import DagRun
            from airflow.models.taskinstance import clear_task_instances
            from airflow.sdk import DagRunState
            from sqlalchemy import select

            run = session.scalar(select(DagRun).where(DagRun.run_id == outcome.run_id))
            clear_task_instances(run.get_task_instances(session=session), session, DagRunState.RUNNING)
            session.commit()
            run.dag = dag
            return run

        return self._execute(clear, self.dag, None)

    def _execute(self, run_of: Callable[..., Any], dag: Any, conf: Mapping[str, Any] | None) -> Outcome:
        from airflow.models.taskinstance import TaskInstance
        from airflow.sdk.execution_time import supervisor

        next_retry_at = TaskInstance.next_retry_datetime
        waits: dict[int, float] = {}

        def at_once(instance: Any) -> datetime:
            waits[instance.try_number] = (next_retry_at(instance) - instance.end_date).total_seconds()
            return datetime(1970, 1, 1, tzinfo=UTC)

        run_task = supervisor.run_task_in_process
        tries: list[Try] = []

        def recorded(*args: Any, **kwargs: Any) -> Any:
            result = run_task(*args, **kwargs)
            tries.append(Try(str(result.state.value), result.error, result.msg))
            return result

        log = io.StringIO()
        with (
            only_our_warnings(),
            environment_kept(),
            _logging_into(log),
            # `DAG.test` creates manual runs with an interval of its own only.
            patch("airflow.models.dagrun.get_or_create_dagrun", run_of),
            patch.object(supervisor, "run_task_in_process", recorded),
            patch.object(TaskInstance, "next_retry_datetime", at_once),
        ):
            # It clears what it finds at the logical date: there is nothing.
            run = dag.test(run_conf=conf, logical_date=datetime(1970, 1, 1, tzinfo=UTC))
        xcom, assets = _results(run.run_id)
        state = str(run.state.value)
        return Outcome(run.run_id, state, tuple(tries), tuple(waits.values()), log.getvalue(), xcom, assets)


def _results(run_id: str) -> tuple[Any, tuple[dict[str, Any], ...]]:
    from airflow.models.asset import AssetEvent
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        told = XComModel.key.in_(["return_value", "load_report"])
        found = session.scalar(select(XComModel).where(XComModel.run_id == run_id, told))
        value = found and XComModel.deserialize_value(found)
        extras = session.scalars(select(AssetEvent.extra).where(AssetEvent.source_run_id == run_id))
        return value, tuple(extras)


@contextmanager
def only_our_warnings() -> Iterator[None]:
    """Airflow warns of its own libraries, in dozens; what this project does is an error, as everywhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", module=r"include\.|dag_file_")
        yield


@contextmanager
def environment_kept() -> Iterator[None]:
    """A parse sets dlt's folders in the environment; afterwards everything is as it was."""
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    environment = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        Container()[PluggableRunContext].reload_providers()


@contextmanager
def _logging_into(stream: io.StringIO) -> Iterator[None]:
    """What the task logs, through `logging` and through structlog, with tracebacks."""
    import structlog

    root, before = logging.getLogger(), structlog.get_config()
    handler = logging.StreamHandler(stream)
    handlers, root.handlers = root.handlers, [handler]
    level = root.level
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(_plain, default=str),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
        root.setLevel(level)
        root.handlers = handlers


def _plain(event: Mapping[str, Any], **kwargs: Any) -> str:
    return json.dumps(event, **kwargs).replace("\\n", "\n")
