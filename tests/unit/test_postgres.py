"""Loads into PostgreSQL whose steps interleave: what each found out about the table is kept, and no value is changed."""

import contextvars
import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest
from airflow.sdk import RetryAction
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.state_sync import decompress_state

from include.apis.datasets import DATASETS
from include.configure.resolution import resolve_options
from include.decide.retry_policy import CausalRetryPolicy
from include.decide.sync_mode import SYNC_MODES
from include.errors import TransientError
from include.extract.completeness import ReadProgress
from include.extract.read import ResourceRead
from include.extract.source import source_of
from include.load.destinations.postgres import locks
from include.load.destinations.postgres.client import side_by_side_postgres
from include.load.destinations.postgres.copy import ParquetCopyJob
from include.load.proof import LoadProof
from tests.support.api_server import ApiServer
from tests.unit.conftest import causes

pytestmark = pytest.mark.postgres

Record = dict[str, Any]


class Place:
    """A database of its own, and runs into it."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self._home = home

    def begin(self) -> "Run":
        """A run that has learned what the destination knows, and read nothing."""
        return Run(self.url, self._home / uuid.uuid4().hex[:8])

    def run(self, records: list[Record], **params: Any) -> "Run":
        """A run that has read `records` and not loaded them yet."""
        return self.begin().read(records, **params)

    def load(self, *records: Record, **params: Any) -> None:
        """A whole run."""
        self.run(list(records), **params).load()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows; tables are found without their schema."""
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET search_path = datasets_raw; {sql}")
            return cursor.fetchall()

    def known_columns(self, table: str = "datasets") -> dict[str, str]:
        """The columns of the API's fields, with their types, as the next run will restore them."""
        ((text,),) = self.query(
            "SELECT schema FROM _dlt_version WHERE schema_name = 'datasets' ORDER BY inserted_at DESC LIMIT 1"
        )
        columns = json.loads(text)["tables"][table]["columns"]
        return {
            name: column.get("data_type")
            for name, column in columns.items()
            if not name.startswith(("_dlt", "_row_hash"))
        }


class Run:
    """One run, step by step."""

    def __init__(self, url: str, home: Path) -> None:
        place = urlsplit(url)
        destination = side_by_side_postgres(
            credentials={
                "host": place.hostname,
                "port": place.port or 5432,
                "username": place.username,
                "password": place.password or "",
                "database": place.path.lstrip("/"),
            },
            destination_name="postgres",
            staging_dataset_name_layout=f"%s_staging_{home.name}",
            replace_strategy="insert-from-staging",
        )
        self.destination = destination
        self.proof: LoadProof | None = None
        self.pipeline = dlt.pipeline(
            "datasets", destination=destination, dataset_name="datasets_raw", pipelines_dir=str(home)
        )
        self.pipeline.sync_destination()

    def read(
        self, records: list[Record], note: str | None = None, source_name: str | None = None, **params: Any
    ) -> "Run":
        """Read `records` and normalize them. `note` is put into dlt's state, where a resource may keep things.

        `source_name`: runs that name the same one read the same collection; None: it is this run's own.
        """
        with ApiServer(records) as server:
            options = resolve_options(DATASETS, {"base_url": server.url, "api_key": "key", **params})
            mode, progress = SYNC_MODES[options.sync_mode], ReadProgress()
            source = source_of(DATASETS, ResourceRead(options, mode, progress=progress))
            name = source_name or self.pipeline.pipelines_dir
            self.proof = LoadProof("datasets", mode, name, options.cursor_path, progress)
            self.destination.proofs = {"datasets": self.proof}
            source.resources["datasets"].apply_hints(file_format="parquet")
            if note:
                source.resources["datasets"].add_map(
                    lambda item: [item, dlt.current.source_state().update(note=note)][0]
                )
            self.pipeline.extract(source)
        self.pipeline.normalize()
        return self

    def load(self) -> None:
        """Load what was read."""
        self.pipeline.load()


