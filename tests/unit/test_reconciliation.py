"""A load into a destination without transactions is counted afterwards: what is missing or too much fails the run.

What is proven before the commit is in tests/faults/test_proven_before_the_commit.py.
"""

from collections.abc import Iterator

import duckdb
import pytest

from include.configure.choices import SyncModeName
from include.decide.sync_mode import SYNC_MODES
from include.errors import TransientError
from include.load.proof import LoadProof
from include.prove.reconciliation import reconcile
from tests.support.api_server import ApiServer, numbered
from tests.unit.conftest import Loader


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(numbered(150)) as server:
        yield server


def check(loader: Loader, mode: SyncModeName = "merge") -> int:
    """Reconcile the last load, of which nothing was proven before its commit."""
    proof = LoadProof("datasets", SYNC_MODES[mode], "source", None, loader.progress)
    return reconcile(proof, loader.pipeline.dataset(), loader.pipeline.last_trace.last_load_info.loads_ids)


def change(loader: Loader, sql: str) -> None:
    with duckdb.connect(str(loader.database)) as connection:
        connection.execute("SET search_path = 'datasets_raw'")
        connection.execute(sql)


def test_a_whole_load_is_counted(loader: Loader, server: ApiServer) -> None:
    loader.run(server)
    assert check(loader) == 150


def test_a_second_load_counts_its_own_rows(loader: Loader, server: ApiServer) -> None:
    loader.run(server)
    server.records = numbered(10, first=145)
    loader.run(server)
    assert check(loader) == 10


def test_a_collection_without_records_needs_no_table(loader: Loader, server: ApiServer) -> None:
    server.records = []
    loader.run(server)
    assert check(loader) == 0
    assert loader.progress.promised_rows == 0


@pytest.mark.parametrize(("gone", "missing"), [("id = 7", 1), ("id >= 100", 50), ("true", 150)])
def test_rows_that_are_missing_fail_the_run_with_their_number(
    loader: Loader, server: ApiServer, gone: str, missing: int
) -> None:
    loader.run(server)
    change(loader, f"DELETE FROM datasets WHERE {gone}")
    with pytest.raises(
        TransientError, match=f"150 records were read .* {missing} of them are missing .* is in the table"
    ):
        check(loader)


def test_rows_that_are_too_many_fail_the_run(loader: Loader, server: ApiServer) -> None:
    loader.run(server)
    change(loader, "INSERT INTO datasets SELECT * REPLACE (_dlt_id || '_' AS _dlt_id) FROM datasets WHERE id < 3")
    with pytest.raises(
        TransientError, match="150 records were read from the API, and 153 rows are in the table `datasets`"
    ):
        check(loader)


def test_records_that_did_not_change_count_in_history(loader: Loader, server: ApiServer) -> None:
    loader.run(server, mode="scd2")
    assert check(loader, "scd2") == 150
    server.records = [*numbered(149), {"id": 149, "name": "changed"}]
    loader.run(server, mode="scd2")
    assert check(loader, "scd2") == 1
    change(loader, "DELETE FROM datasets WHERE id = 3")
    with pytest.raises(TransientError, match=" 1 of them are missing"):
        check(loader, "scd2")


def test_what_was_proven_before_the_commit_is_not_asked_again(loader: Loader, server: ApiServer) -> None:
    loader.run(server)
    proof = LoadProof("datasets", SYNC_MODES["merge"], "source", None, loader.progress, loaded_rows=150)
    change(loader, "DROP TABLE datasets")
    assert reconcile(proof, loader.pipeline.dataset(), ["load"]) == 150
