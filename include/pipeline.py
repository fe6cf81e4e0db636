"""One catalogue entry as an Airflow task, through dlt's Airflow helper. The only user of the helper; composes all rooms.

In: a resource, at parse; Airflow's context, in the task. Out: the task, whose XCom is the load's report. `load_steps` is what
the task does, from its first step to its last. Parsing a DAG touches no network, connection, variable or secret.
"""

import functools
import logging
import os
import shutil
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from dlt.common.known_env import DLT_DATA_DIR
from dlt.helpers.airflow_helper import PipelineTasksGroup

from include.apis.datasets import Resource
from include.apis.names import API_CONN_ID, DESTINATION_CONN_ID, DESTINATION_SCHEMA
from include.errors import TransientError
from include.report.assets import event_extra, table_asset

if TYPE_CHECKING:
    # The REST source, the database drivers and pyarrow are imported in the task: a parse needs none of them.
    from dlt.extract import DltSource

    from include.report.history import LoadReport

    LoadSteps = Generator[DltSource, None, LoadReport]

log = logging.getLogger(__name__)

TIME_LIMIT = (
    "The load did not end within the time limit of its task. Look in the log for what it waited for; if the API is slow, raise "
    "`execution_timeout` in the DAG."
)


def load_task(resource: Resource, **operator_arguments: Any) -> PythonOperator:
    """The task that loads `resource`; `operator_arguments` go to Airflow's operator. For use in a `with DAG`."""
    # Before `dlt.pipeline`: the group decides where dlt keeps its files. What the task leaves on disk is needed until its
    # end and removed there, not half-way.
    group = PipelineTasksGroup(resource.name, wipe_local_data=False, retry_pipeline_steps=("extract",))
    pipeline = dlt.pipeline(resource.name, dataset_name=DESTINATION_SCHEMA)
    task = _LoadTask(group, resource, pipeline, Path(os.environ[DLT_DATA_DIR]))
    (operator,) = group.add_run(pipeline, task.source, outlets=[table_asset(resource)], **operator_arguments)
    assert isinstance(operator, PythonOperator)
    operator.python_callable = task.around(operator.python_callable)
    # dlt makes the folder at once; a parse leaves nothing behind, and the task makes it again.
    shutil.rmtree(task.working_folder, ignore_errors=True)
    return operator


def load_steps(resource: Resource, pipeline: dlt.Pipeline, context: Any) -> "LoadSteps":
    """One load, in the order in which it happens. Where it yields the source, dlt extracts, normalizes and loads it.

    Whatever fails leaves by its own exception; locks and staging go with the block that holds them.
    """
    from include.configure.api_connection import api_values
    from include.configure.lookup import look_up
    from include.configure.options import resolve_options
    from include.configure.provider import register_connections
    from include.decide.plan import plan_window
    from include.decide.run import AirflowRun
    from include.decide.sync_mode import SYNC_MODES
    from include.extract.completeness import ReadProgress
    from include.extract.source import api_source, key_columns, name_of_source
    from include.load.destination import open_destination
    from include.load.known_table import is_gone, known_table
    from include.load.proof import LoadProof
    from include.load.staging import staging
    from include.prove.reconciliation import loads_of, reconcile
    from include.report.announcement import announce
    from include.report.history import LoadReport, keep_report, read_reports

    run = AirflowRun.from_context(context)
    api = api_values(look_up(API_CONN_ID))
    destination = open_destination(look_up(DESTINATION_CONN_ID), run.name)
    register_connections(api, destination.values)
    options = resolve_options(resource, {"sync_mode": run.sync_mode} if run.sync_mode else None)
    mode = SYNC_MODES[options.sync_mode]
    pipeline.destination = destination.dlt_destination
    destination.check_mode(mode)
    destination.check_nested(options.nested)
    with destination.lock(DESTINATION_SCHEMA), destination.kept_open(), staging(pipeline, destination.kind):
        destination.check_table(mode, known_table(pipeline, resource.name))
        history = read_reports(pipeline, resource.name)
        if any(report.loaded_rows for report in history) and is_gone(pipeline, resource.name):
            # A table that is made again has nothing of what was loaded before.
            history = []
        source_name = name_of_source(options)
        window = plan_window(options, mode, run, history, source_name)
        progress, started_at = ReadProgress(), datetime.now(UTC)
        proof = LoadProof(resource.name, mode, source_name, options.cursor_path, progress)
        destination.prove(proof)
        source = api_source(resource, options, mode, window, run.name, progress)
        source.resources[resource.name].apply_hints(
            **destination.hints(mode, key_columns(options, source.schema), run.name)
        )
        yield source
        load_ids = loads_of(pipeline)
        dataset = destination.dataset(pipeline, resource.name)
        loaded_rows = reconcile(proof, dataset, load_ids)
        progress.notes.update(proof.notes)
        load_id = load_ids[-1] if load_ids else ""
        destination_name = destination.dlt_destination.destination_name
        report = LoadReport.of(
            resource.name, run, mode, window, progress, source_name, started_at, load_id, loaded_rows, destination_name
        )
        announce(report, history)
        keep_report(report, pipeline)
    context["outlet_events"][table_asset(resource)].extra = event_extra(report)
    return report


