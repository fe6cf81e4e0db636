"""A load that lost or doubled rows on its way is undone: the rows are counted in the transaction that merges them."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest
from dlt.common.schema import Schema
from dlt.destinations.job_client_impl import SqlLoadJob
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed

from include.decide.failure import failure_of
from include.decide.sync_mode import SYNC_MODES
from include.extract.completeness import ReadProgress
from include.extract.key_set import KeySet
from include.load.destinations.duckdb.client import lean_duckdb
from include.load.destinations.mysql.client import one_step_mysql
from include.load.destinations.postgres.client import side_by_side_postgres
from include.load.destinations.sqlite.client import proven_sqlite
from include.load.known_table import known_table, take_stored_schema
from include.load.proof import LoadProof, ProvenStatementsJob
from tests.support.cases import proves
from tests.support.mariadb import database

pytestmark = pytest.mark.filterwarnings("ignore:Coercing Subquery object:sqlalchemy.exc.SAWarning")

MODES = ["merge", "replace", "append", "scd2"]
KINDS = [
    "duckdb",
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mysql", marks=pytest.mark.mysql),
]
SETTINGS = {"staging_dataset_name_layout": "%s_staging_0123456789ab", "replace_strategy": "insert-from-staging"}


class Place:
    """A destination of the test's own, and whole loads into it."""

    def __init__(self, factory: Any, home: Path, dataset: str = "datasets_raw", **arguments: Any) -> None:
        self.destination = factory(**arguments, **SETTINGS)
        self._home, self._dataset = home, dataset
        self.begin()

    def begin(self) -> None:
        """A run that knows nothing but what the destination does."""
        home = self._home / uuid.uuid4().hex[:8]
        self.pipeline = dlt.pipeline(
            "datasets", destination=self.destination, dataset_name=self._dataset, pipelines_dir=str(home)
        )
        take_stored_schema(self.pipeline, "datasets")
        self.known = known_table(self.pipeline, "datasets")

    def load(
        self, mode: Any, numbers: range, version: int = 1, read: int | None = None, tags: bool = True
    ) -> LoadProof:
        """Load records with two tags each. `read`: how many the API gave, where the load is to differ from that."""
        proof = LoadProof(
            "datasets", SYNC_MODES[mode], "source", None, ReadProgress(ids=KeySet(range(read or len(numbers))))
        )
        self.destination.proofs = {proof.table: proof}
        hints = {"primary_key": None, "merge_key": "_run_id"} if mode == "append" else {"primary_key": "id"}

        @dlt.resource(name="datasets", write_disposition=SYNC_MODES[mode].write_disposition, **hints)
        def records() -> Any:
            yield [
                {"id": number, "version": version, "_run_id": "run"}
                | ({"tags": [f"a {version}", f"b {version}"]} if tags else {})
                for number in numbers
            ]

        source = DltSource(Schema("datasets"), "datasets", [records])
        source.root_key = True
        self.pipeline.run(source, loader_file_format="parquet" if "duckdb" in str(self.destination) else None)
        return proof

    def query(self, sql: str) -> list[Any]:
        """Rows, in order; `{0}` and `{1}` are the table and its child table."""
        with self.pipeline.sql_client() as client:
            names = map(client.make_qualified_table_name, ("datasets", "datasets__tags"))
            return sorted(map(tuple, client.execute_sql(sql.format(*names)) or ()), key=repr)

    def copy_of_a_row(self) -> str:
        """How a row is selected to be there twice."""
        columns = list(self.pipeline.default_schema.tables["datasets"]["columns"])
        return "SELECT " + ", ".join(f"substr({name}, 2)" if name == "_dlt_id" else name for name in columns)

    def content(self) -> list[Any]:
        """All of it."""
        return [self.query("SELECT * FROM {0}"), self.query("SELECT * FROM {1}")]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, dlt_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A `Place` in each kind of destination that has transactions."""
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    if request.param == "duckdb":
        yield Place(lean_duckdb, dlt_home, credentials=str(dlt_home / "warehouse.duckdb"))
    elif request.param == "sqlite":
        yield Place(proven_sqlite, dlt_home, credentials=f"sqlite:///{dlt_home}/warehouse.db")
    elif request.param == "mysql":
        with database() as made:
            yield Place(one_step_mysql, dlt_home, made.name, credentials=made.url)
    else:
        url = request.getfixturevalue("postgres_url")
        name = f"datasets_test_{uuid.uuid4().hex[:12]}"
        server = urlsplit(url)
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
            yield Place(
                side_by_side_postgres,
                dlt_home,
                credentials={
                    "host": server.hostname,
                    "port": server.port or 5432,
                    "username": server.username,
                    "password": server.password or "",
                    "database": name,
                },
            )
            connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def spoil(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """One statement more in the transaction of each merge. `{0}` and `{1}` as in `Place.query`."""
    split = SqlLoadJob._split_fragments

    def with_one_more(job: ProvenStatementsJob, sql: str) -> list[str]:
        with job.names_of_the_dataset() as client:
            names = [client.make_qualified_table_name(name) for name in ("datasets", "datasets__tags")]
        return [*split(job, sql), statement.format(*names)]

    monkeypatch.setattr(SqlLoadJob, "_split_fragments", with_one_more)


FAULTS = [
    ("DELETE FROM {0} WHERE id = 7", "incomplete: 10 records were read from the API, 1 of them are missing"),
    ("INSERT INTO {0} SELECT * FROM {0} WHERE id = 7", "not exact: 10 records were read from the API, and 11 rows"),
    ("DELETE FROM {1} WHERE value = 'b 2'", "not whole: 20 rows were staged for the child table `datasets__tags`"),
]


@proves("rows or child rows are lost or doubled on their way", "the load is counted before its commit, and undone")
@pytest.mark.parametrize("mode", MODES)
def test_what_is_lost_or_doubled_undoes_the_merge(place: Place, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    place.load(mode, range(15))
    before = place.content()

    def is_undone(sentence: str, read: int = 10) -> None:
        with pytest.raises(PipelineStepFailed) as failure:
            place.load(mode, range(10), version=2, read=read)
        failed = failure_of(failure.value)
        assert (sentence in str(failed), failed.is_permanent) == (True, False), failed
        assert place.content() == before
        place.pipeline.abort_packages()

    for fault, sentence in FAULTS:
        with monkeypatch.context() as patch:
            # The unique index of PostgreSQL would say it itself.
            spoil(patch, fault.replace("SELECT *", place.copy_of_a_row()))
            is_undone(sentence)
    is_undone("incomplete: 11 records were read from the API, 1 of them are missing among those that were staged", 11)
    is_undone("not exact: 9 records were read from the API, and 10 rows were staged for the table `datasets`", 9)
    # Nothing is left that would keep the next try from it.
    assert place.load(mode, range(10), version=2).loaded_rows == 10


@proves("the table has rows of other loads", "they count for nothing")
@pytest.mark.parametrize("mode", MODES)
def test_what_others_have_loaded_counts_for_nothing(place: Place, mode: str) -> None:
    place.load(mode, range(15))
    proof = place.load(mode, range(5, 15))
    assert proof.loaded_rows == (0 if mode == "scd2" else 10)
    assert place.query("SELECT count(*) FROM {0}") == [(15 if mode in ("merge", "scd2") else 10,)]


@proves("a version comes back that the history has closed", "it is valid again")
def test_history_keeps_a_version_that_comes_back(place: Place) -> None:
    for version, loaded in ((1, 10), (2, 10), (2, 0), (1, 10)):
        assert place.load("scd2", range(10), version).loaded_rows == loaded
    assert place.query("SELECT count(*) FROM {0} WHERE _dlt_valid_to IS NULL") == [(10,)]
