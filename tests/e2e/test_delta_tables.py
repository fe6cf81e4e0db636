"""The DAG into Delta tables of a folder: every sync mode, twice and with changes, and what is refused."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Deployment
from tests.support.airflow_run import day
from tests.support.api_server import Answer, ApiServer, numbered

if not find_spec("deltalake"):
    pytest.skip("deltalake is not installed: see requirements-destinations/delta.txt", allow_module_level=True)

import deltalake


def record(number: int, version: int = 1, tags: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    """A record with nested values and times, and with text beyond ASCII."""
    return {
        "id": number,
        "version": version,
        "name": "Größe 'ß'",
        "updated_at": "2026-01-02T03:04:05.678901Z",
        "tags": [{"name": tag} for tag in tags],
    }


BEFORE = [record(1), record(2), record(3)]
# The first is as it was, the second has changed, the third is gone, the fourth is new.
AFTER = [record(1), record(2, version=2, tags=("c",)), record(4, tags=())]
UNCHANGED = [(1, 1), (2, 1), (3, 1)]
EXPECTED = {
    "merge": (UNCHANGED, [(1, 1), (2, 2), (3, 1), (4, 1)]),
    "replace": (UNCHANGED, [(1, 1), (2, 2), (4, 1)]),
    "append": (sorted(UNCHANGED * 2), sorted([*UNCHANGED * 2, (1, 1), (2, 2), (4, 1)])),
}


@pytest.fixture
def folder(deployment: Deployment, tmp_path: Path) -> Path:
    """A folder for Delta tables as the destination of the deployment."""
    folder = tmp_path / "lake"
    deployment.destination(conn_type="fs", extra={"path": str(folder), "table_format": "delta"})
    deployment.options(nested="json")
    return folder


def table(folder: Path) -> deltalake.DeltaTable:
    return deltalake.DeltaTable(str(folder / "datasets_raw" / "datasets"))


def rows(folder: Path, *columns: str) -> list[tuple[Any, ...]]:
    found = table(folder).to_pyarrow_table(columns=list(columns)).to_pylist()
    return sorted(tuple(row[column] for column in columns) for row in found)


@pytest.mark.parametrize("mode", EXPECTED)
def test_each_mode_twice_and_then_with_changes(folder: Path, deployment: Deployment, api: ApiServer, mode: str) -> None:
    same, changed = EXPECTED[mode]
    api.records = BEFORE
    deployment.run(sync_mode=mode)
    assert rows(folder, "id", "version") == UNCHANGED
    deployment.run(sync_mode=mode)
    assert rows(folder, "id", "version") == same
    api.records = AFTER
    outcome = deployment.run(sync_mode=mode)
    assert rows(folder, "id", "version") == changed
    assert (2, 2, json.dumps([{"name": "c"}], separators=(",", ":"))) in rows(folder, "id", "version", "tags")
    assert outcome.xcom["loaded_rows"] == outcome.xcom["read_rows"] == 3
    # Cleared, it adds nothing.
    deployment.run_again(outcome)
    assert rows(folder, "id", "version") == changed
    assert [path.name for path in folder.iterdir()] == ["datasets_raw"]
    assert not (folder / "datasets_raw" / "datasets__tags").exists()


def test_a_run_that_appended_is_replaced_by_what_it_reads_now(
    folder: Path, deployment: Deployment, api: ApiServer
) -> None:
    deployment.options(nested="json", sync_mode="append")
    api.records = BEFORE
    deployment.run()
    outcome = deployment.run()
    api.records = [record(1, version=2)]
    deployment.run_again(outcome)
    assert rows(folder, "id", "version") == sorted([*UNCHANGED, (1, 2)])


@pytest.mark.parametrize("mode", EXPECTED)
def test_records_that_do_not_go_in_columns(folder: Path, deployment: Deployment, api: ApiServer, mode: str) -> None:
    api.records = [{"id": 1, "a": 1, "when": "2026-01-02"}, {"id": 2, "a": "x"}, {"id": 3, "a": 2**70, "b": 0.5}]
    deployment.run(sync_mode=mode)
    api.records.append({"id": 4, "new": True})
    deployment.run(sync_mode=mode)
    found = rows(folder, "id", "a", "a__v_text", "new")
    assert {row[0] for row in found} == {1, 2, 3, 4}
    assert (2, None, "x", None) in found
    assert (4, None, None, True) in found


def test_windows_are_merged(folder: Path, deployment: Deployment, api: ApiServer) -> None:
    api.records = [{"id": n, "updated_at": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2, 3)]
    deployment.options(nested="json", cursor_path="updated_at")
    for number in (2, 1):
        deployment.run("backfill", day(number))
    assert rows(folder, "id") == [(1,), (2,)]
    # What is covered is read back from the reports.
    deployment.run()
    assert rows(folder, "id") == [(1,), (2,), (3,)]


def test_an_empty_collection_empties_the_table_only_in_replace(
    folder: Path, deployment: Deployment, api: ApiServer
) -> None:
    api.records = BEFORE
    deployment.run()
    api.records = []
    deployment.run()
    assert rows(folder, "id", "version") == UNCHANGED
    deployment.run(sync_mode="replace")
    assert rows(folder, "id", "version") == []


@pytest.mark.parametrize("mode", EXPECTED)
def test_a_failed_run_leaves_the_table(
    folder: Path, deployment: Deployment, api: ApiServer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    api.records = [record(number) for number in range(150)]
    deployment.run(sync_mode=mode)
    version = table(folder).version()
    # The second page, whether it overlaps the first or not.
    for offset in (99, 100):
        api.fail(99, Answer(404), offset=offset)
    assert deployment.airflow.run(sync_mode=mode).task_state == "failed"
    api.records = [record(1, version=2)]

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space")

    for step in ("write_delta_table", "merge_delta_table"):
        monkeypatch.setattr(f"dlt.common.libs.deltalake.{step}", fail)
    outcome = deployment.airflow.run(sync_mode=mode)
    assert outcome.task_state == "failed"
    assert "no space" in str(outcome.error)
    assert table(folder).version() == version
    assert rows(folder, "id", "version") == [(number, 1) for number in range(150)]


def test_the_modes_without_history_follow_each_other(folder: Path, deployment: Deployment, api: ApiServer) -> None:
    api.records = [record(1), record(2)]
    deployment.run()
    deployment.run(sync_mode="append")
    assert rows(folder, "id") == [(1,), (1,), (2,), (2,)]
    # dlt's merge would update both rows of a record.
    assert "Rows were appended to the Delta table `datasets`" in deployment.refused()
    deployment.run(sync_mode="replace")
    assert rows(folder, "id") == [(1,), (2,)]
    deployment.run(sync_mode="append")
    assert rows(folder, "id") == [(1,), (1,), (2,), (2,)]


def test_what_cannot_be_is_refused_with_a_sentence(folder: Path, deployment: Deployment) -> None:
    reason = deployment.refused(sync_mode="scd2")
    assert "cannot do the sync mode `scd2`; it can do `merge`, `replace`, `append`." in reason
    deployment.options()
    assert "set the option `nested` to `json`" in deployment.refused()
    deployment.destination(conn_type="fs", extra={"path": str(folder), "table_format": "iceberg"})
    assert "Connection `datasets_destination`: the field `extra.table_format` must be `delta`" in deployment.refused()
    assert not folder.exists()


def test_a_table_keeps_the_format_that_it_was_made_in(folder: Path, deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(3)
    deployment.run(sync_mode="replace")
    deployment.destination(conn_type="fs", extra={"path": str(folder)})
    assert "was made as a Delta table" in deployment.refused(sync_mode="replace")
    assert len(rows(folder, "id")) == 3

    plain = folder.with_name("plain")
    deployment.destination(conn_type="fs", extra={"path": str(plain)})
    deployment.run(sync_mode="replace")
    deployment.destination(conn_type="fs", extra={"path": str(plain), "table_format": "delta"})
    assert "was made of plain files" in deployment.refused(sync_mode="replace")