@pytest.fixture
def place(postgres_url: str, dlt_home: Path) -> Iterator[Place]:
    """A `Place` that is empty."""
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        yield Place(urlsplit(postgres_url)._replace(path=f"/{name}").geturl(), dlt_home)
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_two_runs_that_each_bring_a_column_are_both_remembered(place: Place) -> None:
    place.load({"id": 1})
    first, second = place.run([{"id": 2, "share": 0.5}]), place.run([{"id": 3, "code": "0012"}])
    first.load()
    second.load()
    assert place.known_columns() == {"id": "bigint", "share": "double", "code": "text"}
    # Inferred anew, 7 would be a column of integers and be rounded on its way into the one that is there.
    place.load({"id": 4, "share": 2**53 + 1, "code": 7})
    assert place.query("SELECT id, share, code FROM datasets ORDER BY id") == [
        (1, None, None),
        (2, 0.5, None),
        (3, None, "0012"),
        (4, None, "7"),
    ]
    assert place.query("SELECT share__v_bigint FROM datasets WHERE id = 4") == [(2**53 + 1,)]


@pytest.mark.parametrize(
    ("earlier", "later", "kept"),
    [(1, 1.5, "share__v_double"), (0.5, 2**53 + 1, "share__v_bigint"), (1, "one", "share__v_text")],
)
def test_two_runs_that_bring_the_same_column_in_two_types_lose_nothing(
    place: Place, earlier: Any, later: Any, kept: str
) -> None:
    place.load({"id": 1})
    first, second = place.run([{"id": 2, "share": earlier}]), place.run([{"id": 3, "share": later}])
    first.load()
    with pytest.raises(PipelineStepFailed) as failure:
        second.load()
    reason = causes(failure.value)[-1]
    assert isinstance(reason, TransientError)
    assert "`share`" in str(reason)
    assert CausalRetryPolicy().evaluate(failure.value, try_number=1, max_tries=3).action == RetryAction.RETRY
    # Nothing of it is there, and Airflow's next try finds the column as it is.
    assert place.query("SELECT id FROM datasets ORDER BY id") == [(1,), (2,)]
    place.load({"id": 3, "share": later})
    assert place.query(f"SELECT id, share, {kept} FROM datasets WHERE id > 1 ORDER BY id") == [
        (2, earlier, None),
        (3, None, later),
    ]


def test_first_loads_into_an_empty_database_at_the_same_moment(place: Place) -> None:
    runs = [place.run([{"id": number, f"field_{number}": number}]) for number in range(4)]
    for run in reversed(runs):
        run.load()
    assert place.query("SELECT id, field_0, field_3 FROM datasets ORDER BY id") == [
        (0, 0, None),
        (1, None, None),
        (2, None, None),
        (3, None, 3),
    ]
    assert set(place.known_columns()) == {"id", *(f"field_{number}" for number in range(4))}


def test_a_merge_waits_for_that_of_another_run(place: Place) -> None:
    place.load({"id": 1, "name": "old"})
    run = place.run([{"id": 1, "name": "new"}, {"id": 2, "name": "new"}])
    with closing(psycopg2.connect(place.url)) as connection, ThreadPoolExecutor(1) as pool:
        connection.autocommit = True
        other = connection.cursor()
        other.execute("BEGIN")
        # As another run does, from the first statement of its merge to the commit.
        locks.lock(other, 'table "datasets_raw"."datasets"')
        loading = pool.submit(contextvars.copy_context().run, run.load)
        try:
            while not loading.done() and not waits_for_a_lock(other):
                time.sleep(0.02)
            assert not loading.done()
            assert place.query("SELECT id, name FROM datasets") == [(1, "old")]
        finally:
            other.execute("ROLLBACK")
        loading.result(timeout=60)
    assert place.query("SELECT id, name FROM datasets ORDER BY id") == [(1, "new"), (2, "new")]


def waits_for_a_lock(cursor: Any) -> bool:
    cursor.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON database = pg_database.oid "
        "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )
    return bool(cursor.fetchone() == (1,))


def test_a_run_that_does_not_know_a_child_table_leaves_no_row_without_its_record(place: Place) -> None:
    place.load({"id": 1, "name": "a"})
    # The second brings nothing new: dlt finds its schema stored, and would not look at the newest.
    first, second = place.run([{"id": 1, "name": "b", "tags": ["t"]}]), place.run([{"id": 1, "name": "c"}])
    first.load()
    with pytest.raises(PipelineStepFailed, match="has added the table `datasets__tags`"):
        second.load()
    assert place.query(
        "SELECT d.name, t.value FROM datasets d JOIN datasets__tags t ON t._dlt_root_id = d._dlt_id"
    ) == [("b", "t")]
    place.load({"id": 1, "name": "c"})
    assert place.query("SELECT name FROM datasets") == [("c",)]
    assert place.query("SELECT * FROM datasets__tags") == []