def _in_time(error: BaseException) -> BaseException:
    """What ended a load, where somebody outside did, as a failure of the project."""
    from include.load.termination import Terminated

    match error:
        case AirflowTaskTimeout():
            return TransientError(TIME_LIMIT)
        case Terminated():
            return TransientError(str(error))
    return error


class _LoadTask:
    """The steps of one load around dlt's helper. Lives in the process of one task."""

    def __init__(
        self, group: PipelineTasksGroup, resource: Resource, pipeline: dlt.Pipeline, working_folder: Path
    ) -> None:
        self._group = group
        self._resource = resource
        self._pipeline = pipeline
        self._steps: LoadSteps | None = None
        self.working_folder = working_folder

    def source(self) -> "DltSource":
        """The helper's `data`: all steps up to the source."""
        from include.extract.completeness import PASSES

        # The helper reads this when it runs the pipeline, which is next: a collection that moves is read again at once.
        self._group.retry_policy = PASSES
        self._steps = load_steps(self._resource, self._pipeline, get_current_context())
        return next(self._steps)

    def around(self, run_helper: Callable[[], None]) -> Callable[[], dict[str, Any]]:
        """`run_helper`, dlt's part of the task, with the steps after it; the task's XCom is the report.

        Raises `LoadFailed` for whatever fails, as the last thing that happens and without its causes, whose frames would
        bury the sentence; a skip as it is. None of it holds a secret, and whatever the task made for itself is removed.
        """

        @functools.wraps(run_helper, assigned=("__doc__",))
        def load_resource() -> dict[str, Any]:
            from include.decide.failure import LoadFailed, failure_of
            from include.load.termination import Terminated
            from include.redaction import redact_error, redact_log_records

            redact_log_records()
            failure: LoadFailed
            try:
                return self._load(run_helper)
            except (AirflowSkipException, AirflowFailException) as decided:
                redact_error(decided)
                raise
            except (Exception, AirflowTaskTimeout, Terminated) as error:
                redact_error(error)
                log.debug("What ended the load, with all that caused it:", exc_info=error)
                failure = failure_of(_in_time(error))
            except BaseException as interruption:
                redact_error(interruption)
                raise
            # Not in the handler: what failed would be the context of what is raised.
            log.error("%s", failure)
            raise failure

        return load_resource

    def _load(self, run_helper: Callable[[], None]) -> dict[str, Any]:
        from include.load.termination import terminable
        from include.load.working_folder import for_the_owner_alone, remove, working_folder

        folder = self.working_folder
        with for_the_owner_alone(), terminable(lambda: remove(folder)) as termination, working_folder(folder):
            try:
                # What the parse removed; the helper expects it.
                self._pipeline.drop()
                run_helper()
                return event_extra(self._finish())
            finally:
                termination.hold_back()
                if self._steps is not None:
                    self._steps.close()

    def _finish(self) -> "LoadReport":
        assert self._steps is not None
        try:
            next(self._steps)
        except StopIteration as end:
            report: LoadReport = end.value
            return report
        raise AssertionError("a load has one source")
