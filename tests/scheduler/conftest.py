"""One running Airflow for the tests of this folder; its metadata in PostgreSQL where there is one."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.conftest import service_is_missing
from tests.support.running_airflow import RunningAirflow


@pytest.fixture(scope="session")
def database(postgres_url: str) -> Iterator[str | None]:
    """The URL of a PostgreSQL database of this session's own; None: no server, Airflow uses SQLite."""
    if service_is_missing("postgres"):
        yield None
        return
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {name}")
    yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
    connection.close()


@pytest.fixture(scope="session")
def running(database: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    """Scheduler, DAG processor and API server; the DAG is paused until a test wants it."""
    metadata = database.replace("postgresql://", "postgresql+psycopg2://") if database else None
    # SQLite takes one writer: fewer tasks at once keep the scheduler in time.
    with RunningAirflow(tmp_path_factory.mktemp("airflow"), metadata, parallelism=8 if database else 2) as airflow:
        with suppress(KeyError):
            del airflow.environment["DATASETS_DUCKDB_PATH"]
        yield airflow