def test_a_column_that_was_null_in_one_run_has_the_type_of_the_other(place: Place) -> None:
    place.load({"id": 1})
    first, second = (
        place.run([{"id": 2, "share": 1}]),
        place.run([{"id": 3, "share": None, "tags": []}, {"id": 4, "n": 1}]),
    )
    first.load()
    second.load()
    assert place.known_columns() == {"id": "bigint", "share": "bigint", "n": "bigint"}
    place.load({"id": 5, "share": 2})
    assert place.query("SELECT id, share FROM datasets WHERE share IS NOT NULL ORDER BY id") == [(2, 1), (5, 2)]


def test_the_newest_schema_is_so_by_the_clock_of_the_server(place: Place) -> None:
    place.load({"id": 1})
    first, second = place.run([{"id": 2, "share": 1}]), place.run([{"id": 3, "code": "c"}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlt.destinations.job_client_impl.datetime", FastClock)
        first.load()
    second.load()
    assert set(place.known_columns()) == {"id", "share", "code"}


class FastClock(datetime):
    """An hour fast."""

    @classmethod
    def now(cls, tz: Any = None) -> "FastClock":
        return super().now(tz) + timedelta(hours=1)


def test_a_load_of_nothing_does_not_forget_that_there_is_something(place: Place) -> None:
    first, second = place.run([{"id": 1, "name": "a"}], nested="json"), place.run([], nested="json")
    first.load()
    second.load()
    assert set(place.known_columns()) == {"id", "name"}
    place.run([], sync_mode="replace").load()
    assert place.query("SELECT * FROM datasets") == []


# --- dlt's state


def restored(place: Place) -> tuple[int, str]:
    """What a run that begins now finds: the version of dlt's state, and the note in it."""
    state = place.begin().pipeline.state
    return state["_state_version"], state["sources"]["datasets"]["note"]


def test_the_state_never_moves_backwards_in_whatever_order_runs_begin_and_end(place: Place) -> None:
    place.run([{"id": 0}], note="first").load()
    assert restored(place) == (1, "first")
    early, slow = place.begin(), place.run([{"id": 1}], note="slow")
    fast = place.run([{"id": 2}], note="fast")
    found = [restored(place)]
    for run in (fast, slow):
        run.load()
        found.append(restored(place))
    place.run([{"id": 3}], note="next").load()
    found.append(restored(place))
    # It began with the first state, and reads after all others: dlt goes by the time of the reading.
    early.read([{"id": 4}], note="early").load()
    found.append(restored(place))
    assert found == [(1, "first"), (2, "fast"), (2, "fast"), (3, "next"), (3, "next")]
    # A run that is killed before its end has not changed it.
    place.run([{"id": 5}], note="killed")
    assert restored(place) == (3, "next")
    place.run([{"id": 6}], note="last").load()
    assert restored(place) == (4, "last")


def test_nothing_of_this_project_is_kept_in_the_state(place: Place) -> None:
    for mode in ("merge", "replace", "append", "merge"):
        place.load({"id": 1}, sync_mode=mode, cursor_path=None)
    states = [decompress_state(text) for (text,) in place.query("SELECT state FROM _dlt_pipeline_state")]
    assert len(states) == 2
    assert [state.get("sources") for state in states] == [None, {"datasets": {}}]
    assert {state["destination_type"] for state in states} == {"dlt.destinations.postgres"}


def test_what_is_staged_has_no_index_and_the_table_has_its_own(place: Place) -> None:
    place.load({"id": 1, "tags": ["a"]})
    found = place.query(
        "SELECT schemaname LIKE '%staging%', tablename FROM pg_indexes WHERE tablename LIKE 'datasets%'"
    )
    assert sorted(found) == [(False, "datasets"), (False, "datasets__tags")]
    staged = place.query("SELECT DISTINCT tablename FROM pg_tables WHERE schemaname LIKE 'datasets_raw_staging%'")
    assert {"datasets", "datasets__tags"} <= {table for (table,) in staged}


def test_a_reader_that_began_before_a_replacement_sees_the_table_as_it_was(place: Place) -> None:
    place.load({"id": 1, "tags": ["a"]}, {"id": 2, "tags": []})
    with closing(psycopg2.connect(place.url)) as connection, connection.cursor() as cursor:
        connection.set_session(isolation_level="REPEATABLE READ")
        # It has begun, and has not looked at the table yet.
        cursor.execute("SELECT 1")
        place.load({"id": 3, "tags": ["b"]}, sync_mode="replace")
        cursor.execute(
            "SELECT id, value FROM datasets_raw.datasets JOIN datasets_raw.datasets__tags ON _dlt_root_id = datasets._dlt_id"
        )
        assert cursor.fetchall() == [(1, "a")]
    assert place.query("SELECT id FROM datasets") == [(3,)]


def test_what_is_staged_is_not_written_twice(place: Place) -> None:
    place.load({"id": 1, "tags": ["a"]})
    found = place.query(
        "SELECT relnamespace::regnamespace::text LIKE '%staging%', relpersistence FROM pg_class "
        "WHERE relname IN ('datasets', 'datasets__tags')"
    )
    assert sorted(found) == [(False, "p"), (False, "p"), (True, "u"), (True, "u")]


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_a_server_that_crashed_after_the_staging_is_not_loaded_from(
    place: Place, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    place.load({"id": 1})
    copy = ParquetCopyJob.run

    def copy_and_crash(job: ParquetCopyJob) -> None:
        copy(job)
        # As PostgreSQL recovers: every unlogged table is empty.
        found = place.query("SELECT oid::regclass::text FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'")
        with closing(psycopg2.connect(place.url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(table for (table,) in found)}")
            connection.commit()

    monkeypatch.setattr(ParquetCopyJob, "run", copy_and_crash)
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    with pytest.raises(PipelineStepFailed, match="has emptied the staging tables") as failure:
        place.load({"id": 2}, sync_mode=mode)
    assert CausalRetryPolicy().evaluate(failure.value, try_number=1, max_tries=3).action == RetryAction.RETRY
    assert place.query("SELECT id FROM datasets") == [(1,)]


# --- the newest version wins


def version(number: int, cursor: Any, tags: int = 1, path: str = "updated_at") -> Record:
    """A record that says when it changed, with that many tags."""
    at = {"updated_at": cursor} if path == "updated_at" else {"meta": {"updated_at": cursor}}
    return {"id": number, "v": f"at {cursor}", "tags": [{"name": f"{cursor} {tag}"} for tag in range(tags)], **at}


INSTANTS = {
    "timestamps": ("2026-10-03T01:00:00Z", "2026-10-03T01:00:00.5+00:00"),
    "offsets": ("2026-10-03T04:00:00+05:00", "2026-10-03T01:00:00Z"),
    "dates": ("2026-10-03", "2026-10-04"),
    "date and instant": ("2026-10-03", "2026-10-03T00:00:01Z"),
    "seconds": (1_790_000_000, 1_790_000_001),
    "fractions": (1_790_000_000.25, 1_790_000_000.5),
    "seconds and milliseconds": (1_790_000_000, 1_790_000_000_001),
}


@pytest.mark.parametrize(
    ("kind", "path", "nested"),
    [
        *((kind, "updated_at", "tables") for kind in INSTANTS),
        ("timestamps", "meta.updated_at", "tables"),
        # There the cursor is in the JSON of a column. Texts with an offset are compared by the read that brought them.
        *((kind, "meta.updated_at", "json") for kind in INSTANTS if kind != "offsets"),
    ],
)
def test_an_older_version_never_replaces_a_newer_one(place: Place, kind: str, path: str, nested: str) -> None:
    old, new = INSTANTS[kind]
    params = {"cursor_path": path, "nested": nested}
    place.load(version(0, old, path=path), **params)
    slow = place.run([version(1, old, 1, path), version(2, new, 1, path), version(3, new, 3, path)], **params)
    fast = place.run([version(1, new, 2, path), version(2, old, 2, path)], **params)
    fast.load()
    slow.load()
    assert place.query("SELECT id, v FROM datasets ORDER BY id") == [
        (0, f"at {old}"),
        *((number, f"at {new}") for number in (1, 2, 3)),
    ]
    assert slow.proof
    assert slow.proof.notes == {"superseded_rows": 1}
    assert slow.proof.loaded_rows == 2
    if nested == "tables":
        tags = "SELECT d.id, t.name FROM datasets d JOIN datasets__tags t ON t._dlt_root_id = d._dlt_id ORDER BY 1, 2"
        assert place.query(tags) == [
            (0, f"{old} 0"),
            *((1, f"{new} {tag}") for tag in range(2)),
            (2, f"{new} 0"),
            *((3, f"{new} {tag}") for tag in range(3)),
        ]
        assert place.query("SELECT count(*) FROM datasets__tags") == [(7,)]


def test_cursors_that_cannot_be_compared_go_by_the_read(place: Place) -> None:
    params = {"cursor_path": "updated_at"}
    place.load({"id": 0, "updated_at": "the first day"}, **params)
    slow = place.run([{"id": 1, "updated_at": "2026-10-03T01:00:00+02:00", "v": "slow"}], **params)
    fast = place.run([{"id": 1, "updated_at": "2026-10-03T01:00:00Z", "v": "fast"}], **params)
    fast.load()
    slow.load()
    assert place.query("SELECT v FROM datasets WHERE id = 1") == [("fast",)]


@pytest.mark.parametrize("mode", ["merge", "replace", "scd2"])
def test_a_snapshot_that_a_later_one_has_overtaken_merges_nothing(place: Place, mode: str) -> None:
    params = {"sync_mode": mode, "source_name": "one"}
    place.load({"id": 1, "v": 0}, **params)
    slow = place.run([{"id": 1, "v": 1}, {"id": 2, "v": 1, "tags": ["a"]}], **params)
    fast = place.run([{"id": 1, "v": 2}, {"id": 3, "v": 2, "tags": ["b"]}], **params)
    fast.load()
    before = place.query("SELECT d::text FROM datasets d ORDER BY 1")
    slow.load()
    assert place.query("SELECT d::text FROM datasets d ORDER BY 1") == before
    assert slow.proof
    assert fast.proof
    (newest,) = fast.pipeline.last_trace.last_load_info.loads_ids
    assert (slow.proof.loaded_rows, slow.proof.notes) == (0, {"superseded_by": newest})
    assert fast.proof.notes == {}
    # And in their order, both are merged.
    place.load({"id": 1, "v": 3}, **params)
    active = " WHERE _dlt_valid_to IS NULL" if mode == "scd2" else ""
    assert (1, 3) in place.query(f"SELECT id, v FROM datasets{active}")


@pytest.mark.parametrize("mode", ["replace", "scd2"])
def test_a_snapshot_that_finds_nothing_has_overtaken_as_well(place: Place, mode: str) -> None:
    params = {"sync_mode": mode, "source_name": "one"}
    place.load({"id": 1, "v": 0}, **params)
    slow, fast = place.run([{"id": 1, "v": 1}], **params), place.run([{"id": 1, "v": 0}], **params)
    fast.load()
    slow.load()
    assert place.query("SELECT v FROM datasets") == [(0,)]


def test_a_snapshot_does_not_undo_what_a_window_has_brought_meanwhile(place: Place) -> None:
    place.load({"id": 1, "v": 0, "updated_at": "2026-10-01T00:00:00Z"}, cursor_path="updated_at")
    everything = place.run([{"id": 1, "v": 1, "updated_at": "2026-10-02T00:00:00Z"}, {"id": 2}], sync_mode="replace")
    place.load({"id": 1, "v": 2, "updated_at": "2026-10-03T00:00:00Z"}, cursor_path="updated_at")
    with pytest.raises(PipelineStepFailed, match="may have older versions") as failure:
        everything.load()
    assert CausalRetryPolicy().evaluate(failure.value, try_number=1, max_tries=3).action == RetryAction.RETRY
    assert place.query("SELECT v FROM datasets") == [(2,)]


def test_snapshots_of_other_sources_do_not_overtake_a_merge(place: Place) -> None:
    first, second = place.run([{"id": 1}], source_name="one"), place.run([{"id": 2}], source_name="two")
    second.load()
    first.load()
    assert place.query("SELECT id FROM datasets ORDER BY id") == [(1,), (2,)]


def test_a_read_is_dated_by_the_clock_of_the_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # This worker is a day fast, in what it reads and in what it merges.
    now = time.time
    with monkeypatch.context() as patch:
        patch.setattr("dlt.common.storages.load_package.precise_time", lambda: now() + 86_400)
        patch.setattr("include.load.destinations.postgres.newest.time", SimpleNamespace(time=lambda: now() + 86_400))
        place.load({"id": 1, "v": 1}, source_name="one")
    place.load({"id": 1, "v": 2}, source_name="one")
    assert place.query("SELECT v FROM datasets") == [(2,)]
