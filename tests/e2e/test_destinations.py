"""The DAG into each destination that a test can reach: every sync mode twice, and nothing left behind."""

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2
import pytest
import sqlalchemy

from include.load.left_over import MARK
from tests.e2e.conftest import Deployment
from tests.support.airflow_run import day, load_dag
from tests.support.api_server import Answer, ApiServer, numbered

MARIADB = ("127.0.0.1", 3306)
# How a live run says that a staging schema is its own (`include/load/destinations/postgres/staging.py`).
# What killed runs left, named as a run of ours names it; and what is only named like it. All are marked but the last two.
DEAD, ALIVE = "datasets_raw_staging_deadbeef0123", "datasets_raw_staging_cafe00000000"
LIKE = ["datasets_raw_staging_archive", "datasets_raw_staging_ABCDEF012345", "datasets_raw_copy_deadbeef0123"]
UNMARKED = ["datasets_raw_staging_0123456789ab", "datasets_raw_stagingXcopy"]
LOCK = "SELECT pg_advisory_lock(hashtextextended('staging ' || %s, 0))"


@dataclass
class Place:
    """A destination. `query` takes SQL with tables without a schema; `schemas` are those that runs made."""

    connection: dict[str, Any]
    query: Callable[[str], list[tuple[Any, ...]]]
    schemas: Callable[[], set[str]]


@pytest.fixture(scope="module")
def postgres_database(postgres_url: str) -> Iterator[str]:
    """The URL of a database of this module's own."""
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres(postgres_database: str) -> Iterator[Place]:
    """PostgreSQL, without a schema of ours before and after."""
    parts = urlsplit(postgres_database)

    def query(sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(postgres_database)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(f"SET search_path = datasets_raw; {sql}")
            return cursor.fetchall() if cursor.description else []

    def schemas() -> set[str]:
        rows = query("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'datasets_raw')")
        return {name for (name,) in rows}

    yield Place(
        {
            "conn_type": "postgres",
            "host": parts.hostname,
            "port": parts.port or 5432,
            "login": parts.username or "postgres",
            "password": parts.password,
            "schema": parts.path.strip("/"),
        },
        query,
        schemas,
    )
    for schema in schemas():
        query(f'DROP SCHEMA "{schema}" CASCADE')


@pytest.fixture
def mysql() -> Iterator[Place]:
    """MariaDB, without a schema of ours before and after. Schemas are databases there."""
    if not find_spec("pymysql"):
        pytest.skip("pymysql is not installed: pip install -r requirements-destinations/mysql.txt")
    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("mysql+pymysql", "root", "", *MARIADB, "test"))

    def execute(sql: str) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(sql))
            return [tuple(row) for row in result] if result.returns_rows else []

    def query(sql: str) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("USE datasets_raw"))
            result = connection.execute(sqlalchemy.text(sql))
            return [tuple(row) for row in result] if result.returns_rows else []

    def schemas() -> set[str]:
        return {name for (name,) in execute("SHOW DATABASES LIKE 'datasets\\_raw%'")}

    def drop() -> None:
        for schema in schemas():
            execute(f"DROP DATABASE {schema}")

    try:
        drop()
    except sqlalchemy.exc.OperationalError as error:
        pytest.skip(f"MariaDB cannot be reached at {MARIADB[0]}:{MARIADB[1]} ({error.orig})")
    connection = {
        "conn_type": "mysql",
        "host": MARIADB[0],
        "port": MARIADB[1],
        "login": "root",
        "schema": "test",
    }
    yield Place(connection, query, schemas)
    drop()
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    """A SQLite file. Schemas are files beside it."""
    folder = tmp_path / "sqlite"
    folder.mkdir()
    file = folder / "warehouse.db"

    def query(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(folder / "warehouse__datasets_raw.db")) as connection:
            return connection.execute(sql).fetchall()

    def schemas() -> set[str]:
        return {path.stem.removeprefix("warehouse__") for path in folder.glob("warehouse__*")}

    return Place({"conn_type": "sqlite", "host": str(file)}, query, schemas)


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Place:
    """A DuckDB file that a connection names."""
    file = tmp_path / "warehouse.duckdb"

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute("SET search_path = 'datasets_raw'").execute(sql).fetchall()

    def schemas() -> set[str]:
        rows = query("SELECT schema_name FROM duckdb_schemas() WHERE schema_name LIKE 'datasets_raw%'")
        return {name for (name,) in rows}

    return Place({"conn_type": "duckdb", "host": str(file)}, query, schemas)


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
        "sqlite",
    ]
)
def place(request: pytest.FixtureRequest, deployment: Deployment) -> Place:
    """Each database in turn, as the destination of the deployment; DuckDB is that of `test_sync_modes`."""
    place: Place = request.getfixturevalue(request.param)
    deployment.destination(**place.connection)
    return place


