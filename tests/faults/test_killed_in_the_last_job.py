"""A process that is killed inside its last job leaves the table as it was, wherever it is killed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.load.destinations.duckdb.client import lean_duckdb
from tests.support import killed_load
from tests.support.killed_load import Load

SETTINGS = {"staging_dataset_name_layout": "%s_staging_0123456789ab", "replace_strategy": "insert-from-staging"}
# As the source says it: what a run appends is merged by the run.
OF_A_RUN = {"append": {"primary_key": None, "merge_key": "_run_id"}}
# `nested=json` is `flat` to a job: one table.
CASES = [(mode, nested) for mode in ("merge", "replace", "append", "scd2") for nested in (False, True)]

Place = tuple[Callable[[int], Load], Callable[[], list[Any]]]


def records(version: int, nested: bool) -> list[dict[str, Any]]:
    """Twenty records of a version.

    None has a name with create, alter or drop in it: dlt looks for those words in the SQL, and they would hide a fault.
    """
    tags = {"tags": [{"name": f"tag {version}"}]} if nested else {}
    return [{"id": number, "version": version, "_run_id": "run", **tags} for number in range(20)]


def stays_as_it_was(load: Callable[[int], Load], content: Callable[[], list[Any]], versions: Callable[[], Any]) -> None:
    """The first version is loaded; the second is killed at each place of its last job, and then loaded."""
    statements = killed_load.run(load(1))
    old = content()
    assert len(statements) >= 2
    for number in range(1, len(statements) + 1):
        done = killed_load.run(load(2), killed_before=number)
        assert len(done) == number
        assert content() == old, f"killed after {done[-1]}"
    killed_load.run(load(2))
    assert versions() == 2


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
        tables = ("datasets", "datasets__tags") if nested else ("datasets",)
        return [query(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]

    stays_as_it_was(load, content, lambda: query("SELECT max(version) FROM datasets")[0][0])
