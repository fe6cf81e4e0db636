"""Loads the datasets API into the table `datasets_raw.datasets`, every day, on demand, and for any past window.

**Before the first run** add the connection `datasets_api` (type HTTP): host = the API's address, password = the
API key. Add `datasets_destination` for your warehouse; without it the rows go to a DuckDB file in `data/`.

**When it fails**, the last error in the task's log says what happened and what to do. Failures that a retry cannot mend
(a wrong key, a wrong address, an answer of the wrong shape) end at once; the others are tried again, with growing
delays. A failed run leaves the table as it was, and running it twice changes nothing.

**What was loaded** is in the table `datasets_raw._load_reports`, one row per load, and in the events of the asset.
"""

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from include.apis.datasets import RESOURCES
from include.configure.settings import read_settings
from include.decide.retry_policy import CausalRetryPolicy
from include.pipeline import load_task

settings = read_settings()

with DAG(
    dag_id="datasets",
    # Not "@daily": its runs have a data interval of zero width, and a window taken from it holds no rows.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["dlt", "rest-api", "ingest"],
    default_args={"owner": "data-engineering"},
    params={
        "sync_mode": Param(
            None,
            type=["null", "string"],
            pattern="^(merge|replace|append|scd2)$",
            # Not `enum`: it would have to hold null, and the form would offer the word.
            examples=["merge", "replace", "append", "scd2"],
            title="Sync mode",
            description="Empty: as this deployment is set up (`merge`, unless the option `sync_mode` says otherwise).",
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
    },
) as dag:
    for resource in RESOURCES:
        load_task(
            resource,
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
        )
