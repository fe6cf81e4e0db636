"""A DAG of dlt as it comes, through dlt's own helper: URL and destination are in the environment."""

import os

import dlt
import pendulum
from airflow.sdk import DAG
from dlt.helpers.airflow_helper import PipelineTasksGroup
from dlt.sources.rest_api import rest_api_source

with DAG("dlt_as_it_comes", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    group = PipelineTasksGroup("datasets", use_data_folder=False, wipe_local_data=True)
    source = rest_api_source(
        {
            "client": {
                "base_url": os.environ["BENCH_URL"],
                "auth": {"type": "api_key", "name": "api_key", "api_key": "key", "location": "query"},
                "paginator": {"type": "offset", "limit": 100},
            },
            "resources": [
                {
                    "name": "datasets",
                    "endpoint": "/v1/datasets",
                    "primary_key": "id",
                    "write_disposition": "merge",
                }
            ],
        }
    )
    destination = os.environ["BENCH_DESTINATION"]
    to_postgres = destination.startswith("postgresql://")
    target = dlt.destinations.postgres(destination) if to_postgres else dlt.destinations.duckdb(destination)
    pipeline = dlt.pipeline("datasets", destination=target, dataset_name="bench")
    group.add_run(pipeline, source, decompose="none")
