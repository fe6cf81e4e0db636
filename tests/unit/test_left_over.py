"""What killed runs left behind in PostgreSQL: a name is never SQL, and what may not be dropped stops nobody."""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest
from psycopg2 import sql

from include.load.destinations.postgres import locks
from include.load.destinations.postgres.client import side_by_side_postgres
from include.load.kinds import kinds
from include.load.left_over import MARK
from include.load.staging import staging

pytestmark = pytest.mark.postgres

DEAD = "datasets_raw_staging_deadbeef0123"


@pytest.fixture
def database(postgres_url: str) -> Iterator[Any]:
    """A cursor in a database of this test's own, which any role may create schemas in."""
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        server = connection.cursor()
        server.execute(f"CREATE DATABASE {name}")
        server.execute(f"CREATE ROLE {name} LOGIN")
        server.execute(f"GRANT CREATE ON DATABASE {name} TO {name}")
        with closing(psycopg2.connect(urlsplit(postgres_url)._replace(path=f"/{name}").geturl())) as own:
            own.autocommit = True
            yield own.cursor()
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE {name}")


def leave(cursor: Any, schema: str, hours_ago: float = 7) -> None:
    """What a run of ours would have left."""
    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    cursor.execute(sql.SQL("CREATE TABLE {} (id int)").format(sql.Identifier(schema, MARK)))
    made_at = sql.Literal(str(int(time.time() - hours_ago * 60 * 60)))
    cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(schema, MARK), made_at))


def run(cursor: Any, home: Path, role: str) -> None:
    """A run by `role` from the beginning of its staging to the end."""
    place = cursor.connection.get_dsn_parameters()
    destination = side_by_side_postgres(
        {
            "host": place["host"],
            "port": int(place["port"]),
            "username": role,
            "password": "",
            "database": place["dbname"],
        },
        destination_name="postgres",
        staging_dataset_name_layout="%s_staging_000000000000",
    )
    pipeline = dlt.pipeline("datasets", destination=destination, dataset_name="datasets_raw", pipelines_dir=str(home))
    with staging(pipeline, kinds()["postgres"]):
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'datasets_raw_staging_000000000000'")
        assert cursor.fetchone() == (1,)


def schemas(cursor: Any) -> set[str]:
    cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'datasets_raw')")
    return {name for (name,) in cursor.fetchall()}


def test_a_schema_of_another_role_is_a_log_line(
    database: Any, dlt_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave(database, DEAD)
    role = database.connection.info.dbname
    with caplog.at_level(logging.WARNING, "include.load"):
        run(database, dlt_home, role)
    assert schemas(database) == {DEAD}
    (line,) = caplog.messages
    assert f"has left `{DEAD}`, and this run may not drop it (must be owner of schema {DEAD})" in line
    assert "\n" not in line
    # Its owner may.
    run(database, dlt_home, "postgres")
    assert schemas(database) == set()


def test_the_staging_of_a_live_run_is_left_alone(database: Any, dlt_home: Path) -> None:
    leave(database, DEAD)
    # As long as it lives, a run holds the lock that is named like its schema.
    with closing(psycopg2.connect(database.connection.dsn)) as alive:
        locks.lock(alive.cursor(), f"staging {DEAD}")
        run(database, dlt_home, "postgres")
        assert schemas(database) == {DEAD}
    run(database, dlt_home, "postgres")
    assert schemas(database) == set()


def test_what_is_younger_than_any_run_may_be_is_left_alone(database: Any, dlt_home: Path) -> None:
    """Its run may live, and have lost its lock."""
    names = [f"datasets_raw_staging_{number:012x}" for number in range(1, 4)]
    for name, hours_ago in zip(names, (6.01, 5.99, 7), strict=True):
        leave(database, name, hours_ago)
    # A mark that says no time.
    database.execute(sql.SQL("COMMENT ON TABLE {} IS NULL").format(sql.Identifier(names[2], MARK)))
    run(database, dlt_home, "postgres")
    assert schemas(database) == set(names[1:])


def test_a_name_is_never_sql(database: Any, dlt_home: Path) -> None:
    role = database.connection.info.dbname
    names = [
        f'datasets_raw_staging_" CASCADE; ALTER ROLE {role} SUPERUSER; --'[:63],
        f"{DEAD}'",
        f"{DEAD}\n",
        f'"{DEAD}"',
    ]
    for name in names:
        leave(database, name)
    run(database, dlt_home, "postgres")
    assert schemas(database) == set(names[:3])
    database.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (role,))
    assert database.fetchone() == (False,)
