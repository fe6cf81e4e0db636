"""One family of an API's resources as an Airflow task, through dlt's Airflow helper. The only user of the helper; composes all rooms.

In: an API and the names of a family, at parse; Airflow's context, in the task. Out: the task, whose XCom is the report of the load.
`load_steps` is what the task does, from its first step to its last. Parsing a DAG touches no network, connection, variable or
secret.
"""

import functools
import logging
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout
from dlt.common.known_env import DLT_DATA_DIR, DLT_LOCAL_DIR
from dlt.helpers.airflow_helper import PipelineTasksGroup
from pydantic import JsonValue

from include.apis.api import Api
from include.errors import TransientError
from include.report.assets import event_extra, table_asset

if TYPE_CHECKING:
    # The REST source, the database drivers and pyarrow are imported in the task: a parse needs none of them.
    from dlt.extract import DltSource

    from include.configure.declaration import Declaration
    from include.configure.options import SourceOptions
    from include.decide.failure import ConnIds, LoadFailed
    from include.decide.run import AirflowRun
    from include.extract.read import ResourceRead
    from include.load.destination import OpenDestination
    from include.load.proof import LoadProof
    from include.report.history import LoadReport

    Reports = dict[str, LoadReport]
    LoadSteps = Generator[DltSource, None, Reports]

log = logging.getLogger(__name__)

TIME_LIMIT = (
    "The load did not end within the time limit of its task. Look in the log for what it waited for; if the API is slow, raise "
    "`execution_timeout` in the DAG."
)


def load_task(api: Api, family: Sequence[str], **operator_arguments: Any) -> PythonOperator:
    """The task that loads `family`, a resource or a parent and its children; `operator_arguments` go to Airflow's operator.

    For use in a `with DAG`. The task is called by the first of the family.
    """
    # The group registers itself with the DAG that it is made in: in one that nobody sees, no box is drawn around its one task.
    nowhere = DAG("nowhere", schedule=None, auto_register=False)
    # Before `dlt.pipeline`: the group decides where dlt keeps its files. What the task leaves on disk is needed until its
    # end and removed there, not half-way.
    group = PipelineTasksGroup(
        family[0], parent_group=nowhere.task_group, wipe_local_data=False, retry_pipeline_steps=("extract",)
    )
    pipeline = dlt.pipeline(family[0], dataset_name=api.destination_schema)
    task = _LoadTask(group, api, family, pipeline, Path(os.environ[DLT_DATA_DIR]))
    outlets = [table_asset(api, name) for name in family]
    operator: PythonOperator = group.run(
        pipeline,
        task.source,
        outlets=outlets,
        # The report is the XCom, and its line is in the log already.
        show_return_value_in_logs=False,
        **operator_arguments,
    )
    operator.python_callable = task.around(operator.python_callable)
    # dlt makes the folder at once; a parse leaves nothing behind, and the task makes it again.
    shutil.rmtree(task.working_folder, ignore_errors=True)
    return operator


def load_steps(api: Api, family: Sequence[str], pipeline: dlt.Pipeline, context: Any, failed: "Reports") -> "LoadSteps":
    """One load, in the order in which it happens. Where it yields the source, dlt extracts, normalizes and loads it.

    Whatever fails leaves by its own exception, what dlt meets too, which is to be thrown in here; locks and staging go with the block
    that holds them. `failed` then has the reports of the load, where it got so far that there is something to report.
    """
    from include.configure.api_connection import api_values
    from include.configure.declaration import read_declaration, with_parents
    from include.configure.lookup import look_up, look_up_first
    from include.configure.provider import register_connections
    from include.configure.resolution import options_of
    from include.decide.run import AirflowRun
    from include.decide.selection import selected
    from include.decide.sync_mode import SYNC_MODES
    from include.extract.resource import key_columns
    from include.extract.source import api_source
    from include.load.destination import open_destination
    from include.load.known_table import take_stored_schema
    from include.load.staging import staging
    from include.prove.reconciliation import loads_of, read_until, reconcile
    from include.report.announcement import announce
    from include.report.history import LoadReport, keep_report
    from include.report.progress import ProgressLog, opening

    run = AirflowRun.from_context(context)
    wanted = selected(api, family, run)
    values = api_values(look_up(api.conn_id))
    destination = open_destination(look_up_first(api.destination_conn_ids), run.name)
    register_connections(api, values, destination.values)
    declaration = read_declaration(api)
    needed = with_parents(declaration.resources, family)
    options = options_of(declaration, {"sync_mode": run.sync_mode} if run.sync_mode else None, needed)
    pipeline.destination = destination.dlt_destination
    for name in wanted:
        destination.check_mode(SYNC_MODES[options[name].sync_mode])
        destination.check_nested(options[name].nested)
    plans: dict[str, _Plan] = {}
    with (
        destination.lock(api.destination_schema),
        destination.kept_open(),
        staging(pipeline, destination.kind),
        _told_if_it_fails(api, plans, run, destination, pipeline, failed) as started_at,
    ):
        take_stored_schema(pipeline, api.name)
        plans |= _plans(declaration, options, wanted, run, destination, pipeline)
        destination.prove(plan.proof for plan in plans.values())
        reads = _reads(declaration, options, plans)
        pipeline.collector = ProgressLog(reads, [name for name in reads if declaration.resources[name].parent])
        source = api_source(declaration, reads, run.name)
        for name, plan in plans.items():
            table = f"{api.destination_schema}.{plan.proof.table}"
            log.info(opening(name, plan.read, plan.proof.source, table, destination.dlt_destination.destination_name))
            key = key_columns(options[name], source.schema)
            source.resources[name].apply_hints(**destination.hints(plan.read.mode, key, run.name))
        yield source
        load_ids = loads_of(pipeline)
        load_id = load_ids[-1] if load_ids else ""
        reports = {}
        for name, plan in plans.items():
            loaded_rows = reconcile(plan.proof, destination.dataset(pipeline, plan.proof.table), load_ids)
            plan.read.progress.notes.update(plan.proof.notes)
            if plan.proof.child_rows:
                plan.read.progress.notes["child_rows"] = plan.proof.child_rows
            reports[name] = LoadReport.of(
                *(name, run, plan.read, plan.proof.source, started_at, read_until(pipeline)),
                *(load_id, loaded_rows, destination.dlt_destination.destination_name),
                counts=plan.proof.report_counts,
            )
            announce(reports[name], plan.history)
            keep_report(reports[name], pipeline)
    for name, report in reports.items():
        context["outlet_events"][table_asset(api, name)].extra = event_extra(report)
    return reports


