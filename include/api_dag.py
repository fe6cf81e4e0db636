"""The DAG of an API: one task for each of its resources, and a form for a manual run.

In: an API of the catalogue, and what its DAG file says of schedule and params. Out: Airflow's DAG. Parsing touches nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from include.apis.api import Api
from include.configure.settings import read_settings
from include.decide.retry_policy import CausalRetryPolicy
from include.pipeline import load_task
from include.report.alerts import tell_of_failure, tell_of_success

MODES = ["merge", "replace", "append", "scd2"]


def api_dag(
    api: Api,
    *,
    cron: str = "0 0 * * *",
    timezone: str = "UTC",
    start_date: datetime | None = None,
    doc_md: str | None = None,
    tags: tuple[str, ...] = (),
    params: Mapping[str, Param] | None = None,
    **dag_arguments: Any,
) -> DAG:
    """The DAG `api.name`. `cron` in `timezone`: a run loads the interval that ends when it is due.

    `start_date` None: 1 January 2026, UTC. `params` are added to those of the form; `dag_arguments` go to Airflow's DAG.
    """
    settings = read_settings()
    arguments: dict[str, Any] = {
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {"owner": "data-engineering"},
        **dag_arguments,
    }
    with DAG(
        dag_id=api.name,
        # Not a cron text or "@daily": their runs have a data interval of zero width, and a window taken from it holds no rows.
        schedule=CronDataIntervalTimetable(cron, timezone=timezone),
        start_date=start_date or pendulum.datetime(2026, 1, 1, tz="UTC"),
        doc_md=doc_md,
        tags=["dlt", "rest-api", "ingest", *tags],
        params={**form(api), **(params or {})},
        **arguments,
    ) as dag:
        for family in api.families:
            load_task(
                api,
                family,
                # A task in a pool that does not exist never starts: a pool is used only where the deployment names one.
                pool=settings.pool,
                pool_slots=settings.pool_slots,
                # Over all runs, backfills too: for a destination that takes one writer and cannot make the others wait.
                max_active_tis_per_dag=settings.task_max_active or None,
                retries=settings.task_retries,
                retry_delay=timedelta(seconds=settings.task_retry_delay_seconds),
                retry_exponential_backoff=2.0,
                max_retry_delay=timedelta(hours=1),
                retry_policy=CausalRetryPolicy(),
                execution_timeout=timedelta(hours=6),
                # Beside those of the DAG file, which stand in its `default_args`.
                on_failure_callback=[
                    partial(tell_of_failure, api.alert_conn_ids),
                    *_callbacks(dag, "on_failure_callback"),
                ],
                on_success_callback=[
                    partial(tell_of_success, api.alert_conn_ids),
                    *_callbacks(dag, "on_success_callback"),
                ],
            )
    return dag


def _callbacks(dag: DAG, kind: str) -> list[Any]:
    own = dag.default_args.get(kind) or []
    return list(own) if isinstance(own, list | tuple) else [own]


def form(api: Api) -> dict[str, Param]:
    """What a manual run may ask for; nothing is asked for by default."""
    params = {
        "sync_mode": Param(
            None,
            type=["null", "string"],
            pattern="^(merge|replace|append|scd2)$",
            # Not `enum`: it would have to hold null, and the form would offer the word.
            examples=MODES,
            title="Sync mode",
            description="Empty: as this deployment is set up (the declaration's, unless the option `sync_mode` says otherwise).",
        ),
        "window_start": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Window start",
            description="Load records changed at or after this instant. Give both ends, or none: what is not loaded yet.",
        ),
        "window_end": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Window end",
            description="Load records changed before this instant.",
        ),
        "allow_deletes": Param(
            False,
            type="boolean",
            title="Allow deletes",
            description="Let this run mark or remove more of a table than the option `max_delete_share` allows.",
        ),
    }
    names = list(api.resource_names)
    if len(names) > 1:
        params["resources"] = Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            examples=names,
            title="Resources",
            description="Load only these. Empty: all.",
        )
    return params
