"""A DAG of dlt as it comes, through dlt's own helper: URL and destination are in the environment."""

import os

import pendulum
from airflow.sdk import DAG
from dlt.helpers.airflow_helper import PipelineTasksGroup

from benchmarks.contenders.dlt_as_it_comes import pipeline, source

with DAG("dlt_as_it_comes", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    # Before the pipeline: the group decides where dlt keeps its files.
    group = PipelineTasksGroup("datasets", use_data_folder=False, wipe_local_data=True)
    group.add_run(pipeline(os.environ["BENCH_DESTINATION"]), source(os.environ["BENCH_URL"]), decompose="none")
