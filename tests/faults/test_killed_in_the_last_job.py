"""A process that is killed inside its last job leaves the table as it was, wherever it is killed."""

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import duckdb
import psycopg2
import pytest

from include.load.destinations.duckdb.client import lean_duckdb
from include.load.destinations.mysql.client import one_step_mysql
from include.load.destinations.postgres.client import side_by_side_postgres
from tests.support import killed_load
from tests.support.cases import proves
from tests.support.killed_load import Load
from tests.support.mariadb import Database

SETTINGS = {"staging_dataset_name_layout": "%s_staging_0123456789ab", "replace_strategy": "insert-from-staging"}
# As the source says it: what a run appends is merged by the run.
OF_A_RUN = {"append": {"primary_key": None, "merge_key": "_run_id"}}
# `nested=json` is `flat` to a job: one table.
CASES = [("merge", False), ("merge", True), ("replace", False), ("replace", True), ("append", True), ("scd2", True)]

Place = tuple[Callable[[int], Load], Callable[[], list[Any]]]


def records(version: int, nested: bool) -> list[dict[str, Any]]:
    """Twenty records of a version.

    None has a name with create, alter or drop in it: dlt looks for those words in the SQL, and they would hide a fault.
    """
    tags = {"tags": [{"name": f"tag {version}"}]} if nested else {}
    return [{"id": number, "version": version, "_run_id": "run", **tags} for number in range(20)]


def stays_as_it_was(load: Callable[[int], Load], content: Callable[[], list[Any]], versions: Callable[[], Any]) -> None:
    """The first version is loaded; the second is killed after what it takes away, and before the commit; then loaded."""
    statements = killed_load.run(load(1))
    old = content()
    takes_away = next(n for n, text in enumerate(statements, 1) if text.startswith(("DELETE FROM", "UPDATE")))
    assert takes_away < len(statements)
    for number in (takes_away, len(statements)):
        done = killed_load.run(load(2), killed_before=number)
        assert len(done) == number
        assert content() == old, f"killed after {done[-1]}"
    killed_load.run(load(2))
    assert versions() == 2


def tables(nested: bool) -> tuple[str, ...]:
    """The tables of the records."""
    return ("datasets", "datasets__tags") if nested else ("datasets",)


@proves(
    "SIGKILL inside the last job, after a deletion or before the commit",
    "the table is as it was, in each mode, with and without child tables; the next run is green",
    "DuckDB",
)
@pytest.mark.parametrize(("mode", "nested"), CASES)
def test_duckdb(tmp_path: Path, mode: str, nested: bool) -> None:
    file = tmp_path / "warehouse.duckdb"

    def load(version: int) -> Load:
        arguments = {"credentials": str(file), **SETTINGS}
        hints = OF_A_RUN.get(mode, {})
        return Load(lean_duckdb, arguments, mode, records(version, nested), tmp_path, hints=hints)

    def query(sql: str) -> list[Any]:
        with duckdb.connect(str(file)) as connection:
            return connection.execute(f"SET search_path = 'datasets_raw'; {sql}").fetchall()

    def content() -> list[Any]:
        return [query(f"SELECT * FROM {table} ORDER BY ALL") for table in tables(nested)]

    stays_as_it_was(load, content, lambda: query("SELECT max(version) FROM datasets")[0][0])


@proves(
    "SIGKILL inside the last job, after a deletion or before the commit",
    "the table is as it was, in each mode, with and without child tables; the next run is green",
    "PostgreSQL",
)
@pytest.mark.postgres
@pytest.mark.parametrize(("mode", "nested"), CASES)
def test_postgres(postgres_url: str, tmp_path: Path, mode: str, nested: bool) -> None:
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    place = urlsplit(url)
    credentials = {
        "host": place.hostname,
        "port": place.port or 5432,
        "username": place.username,
        "password": place.password or "",
        "database": name,
    }

    def load(version: int) -> Load:
        arguments = {"credentials": credentials, **SETTINGS}
        hints = OF_A_RUN.get(mode, {})
        return Load(side_by_side_postgres, arguments, mode, records(version, nested), tmp_path, hints=hints)

    def query(sql: str) -> list[Any]:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET search_path = datasets_raw; {sql}")
            return sorted(cursor.fetchall())

    def content() -> list[Any]:
        return [query(f"SELECT {table}::text FROM {table}") for table in tables(nested)]

    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        try:
            stays_as_it_was(load, content, lambda: query("SELECT max(version) FROM datasets")[0][0])
        finally:
            connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@proves(
    "SIGKILL inside the last job, after a deletion or before the commit",
    "the table is as it was, in each mode, with and without child tables; the next run is green",
    "SQLite",
)
@pytest.mark.parametrize(("mode", "nested"), CASES)
def test_sqlite(tmp_path: Path, mode: str, nested: bool) -> None:
    def load(version: int) -> Load:
        arguments = {"credentials": f"sqlite:///{tmp_path}/warehouse.db", **SETTINGS}
        hints = OF_A_RUN.get(mode, {})
        return Load(
            dlt.destinations.sqlalchemy,
            arguments,
            mode,
            records(version, nested),
            tmp_path,
            file_format=None,
            hints=hints,
        )

    def query(sql: str) -> list[Any]:
        with closing(sqlite3.connect(tmp_path / "warehouse__datasets_raw.db")) as connection:
            return sorted(connection.execute(sql).fetchall(), key=repr)

    def content() -> list[Any]:
        return [query(f"SELECT * FROM {table}") for table in tables(nested)]

    stays_as_it_was(load, content, lambda: query("SELECT max(version) FROM datasets")[0][0])


@proves(
    "SIGKILL inside the last job, after a deletion or before the commit",
    "the table is as it was, in each mode, with and without child tables; the next run is green",
    "MariaDB",
)
@pytest.mark.mysql
@pytest.mark.parametrize(("mode", "nested"), CASES)
def test_mariadb(mariadb: Database, tmp_path: Path, mode: str, nested: bool) -> None:
    def load(version: int) -> Load:
        arguments = {"credentials": mariadb.url, **SETTINGS}
        hints = OF_A_RUN.get(mode, {})
        return Load(
            one_step_mysql,
            arguments,
            mode,
            records(version, nested),
            tmp_path,
            mariadb.name,
            file_format=None,
            hints=hints,
        )

    def query(sql: str) -> list[Any]:
        return sorted(mariadb.query(sql), key=repr)

    def content() -> list[Any]:
        return [query(f"SELECT * FROM {mariadb.name}.{table}") for table in tables(nested)]

    stays_as_it_was(load, content, lambda: query(f"SELECT max(version) FROM {mariadb.name}.datasets")[0][0])
