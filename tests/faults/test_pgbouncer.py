"""PgBouncer in transaction mode: each transaction may have another session. Runs that meet leave each other's staging alone."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

from include.load.destinations.postgres.client import side_by_side_postgres
from include.load.left_over import MARK
from tests.faults.test_killed_in_the_last_job import records
from tests.support import held_load
from tests.support.cases import proves
from tests.support.held_load import HeldLoad
from tests.support.killed_load import Load
from tests.support.own_server import PGBOUNCER, is_missing, pgbouncer

ALIVE, DEAD = "datasets_raw_staging_aaaaaaaaaaaa", "datasets_raw_staging_deadbeef0123"


@pytest.fixture
def pooled(postgres_url: str) -> Iterator[tuple[str, Any]]:
    """The URL of a database behind a pooler, and a cursor before it."""
    if reason := is_missing(PGBOUNCER):
        pytest.skip(reason)
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg2.connect(postgres_url)) as server:
        server.autocommit = True
        server.cursor().execute(f"CREATE DATABASE {name}")
        try:
            url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
            with pgbouncer(url) as pooler, closing(psycopg2.connect(url)) as connection:
                connection.autocommit = True
                yield pooler, connection.cursor()
        finally:
            server.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@proves(
    "loads overlap behind PgBouncer in transaction mode; a lock is lost",
    "none drops the staging of a live one; what is dead and old goes",
    "PostgreSQL",
)
@pytest.mark.postgres
def test_two_loads_at_once(pooled: tuple[str, Any], tmp_path: Path) -> None:
    url, cursor = pooled
    place = urlsplit(url)
    credentials = {
        "host": place.hostname,
        "port": place.port,
        "username": place.username,
        "password": "",
        "database": place.path.strip("/"),
    }

    def load(version: int, run: str) -> Load:
        settings = {
            "staging_dataset_name_layout": f"%s_staging_{run * 12}",
            "replace_strategy": "insert-from-staging",
        }
        arguments = {"credentials": credentials, **settings}
        return Load(side_by_side_postgres, arguments, "merge", records(version, True), tmp_path)

    def staged() -> set[str]:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'datasets_raw_staging')")
        return {name for (name,) in cursor.fetchall()}

    def is_marked(schema: str, seconds_ago: int) -> None:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::bigint")
        cursor.execute(f"COMMENT ON TABLE {schema}.{MARK} IS '{cursor.fetchone()[0] - seconds_ago}'")

    signs = tmp_path / "held"
    signs.mkdir()
    held = HeldLoad(load(1, "a"), "postgres", held_load.BEFORE_THE_LAST_JOB, signs)
    held.wait()
    cursor.execute(f"CREATE SCHEMA {DEAD} CREATE TABLE {MARK} (since timestamp)")
    is_marked(DEAD, 7 * 60 * 60)
    # Its lock alone protects it.
    is_marked(ALIVE, 7 * 60 * 60)
    assert held_load.run(load(2, "b"), "postgres", tmp_path) == 0
    assert staged() == {ALIVE}
    # Its age alone protects it: something has ended the idle transaction.
    is_marked(ALIVE, 60)
    cursor.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND state = 'idle in transaction'"
    )
    assert cursor.fetchone() == (1,)
    assert held_load.run(load(3, "c"), "postgres", tmp_path) == 0
    assert staged() == {ALIVE}
    assert held.go() == 0
    assert staged() == set()
    cursor.execute("SELECT version, count(*) FROM datasets_raw.datasets GROUP BY 1")
    # All three say the same of these records' age: the last to merge wins.
    assert cursor.fetchall() == [(1, 20)]
    cursor.execute("SELECT count(*), min(name), max(name) FROM datasets_raw.datasets__tags")
    assert cursor.fetchone() == (20, "tag 1", "tag 1")
    # No lock stays with a session that others are given next.
    cursor.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    assert cursor.fetchone() == (0,)