def record(number: int, version: int = 1, tags: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    """A record with what destinations differ in: nested lists, times, truth values, text beyond ASCII."""
    return {
        "id": number,
        "version": version,
        "name": "Größe 'ß' \\ 数",
        "share": 0.1,
        "is_open": True,
        "updated_at": "2026-01-02T03:04:05.678901Z",
        "tags": [{"name": tag} for tag in tags],
    }


BEFORE = [record(1), record(2), record(3)]
# The first is as it was, the second has changed, the third is gone, the fourth is new.
AFTER = [record(1), record(2, version=2, tags=("c",)), record(4, tags=())]
UNCHANGED = [(1, 1), (2, 1), (3, 1)]

CONTENT = "SELECT id, version FROM datasets ORDER BY id, version"
TAGS = """
    SELECT d.id, t.name FROM datasets d JOIN datasets__tags t ON t._dlt_root_id = d._dlt_id
    ORDER BY d.id, d.version, t.name
"""
COUNT_TAGS = "SELECT count(*) FROM datasets__tags"

EXPECTED = {
    "merge": (UNCHANGED, [(1, 1), (2, 2), (3, 1), (4, 1)], "1a 1b 2c 3a 3b"),
    "replace": (UNCHANGED, [(1, 1), (2, 2), (4, 1)], "1a 1b 2c"),
    "append": (
        sorted(UNCHANGED * 2),
        [(1, 1), (1, 1), (1, 1), (2, 1), (2, 1), (2, 2), (3, 1), (3, 1), (4, 1)],
        "1a 1a 1a 1b 1b 1b 2a 2a 2b 2b 2c 3a 3a 3b 3b",
    ),
    "scd2": (UNCHANGED, [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1)], "1a 1b 2a 2b 2c 3a 3b"),
}


@pytest.mark.parametrize("mode", EXPECTED)
def test_each_mode_twice_and_then_with_changes(place: Place, deployment: Deployment, api: ApiServer, mode: str) -> None:
    same, changed, tags = EXPECTED[mode]
    api.records = BEFORE
    deployment.run(sync_mode=mode)
    assert place.query(CONTENT) == UNCHANGED
    deployment.run(sync_mode=mode)
    assert place.query(CONTENT) == same

    api.records = AFTER
    outcome = deployment.run(sync_mode=mode)
    assert place.query(CONTENT) == changed
    found = sorted(f"{number}{tag}" for number, tag in place.query(TAGS))
    assert " ".join(found) == tags
    # No child row without its record.
    assert place.query(COUNT_TAGS) == [(len(found),)]
    assert place.query("SELECT DISTINCT name FROM datasets") == [("Größe 'ß' \\ 数",)]
    # Cleared, it adds nothing.
    deployment.run_again(outcome)
    assert place.query(CONTENT) == changed
    assert place.query(COUNT_TAGS) == [(len(found),)]

    assert place.schemas() == {"datasets_raw"}
    reports = place.query("SELECT sync_mode, read_rows, try_number FROM _load_reports ORDER BY started_at")
    assert reports == [(mode, 3, 1)] * 3 + [(mode, 3, 2)]


