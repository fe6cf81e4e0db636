"""One catalogue entry as an Airflow task, through dlt's Airflow helper. The only user of the helper.

In: a resource, at parse; Airflow's context, in the task. Out: the task. What the task does, in order: connections ->
options -> window -> source -> `pipeline.run` -> reconciliation -> load report -> asset event. Parsing a DAG
touches no network, connection, variable or secret: all of that waits for `ResourceLoad`, in the task.
"""

import functools
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import get_current_context
from dlt.common.known_env import DLT_DATA_DIR
from dlt.helpers.airflow_helper import PipelineTasksGroup

from include.apis.datasets import Resource
from include.decide.run_plan import AirflowRun, plan_window
from include.report.assets import DATASET_NAME, event_extra, table_asset

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    # The REST source, the database drivers and pyarrow are imported in the task: a parse needs none of them.
    from dlt.extract import DltSource

    from include.configure.options import SourceOptions
    from include.report.history import LoadReport


def load_task(resource: Resource, **operator_arguments: Any) -> PythonOperator:
    """The task that loads `resource`; `operator_arguments` go to Airflow's operator. For use in a `with DAG`."""
    # Before `dlt.pipeline`: the group decides where dlt keeps its files.
    # What the task leaves on disk is needed until its end and removed there (`whole`), not half-way.
    group = PipelineTasksGroup(resource.name, wipe_local_data=False)
    pipeline = dlt.pipeline(resource.name, dataset_name=DATASET_NAME)
    working_folder = Path(os.environ[DLT_DATA_DIR])
    load = ResourceLoad(resource, pipeline, working_folder)
    (operator,) = group.add_run(
        pipeline,
        load.source,
        on_before_run=load.prepare,
        outlets=[table_asset(resource)],
        **operator_arguments,
    )
    assert isinstance(operator, PythonOperator)
    operator.python_callable = load.whole(operator.python_callable)
    # dlt makes the folder at once; a parse leaves nothing behind, and the task makes it again.
    shutil.rmtree(working_folder, ignore_errors=True)
    return operator


class ResourceLoad:
    """One load of one resource, from the connections to the asset event. Lives in the process of one task."""

    def __init__(self, resource: Resource, pipeline: dlt.Pipeline, working_folder: Path) -> None:
        self._resource = resource
        self._pipeline = pipeline
        self._working_folder = working_folder
        self._held = ExitStack()

    def whole(self, run_helper: Callable[[], None]) -> Callable[[], dict[str, Any] | None]:
        """`run_helper`, dlt's part of the task, with what comes before and after it; the task's XCom is the report.

        Whatever it raises is free of secrets, and whatever it made for itself is removed.
        """

        @functools.wraps(run_helper, assigned=("__doc__",))
        def load_resource() -> dict[str, Any] | None:
            from include.redaction import redact_error, redact_log_records

            redact_log_records()
            try:
                with self._held:
                    self._held.callback(shutil.rmtree, self._working_folder, ignore_errors=True)
                    # The folder that the parse removed; the helper expects it.
                    self._pipeline.drop()
                    run_helper()
                    return event_extra(self._finish())
            except BaseException as error:
                redact_error(error)
                raise

        return load_resource

    def prepare(self) -> None:
        """The helper's `on_before_run`: dlt learns of the connections, the destination and this run's turn."""
        from include.configure.api_connection import api_values
        from include.configure.connections import API_CONN_ID, DESTINATION_CONN_ID, look_up
        from include.configure.options import resolve_options
        from include.configure.provider import register_connections
        from include.decide.sync_mode import SYNC_MODES
        from include.load.destination import open_destination
        from include.load.known_table import forget_keys
        from include.load.staging import staging

        context = get_current_context()
        self._run = AirflowRun.of(context)
        api = api_values(look_up(API_CONN_ID))
        destination = self._destination = open_destination(look_up(DESTINATION_CONN_ID), self._run.name)
        register_connections(api, destination.values)
        sync_mode = context["params"].get("sync_mode")
        self._options: SourceOptions = resolve_options(self._resource, {"sync_mode": sync_mode} if sync_mode else None)
        self._mode = SYNC_MODES[self._options.sync_mode]
        self._pipeline.destination = destination.dlt_destination
        destination.check_mode(self._mode)
        destination.check_nested(self._options.nested)
        self._held.enter_context(destination.lock(self._pipeline.dataset_name))
        self._held.enter_context(destination.kept_open())
        self._held.enter_context(staging(self._pipeline, destination.kind))
        # Brings the table's schema, which `run` would bring anyway, before anything is decided from it.
        self._pipeline.sync_destination()
        if self._pipeline.default_schema_name:
            table = self._pipeline.default_schema.tables.get(self._resource.name)
            destination.check_table(self._mode, table)
            if table is not None:
                forget_keys(table)
        self._started_at = datetime.now(UTC)

    def source(self) -> "DltSource":
        """The helper's `data`: built in the task, when options and window are known."""
        from include.extract.completeness import ReadProgress
        from include.extract.source import api_source
        from include.report.history import read_reports

        history = read_reports(self._pipeline, self._resource.name)
        self._window = plan_window(self._options, self._mode, self._run, history)
        self._progress = ReadProgress()
        source = api_source(self._resource, self._options, self._mode, self._window, self._run.name, self._progress)
        hints = self._destination.hints(self._mode, self._options.primary_key, self._run.name)
        source.resources[self._resource.name].apply_hints(**hints)
        return source

    def _finish(self) -> "LoadReport":
        from include.prove.reconciliation import reconcile
        from include.report.history import LoadReport, write_report

        pipeline, progress, window, run = self._pipeline, self._progress, self._window, self._run
        load_ids = loads_of(pipeline)
        dataset = self._destination.dataset(pipeline, self._resource.name)
        loaded_rows = reconcile(dataset, self._resource.name, self._options.primary_key, self._mode, load_ids, progress)
        finished_at = datetime.now(UTC)
        report = LoadReport(
            resource=self._resource.name,
            load_id=load_ids[-1] if load_ids else "",
            dag_id=run.dag_id,
            run_id=run.run_id,
            run_kind=run.kind,
            try_number=run.try_number,
            sync_mode=self._mode.name,
            window_start=window.start if window else None,
            window_end=window.end if window else None,
            started_at=self._started_at,
            finished_at=finished_at,
            seconds=round((finished_at - self._started_at).total_seconds(), 3),
            pages=progress.pages,
            passes=progress.passes,
            promised_rows=progress.promised_rows,
            read_rows=progress.rows,
            loaded_rows=loaded_rows,
            destination=pipeline.destination.destination_name,
        )
        log.info(report.summary())
        try:
            write_report(report, pipeline)
        except Exception:
            # The data is loaded and checked: history may have a gap, a good load may not fail for it.
            log.exception("The load is complete, but its report could not be written into the history table.")
        get_current_context()["outlet_events"][table_asset(self._resource)].extra = event_extra(report)
        return report


def loads_of(pipeline: dlt.Pipeline) -> list[str]:
    """The ids of the loads of the last run; none, where there was nothing to load."""
    load_info = pipeline.last_trace.last_load_info if pipeline.last_trace else None
    return list(load_info.loads_ids) if load_info else []
