"""A load is compared with what was read: rows that are missing fail the run, rows that others wrote do not."""

from collections.abc import Hashable, Iterator
from typing import Any

import duckdb
import pytest

from include.configure.choices import SyncModeName
from include.decide.sync_mode import SYNC_MODES
from include.errors import TransientError
from include.extract.completeness import ReadProgress
from include.extract.key_set import KeySet
from include.prove.reconciliation import KEYS_PER_QUERY, reconcile
from tests.support.api_server import ApiServer, numbered
from tests.unit.conftest import Loader


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(numbered(150)) as server:
        yield server


def check(loader: Loader, mode: SyncModeName = "merge", key: str = "id", ids: set[Hashable] | None = None) -> int:
    """Reconcile the last load."""
    progress = loader.progress if ids is None else ReadProgress(ids=KeySet(ids))
    load_ids = loader.pipeline.last_trace.last_load_info.loads_ids
    return reconcile(loader.pipeline.dataset(), "datasets", [key], SYNC_MODES[mode], load_ids, progress)


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
    with pytest.raises(TransientError, match=f"150 records were read .* {missing} of them are not in the table"):
        check(loader)


def test_rows_that_another_run_has_written_since_are_there(loader: Loader, server: ApiServer) -> None:
    loader.run(server)
    change(loader, "UPDATE datasets SET _dlt_load_id = 'of another run' WHERE id < 60")
    assert check(loader) == 90


def test_missing_rows_are_not_hidden_by_those_of_another_run(loader: Loader, server: ApiServer) -> None:
    loader.run(server)
    change(loader, "UPDATE datasets SET _dlt_load_id = 'of another run' WHERE id < 60")
    change(loader, "DELETE FROM datasets WHERE id IN (3, 149)")
    with pytest.raises(TransientError, match=" 2 of them are not"):
        check(loader)


@pytest.mark.parametrize(
    "ids",
    [
        ["a", "b'c", "d\\", 'e"f', "é", "日本", "%s", "{x}", "a;--", ":name", "?"],
        [0, -1, 2**63 - 1],
        [1.5, -2.25, 1e300],
        ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"],
        ["2024-01-01", "2024-01-02"],
        [2**70, 2**70 + 1],
    ],
    ids=["texts", "integers", "fractions", "timestamps", "dates", "large integers"],
)
def test_keys_of_every_kind_are_found_again(loader: Loader, server: ApiServer, ids: list[Any]) -> None:
    server.records = [{"id": value} for value in ids]
    loader.run(server)
    change(loader, "UPDATE datasets SET _dlt_load_id = 'of another run'")
    assert check(loader) == 0


@pytest.mark.parametrize("key", ["datasetId", "ID", "dataset-id", "order", "id 1"])
def test_a_key_is_found_under_the_name_of_its_column(loader: Loader, server: ApiServer, key: str) -> None:
    server.records = [{key: number} for number in range(5)]
    loader.run(server, primary_key=key)
    change(loader, "UPDATE datasets SET _dlt_load_id = 'of another run'")
    assert check(loader, key=key) == 0


def test_more_keys_than_one_statement_takes_are_looked_for(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(2 * KEYS_PER_QUERY + 1)
    loader.run(server)
    change(loader, f"DELETE FROM datasets WHERE id IN (0, {KEYS_PER_QUERY}, {2 * KEYS_PER_QUERY})")
    with pytest.raises(TransientError, match=" 3 of them are not"):
        check(loader)