def test_windows_leave_the_same_table_everywhere(place: Place, deployment: Deployment, api: ApiServer) -> None:
    api.records = [
        {"id": 1, "updated_at": "2026-01-01T23:59:59.999999Z"},
        {"id": 2, "updated_at": "2026-01-02T00:00:00Z"},
        {"id": 3, "updated_at": "2026-01-03T00:00:00Z"},
    ]
    deployment.options(cursor_path="updated_at")
    deployment.run(window_start="2026-01-02T00:00:00Z", window_end="2026-01-03T00:00:00Z")
    assert place.query("SELECT id FROM datasets") == [(2,)]
    # What is covered is read back from the reports: all of history, as one day is no beginning.
    deployment.run()
    assert place.query("SELECT id FROM datasets ORDER BY id") == [(1,), (2,), (3,)]
    api.records = [{"id": 9, "updated_at": "2026-01-01T00:00:00Z"}]
    deployment.run()
    assert place.query("SELECT count(*) FROM datasets") == [(3,)]


def test_what_is_in_a_key_is_never_sql(place: Place, deployment: Deployment, api: ApiServer) -> None:
    keys = ["it's", "back\\slash\\", "\\' OR 1=1 -- ", "urn:x:y", "100%s", "a;b", '"quoted"', "{id}"]
    api.records = [{"id": key, "version": 1} for key in keys]
    for _ in range(2):
        # The second has nothing to add: each key is looked for in the table.
        deployment.run(sync_mode="scd2")
        assert sorted(place.query("SELECT id, version FROM datasets")) == sorted((key, 1) for key in keys)


def test_replace_by_an_empty_collection_empties_the_table(place: Place, deployment: Deployment, api: ApiServer) -> None:
    api.records = BEFORE
    deployment.run(sync_mode="replace")
    api.records = []
    deployment.run(sync_mode="replace")
    assert place.query(CONTENT) == []
    assert place.query(COUNT_TAGS) == [(0,)]