@contextmanager
def _told_if_it_fails(
    api: Api,
    plans: "Mapping[str, _Plan]",
    run: "AirflowRun",
    destination: "OpenDestination",
    pipeline: dlt.Pipeline,
    failed: "Reports",
) -> Iterator[datetime]:
    """Where the block fails: its reports, in the history and in `failed`, for what is planned by then. Gives the time when it begins."""
    started_at = datetime.now(UTC)
    try:
        yield started_at
    except (AirflowSkipException, AirflowFailException):
        raise
    except (Exception, AirflowTaskTimeout) as error:
        from include.decide.failure import failure_of
        from include.prove.reconciliation import read_until
        from include.redaction import redact_error
        from include.report.failed import failed_report, keep_failed
        from include.report.history import LoadReport

        redact_error(error)
        failure = failure_of(_in_time(error), _conn_ids(api))
        for name, plan in plans.items():
            report = LoadReport.of(
                *(name, run, plan.read, plan.proof.source, started_at, read_until(pipeline)),
                *("", 0, destination.dlt_destination.destination_name),
                counts={},
            )
            failed[name] = failed_report(failure, report)
        keep_failed(failed.values(), pipeline)
        raise


@dataclass(frozen=True)
class _Plan:
    """What is to be loaded of one resource, what has to be proven of it, and what earlier loads say."""

    read: "ResourceRead"
    proof: "LoadProof"
    history: "Sequence[LoadReport]"


def _plans(
    declaration: "Declaration",
    options: "Mapping[str, SourceOptions]",
    wanted: Sequence[str],
    run: "AirflowRun",
    destination: "OpenDestination",
    pipeline: dlt.Pipeline,
) -> dict[str, _Plan]:
    """The plan of each wanted resource. Raises as `plan_window` does; AirflowSkipException where none has anything to load."""
    plans, skipped = {}, []
    for name in wanted:
        try:
            plans[name] = _plan(declaration, name, options[name], run, destination, pipeline)
        except AirflowSkipException as nothing:
            log.info("%s: %s", name, nothing)
            skipped.append(str(nothing))
    if not plans:
        raise AirflowSkipException(" ".join(dict.fromkeys(skipped)))
    return plans


def _plan(
    declaration: "Declaration",
    name: str,
    options: "SourceOptions",
    run: "AirflowRun",
    destination: "OpenDestination",
    pipeline: dlt.Pipeline,
) -> _Plan:
    from dlt.common.schema import Schema

    from include.decide.deletes import delete_rule
    from include.decide.plan import plan_window
    from include.decide.sync_mode import SYNC_MODES
    from include.extract.read import ResourceRead
    from include.extract.resource import fields, key_columns, table_of
    from include.extract.source import name_of_source
    from include.load.known_table import is_gone, known_table
    from include.load.proof import LoadProof
    from include.report.history import read_reports

    mode, table = SYNC_MODES[options.sync_mode], table_of(declaration.resources[name])
    schema = Schema(declaration.api.name)
    table = schema.naming.normalize_table_identifier(table)
    destination.check_table(mode, known_table(pipeline, table))
    history = read_reports(pipeline, name)
    if any(report.loaded_rows for report in history) and is_gone(pipeline, table):
        # A table that is made again has nothing of what was loaded before.
        history = []
    source_name = name_of_source(options, declaration.resources[name].endpoint.get("json"))
    window = plan_window(options, mode, run, history, source_name)
    read = ResourceRead(options, mode, window)
    proof = LoadProof(
        *(table, mode, source_name, options.cursor_path, read.progress),
        keys=tuple(key_columns(options, schema)),
        noise=fields(options.ignored_paths),
        rule=delete_rule(options, run, window, history, source_name),
    )
    return _Plan(read, proof, history)


