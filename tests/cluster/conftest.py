"""The processes of docker-compose.yaml on this machine: CeleryExecutor over Redis, metadata in PostgreSQL."""

import json
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from tests.support.running_airflow import PROJECT, RunningAirflow

WORKER_SLOTS = 4
# A dead worker's tasks are missed after so long; Redis hands its messages on after a little more.
HEARTBEAT_TIMEOUT_SECONDS = 20
VISIBILITY_TIMEOUT_SECONDS = 90


@pytest.fixture(scope="module")
def databases(postgres_url: str) -> Iterator[dict[str, str]]:
    """The URLs of two new PostgreSQL databases, `metadata` and `warehouse`."""
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    run = uuid.uuid4().hex[:12]
    names = {use: f"datasets_test_{run}_{use}" for use in ("metadata", "warehouse")}
    for name in names.values():
        connection.cursor().execute(f"CREATE DATABASE {name}")
    yield {use: urlsplit(postgres_url)._replace(path=f"/{name}").geturl() for use, name in names.items()}
    for name in names.values():
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
    connection.close()


@pytest.fixture(scope="module")
def broker(redis_url: str) -> Iterator[dict[str, str]]:
    """Celery's settings for keys of this test's own in a Redis that may be somebody else's as well."""
    prefix = f"datasets_test_{uuid.uuid4().hex[:12]}:"
    yield {
        "AIRFLOW__CELERY__BROKER_URL": redis_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": redis_url,
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": prefix,
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT_SECONDS),
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps(
            {"result_backend_transport_options": {"global_keyprefix": prefix}}
        ),
    }
    with redis.Redis.from_url(redis_url) as server:
        for key in server.scan_iter(f"{prefix}*"):
            server.delete(key)


@pytest.fixture(scope="module")
def cluster(
    databases: dict[str, str], broker: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAirflow]:
    """Scheduler, DAG processor, API server and triggerer; workers are started by the tests."""
    environment = {
        **broker,
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(WORKER_SLOTS),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT_SECONDS),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        # 32 slots in pools.json: eight loads at a time.
        "DATASETS_POOL": "datasets_api",
        "DATASETS_POOL_SLOTS": "4",
    }
    metadata = databases["metadata"].replace("postgresql://", "postgresql+psycopg2://")
    home = tmp_path_factory.mktemp("cluster")
    with RunningAirflow(home, metadata, parallelism=32, environment=environment, also=("triggerer",)) as airflow:
        airflow.cli("pools", "import", str(PROJECT / "pools.json"))
        yield airflow
