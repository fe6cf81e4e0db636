"""SIGTERM comes while a statement runs in the destination: it is interrupted, and the load ends in order."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.load.destinations.duckdb.client import lean_duckdb
from include.load.destinations.mysql.client import one_step_mysql
from include.load.destinations.sqlite.client import proven_sqlite
from tests.faults.test_killed_in_the_last_job import SETTINGS, records
from tests.support import held_load
from tests.support.cases import proves
from tests.support.held_load import HeldLoad
from tests.support.killed_load import Load
from tests.support.mariadb import database

# What SIGTERM leaves of the five seconds before SIGKILL.
SECONDS = 3

Place = tuple[str, Callable[[int], Load], Callable[[str], list[Any]], Callable[[], list[str]]]


@pytest.fixture(params=["duckdb", "sqlite", pytest.param("mysql", marks=pytest.mark.mysql)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A kind of destination: a load of a version, a question, and what is staged there."""
    made = {"duckdb": _duckdb, "sqlite": _sqlite}.get(request.param)
    if made:
        yield made(tmp_path)
        return
    with database() as mariadb:

        def load(version: int) -> Load:
            arguments = {"credentials": mariadb.url, **SETTINGS}
            return Load(
                one_step_mysql, arguments, "merge", records(version, True), tmp_path, mariadb.name, file_format=None
            )

        def staged() -> list[str]:
            names = [name for (name,) in mariadb.query("SELECT schema_name FROM information_schema.schemata")]
            return [name for name in names if name.startswith(f"{mariadb.name}_staging")]

        yield "mysql", load, lambda sql: list(mariadb.query(sql.format(mariadb.name))), staged


def _duckdb(home: Path) -> Place:
    file = home / "warehouse.duckdb"

    def load(version: int) -> Load:
        return Load(lean_duckdb, {"credentials": str(file), **SETTINGS}, "merge", records(version, True), home)

    def query(sql: str) -> list[Any]:
        with duckdb.connect(str(file)) as connection:
            return connection.execute(sql.format("datasets_raw")).fetchall()

    def staged() -> list[str]:
        return [name for (name,) in query("SELECT schema_name FROM duckdb_schemas()") if "staging" in name]

    return "duckdb", load, query, staged


def _sqlite(home: Path) -> Place:
    def load(version: int) -> Load:
        arguments = {"credentials": f"sqlite:///{home}/warehouse.db", **SETTINGS}
        return Load(proven_sqlite, arguments, "merge", records(version, True), home, file_format=None)

    def query(sql: str) -> list[Any]:
        with closing(sqlite3.connect(home / "warehouse__datasets_raw.db")) as connection:
            return connection.execute(sql.format("main")).fetchall()

    return "sqlite", load, query, lambda: [file.name for file in home.glob("*staging*")]


@proves(
    "SIGTERM during a statement",
    "it is interrupted within 3 s; the table is as it was, and staging is gone",
    "DuckDB",
    "SQLite",
    "MariaDB",
)
@pytest.mark.parametrize("where", [held_load.SLOW_IN_A_JOB, held_load.SLOW_IN_THE_MAIN_THREAD])
def test_a_statement_is_interrupted(place: Place, tmp_path: Path, where: str) -> None:
    kind, load, query, staged = place
    assert held_load.run(load(1), kind, tmp_path) == 0
    content = "SELECT version, count(*) FROM {0}.datasets GROUP BY version"
    assert [tuple(row) for row in query(content)] == [(1, 20)]
    held = HeldLoad(load(2), kind, where, tmp_path)
    held.wait()
    # The statement has begun.
    time.sleep(0.3)
    began = time.monotonic()
    held.process.terminate()
    held.process.join(SECONDS)
    took = time.monotonic() - began
    held.process.kill()
    assert took < SECONDS
    assert held.process.exitcode == 0, "it did not end in order"
    assert staged() == []
    assert [tuple(row) for row in query(content)] == [(1, 20)]