def _reads(
    declaration: "Declaration", options: "Mapping[str, SourceOptions]", plans: Mapping[str, _Plan]
) -> "dict[str, ResourceRead]":
    """What is to be read, parents first: those of a child are read whether they are loaded or not."""
    from include.configure.declaration import with_parents
    from include.extract.read import ResourceRead

    needed = with_parents(declaration.resources, plans)
    return {
        name: plans[name].read if name in plans else ResourceRead(options[name], is_loaded=False)
        for name in declaration.resources
        if name in needed
    }


def _conn_ids(api: Api) -> "ConnIds":
    from include.decide.failure import ConnIds

    return ConnIds(api.conn_id, " or ".join(api.destination_conn_ids))


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
        self,
        group: PipelineTasksGroup,
        api: Api,
        family: Sequence[str],
        pipeline: dlt.Pipeline,
        working_folder: Path,
    ) -> None:
        self._group = group
        self._api = api
        self._family = family
        self._pipeline = pipeline
        self._steps: LoadSteps | None = None
        self._failed: Reports = {}
        self.working_folder = working_folder

    def source(self) -> "DltSource":
        """The helper's `data`: all steps up to the source."""
        from include.extract.completeness import PASSES

        # The helper reads this when it runs the pipeline, which is next: a collection that moves is read again at once.
        self._group.retry_policy = PASSES
        self._steps = load_steps(self._api, self._family, self._pipeline, get_current_context(), self._failed)
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
            # A process may run the task more than once.
            self._steps, self._failed = None, {}
            failure: LoadFailed
            try:
                return self._load(run_helper)
            except (AirflowSkipException, AirflowFailException) as decided:
                redact_error(decided)
                raise
            except (Exception, AirflowTaskTimeout, Terminated) as error:
                redact_error(error)
                log.debug("What ended the load, with all that caused it:", exc_info=error)
                failure = failure_of(_in_time(error), _conn_ids(self._api))
            except BaseException as interruption:
                redact_error(interruption)
                raise
            # Not in the handler: what failed would be the context of what is raised.
            self._tell(failure)
            log.error("%s", failure)
            raise failure

        return load_resource

    def _load(self, run_helper: Callable[[], None]) -> dict[str, Any]:
        from include.load.termination import terminable
        from include.load.working_folder import for_the_owner_alone, remove, working_folder

        folder = self.working_folder
        # Each task of the file has had one made for it, and the last one counts.
        os.environ[DLT_DATA_DIR] = os.environ[DLT_LOCAL_DIR] = str(folder)
        with for_the_owner_alone(), terminable(lambda: remove(folder)) as termination, working_folder(folder):
            try:
                # What the parse removed; the helper expects it.
                self._pipeline.drop()
                run_helper()
                reports = self._finish()
                return self._as_xcom({name: event_extra(report) for name, report in reports.items()})
            except (Exception, AirflowTaskTimeout) as error:
                if self._steps is not None:
                    # It raises the same again, as each generator does that has ended.
                    self._steps.throw(error)
                raise
            finally:
                termination.hold_back()
                if self._steps is not None:
                    self._steps.close()

    def _finish(self) -> "Reports":
        assert self._steps is not None
        try:
            next(self._steps)
        except StopIteration as end:
            reports: Reports = end.value
            return reports
        raise AssertionError("a load has one source")

    def _as_xcom(self, facts: dict[str, dict[str, JsonValue]]) -> dict[str, Any]:
        return facts if len(self._family) > 1 else next(iter(facts.values()))

    def _tell(self, failure: "LoadFailed") -> None:
        """What is known of the load, as an XCom of this try. It does not fail for that."""
        from include.report.failed import XCOM_KEY, failed_facts

        reports = {name: event_extra(report) for name, report in self._failed.items()}
        facts = reports or {name: failed_facts(failure, name) for name in self._family}
        try:
            get_current_context()["ti"].xcom_push(XCOM_KEY, self._as_xcom(facts))
        except Exception:
            log.debug("What is known of the failed load could not be given to Airflow.", exc_info=True)