def test_a_failed_run_leaves_the_table_and_nothing_else(
    place: Place, deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.records = [record(number) for number in range(150)]
    deployment.run()
    # The second page, whether it overlaps the first or not.
    for offset in (99, 100):
        api.fail(99, Answer(404), offset=offset)
    for mode in ("merge", "replace", "append"):
        assert deployment.airflow.run(sync_mode=mode).task_state == "failed"
    assert place.query("SELECT count(*), sum(version) FROM datasets") == [(150, 150)]
    assert place.schemas() == {"datasets_raw"}


@pytest.mark.mysql
def test_what_killed_runs_left_in_mariadb_is_removed(mysql: Place, deployment: Deployment, api: ApiServer) -> None:
    deployment.destination(**mysql.connection)
    api.records = numbered(3)
    deployment.run()
    for database in (DEAD, *LIKE, *UNMARKED):
        mysql.query(f"CREATE DATABASE {database}")
        mysql.query(f"CREATE TABLE {database}.{'datasets' if database in UNMARKED else MARK} (id int)")
    deployment.run()
    assert mysql.schemas() == {"datasets_raw", *LIKE, *UNMARKED}


@pytest.mark.mysql
def test_a_run_waits_for_the_lock_in_mariadb_whatever_database_its_connection_names(
    mysql: Place, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.load.destinations.mysql.LONGEST_WAIT_SECONDS", 0)
    url = sqlalchemy.URL.create("mysql+pymysql", "root", "", *MARIADB, "test")
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as other:
        other.execute(sqlalchemy.text("SELECT GET_LOCK('datasets datasets_raw', 0)"))
        for database in ("test", None):
            deployment.destination(**{**mysql.connection, "schema": database})
            assert "MariaDB gave this run no lock to write" in deployment.refused()
    engine.dispose()


def test_what_killed_runs_left_beside_a_sqlite_file_is_removed(
    sqlite: Place, deployment: Deployment, api: ApiServer
) -> None:
    deployment.destination(**sqlite.connection)
    folder = Path(sqlite.connection["host"]).parent
    dead = [folder / f"warehouse__{DEAD}.db{end}" for end in ("", "-wal", "-shm")]
    others = [folder / f"warehouse__{name}.db" for name in (*LIKE, *UNMARKED)]
    others += [folder / f"other__{DEAD}.db", folder / f"warehouse__{DEAD}.txt", folder / "warehouse__no_database.db"]
    for file in (dead[0], *others[:-1]):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(f"CREATE TABLE {'datasets' if file.stem[11:] in UNMARKED else MARK} (id int)")
    for file in (*dead[1:], others[-1]):
        file.write_bytes(b"no database")
    api.records = numbered(3)
    deployment.run()
    assert sqlite.query("SELECT count(*) FROM datasets") == [(3,)]
    assert not [file for file in dead if file.exists()]
    assert all(file.exists() for file in others)


def test_a_duckdb_file_of_a_connection_is_as_good_as_the_embedded_one(
    duckdb_file: Place, deployment: Deployment, api: ApiServer
) -> None:
    deployment.destination(**duckdb_file.connection)
    api.records = BEFORE
    deployment.run()
    # What a killed run left.
    with duckdb.connect(duckdb_file.connection["host"]) as connection:
        for schema in (DEAD, *LIKE, *UNMARKED):
            table = "datasets" if schema in UNMARKED else MARK
            connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.{table} (id int)")
    api.records = AFTER
    deployment.run()
    assert duckdb_file.query(CONTENT) == EXPECTED["merge"][1]
    deployment.run(sync_mode="append")
    deployment.run(sync_mode="replace")
    assert duckdb_file.query(CONTENT) == EXPECTED["replace"][1]
    assert duckdb_file.schemas() == {"datasets_raw", *LIKE, *UNMARKED}
    # Nothing went into the embedded one.
    assert not deployment.database.exists()


# --- a folder


@pytest.fixture
def folder(deployment: Deployment, tmp_path: Path) -> Path:
    """A folder as the destination of the deployment."""
    folder = tmp_path / "lake"
    deployment.destination(conn_type="fs", extra={"path": str(folder)})
    return folder


def rows_of(folder: Path, table: str, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        files = f"read_parquet('{folder}/datasets_raw/{table}/*', union_by_name = true)"
        return connection.execute(f"SELECT {columns} FROM {files} ORDER BY ALL").fetchall()


def test_a_folder_takes_snapshots(folder: Path, deployment: Deployment, api: ApiServer) -> None:
    deployment.options(sync_mode="replace")
    api.records = BEFORE
    deployment.run()
    deployment.run()
    assert rows_of(folder, "datasets", "id, version") == UNCHANGED
    api.records = AFTER
    deployment.run()
    assert rows_of(folder, "datasets", "id, version") == EXPECTED["replace"][1]
    assert rows_of(folder, "datasets__tags", "name") == [("a",), ("b",), ("c",)]
    assert rows_of(folder, "_load_reports", "loaded_rows") == [(3,)] * 3
    assert [path.name for path in folder.iterdir()] == ["datasets_raw"]


def test_a_folder_gets_parquet_whatever_the_records_are(folder: Path, deployment: Deployment, api: ApiServer) -> None:
    deployment.options(sync_mode="replace")
    # None of these goes in columns: two types in one, a list, a number of 70 bits.
    api.records = [{"id": 1, "a": 1}, {"id": 2, "a": "x"}, {"id": 3, "tags": [{"b": [1]}]}, {"id": 4, "a": 2**70}]
    deployment.run()
    deployment.run()
    files = [path for path in folder.glob("datasets_raw/*/*") if not path.parent.name.startswith("_dlt")]
    assert {path.parent.name for path in files} == {"datasets", "datasets__tags", "datasets__tags__b", "_load_reports"}
    assert {path.suffix for path in files} == {".parquet"}
    assert rows_of(folder, "datasets", "id, a, a__v_text")[:2] == [(1, 1, None), (2, None, "x")]
    assert rows_of(folder, "_load_reports", "read_rows, window_start") == [(4, None)] * 2


def test_a_folder_knows_what_was_loaded(folder: Path, deployment: Deployment, api: ApiServer) -> None:
    deployment.options(sync_mode="replace")
    api.records = BEFORE
    waiting = deployment.run("backfill", day(1), meanwhile=deployment.run)
    assert waiting.task_state == "skipped"
    assert [request.offset for request in api.requests].count(0) == 1


@pytest.mark.parametrize("mode", ["merge", "append", "scd2"])
def test_a_folder_refuses_what_it_cannot_do(folder: Path, deployment: Deployment, mode: str) -> None:
    reason = deployment.refused(sync_mode=mode)
    assert f"`filesystem` cannot do the sync mode `{mode}`; it can do `replace`" in reason
    assert not folder.exists()


# --- PostgreSQL


@contextmanager
def failing_inserts(place: Place, table: str) -> Iterator[None]:
    """Nothing can be inserted into `table`."""
    place.query("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no space''; END'")
    place.query(f"CREATE TRIGGER fail BEFORE INSERT ON {table} EXECUTE FUNCTION fail()")
    yield
    place.query("DROP FUNCTION fail CASCADE")


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["merge", "replace", "append"])
def test_a_load_is_all_or_nothing(postgres: Place, deployment: Deployment, api: ApiServer, mode: str) -> None:
    deployment.destination(**postgres.connection)
    api.records = BEFORE
    deployment.run()
    api.records = AFTER
    # The last table of the load: the records themselves are written before.
    with failing_inserts(postgres, "datasets__tags"):
        outcome = deployment.airflow.run(sync_mode=mode)
    assert outcome.task_state == "failed"
    assert "no space" in str(outcome.error)
    assert postgres.query(CONTENT) == UNCHANGED
    assert postgres.query(COUNT_TAGS) == [(6,)]
    assert postgres.schemas() == {"datasets_raw"}


@pytest.mark.postgres
def test_what_killed_runs_left_is_removed_and_what_is_in_use_stays(
    postgres: Place, deployment: Deployment, postgres_database: str, api: ApiServer
) -> None:
    deployment.destination(**postgres.connection)
    for schema in (DEAD, ALIVE, *LIKE, *UNMARKED):
        table = "datasets" if schema in UNMARKED else MARK
        postgres.query(f'CREATE SCHEMA "{schema}"; CREATE TABLE "{schema}".{table} (id int)')
        # It says when it was made: long ago.
        postgres.query(f"COMMENT ON TABLE \"{schema}\".{table} IS '0'")
    api.records = numbered(3)
    with closing(psycopg2.connect(postgres_database)) as connection:
        connection.cursor().execute(LOCK, (ALIVE,))
        deployment.run()
        assert postgres.schemas() == {"datasets_raw", ALIVE, *LIKE, *UNMARKED}
    deployment.run()
    assert postgres.schemas() == {"datasets_raw", *LIKE, *UNMARKED}


@pytest.mark.postgres
def test_a_server_that_cannot_be_reached_is_tried_again(postgres: Place, deployment: Deployment) -> None:
    deployment.destination(**{**postgres.connection, "port": 9})
    deployment.set(DATASETS_TASK_RETRIES="1", DATASETS_TASK_RETRY_DELAY_SECONDS="0")
    outcome = deployment.airflow.run(dag=load_dag())
    assert [turn.state for turn in outcome.tries] == ["up_for_retry", "failed"]
    assert deployment.api.count() == 0


@pytest.mark.postgres
def test_the_password_of_the_destination_stays_inside(postgres: Place, deployment: Deployment) -> None:
    password = "p4ss/+w%rd"
    deployment.destination(**{**postgres.connection, "login": "nobody-of-ours", "password": password})
    outcome = deployment.airflow.run()
    assert outcome.task_state == "failed"
    for form in (password, "p4ss%2F%2Bw%25rd", "p4ss/%2Bw%25rd"):
        assert form not in outcome.log
        assert all(form not in f"{turn.error!r} {turn.message!r}" for turn in outcome.tries)
