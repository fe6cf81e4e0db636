"""What is stored opens with dlt alone, and what commit 7782162 has stored goes on loading.

The warehouses that it made lie in `tests/fixtures/warehouses`, with the script that made them.
"""

import gzip
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest
from dlt.common.destination import Destination

from include.apis.datasets import DATASETS
from include.configure.resolution import resolve_options
from include.decide.sync_mode import SYNC_MODES, SyncModeName
from include.extract.read import ResourceRead
from include.extract.source import source_of
from include.load.destinations.duckdb.client import kept_open, lean_duckdb
from include.load.destinations.postgres.client import side_by_side_postgres
from include.load.kind import DestinationValues
from include.load.kinds import kinds
from include.load.proof import LoadProof
from include.load.stored_schema import forget_our_normalizer
from include.report.history import LoadReport, read_reports, write_report
from tests.fixtures.warehouses.make import HERE, MODES, records
from tests.support.api_server import ApiServer
from tests.support.dlt_home import dlt_in

Rows = list[dict[str, Any]]

# A machine without this project: dlt, and nothing of `include`. One process for all: dlt's command takes seconds to begin.
WITH_DLT_ALONE = """
import importlib.util, json, sys
import dlt
from dlt._workspace.cli._dlt import main
assert importlib.util.find_spec("include") is None
seen = []
for kind, address, dataset in json.loads(sys.argv[1]):
    destination = getattr(dlt.destinations, kind)(address)
    found = dlt.dataset(destination, dataset)
    rows = found.table("datasets").fetchall()
    pipeline = dlt.pipeline("datasets", destination=destination, dataset_name=dataset)
    pipeline.drop()
    pipeline.sync_destination()
    seen.append({"tables": found.tables, "rows": len(rows), "synced": pipeline.default_schema.data_table_names()})
    sys.argv = ["dlt", "pipeline", "datasets", "info"]
    assert not main()
print(json.dumps(seen))
"""


class Warehouse:
    """A warehouse that an old version has made, with one dataset a mode."""

    def __init__(self, kind: str, address: str) -> None:
        self.kind = kind
        self.address = address

    def destination(self) -> Destination[Any, Any]:
        make: Any = lean_duckdb if self.kind == "duckdb" else side_by_side_postgres
        made: Destination[Any, Any] = make(self.address, destination_name=self.kind)
        return made

    def load(self, mode: SyncModeName, found: Rows, run_id: str = "run 2") -> dlt.Pipeline:
        """One load with its report, as the task does; from an empty folder, as on a new worker."""
        destination = self.destination()
        pipeline = dlt.pipeline("datasets", destination=destination, dataset_name=f"{mode}_raw")
        pipeline.drop()
        opened: Any = pipeline.destination_client()
        with opened as client:
            forget_our_normalizer(client, DATASETS.name)
        pipeline.sync_destination()
        with ApiServer(found) as server:
            options = resolve_options(DATASETS, {"base_url": server.url, "api_key": "key"})
            read = ResourceRead(options, SYNC_MODES[mode])
            proof = LoadProof("datasets", read.mode, "source", None, read.progress, keys=("id",))
            destination.proofs = {"datasets": proof}  # type: ignore[attr-defined]
            source = source_of(DATASETS, read, run_id)
            source.resources["datasets"].apply_hints(**kinds()[self.kind].hints(ANY_VALUES, read.mode, ["id"], run_id))
            info = pipeline.run(source)
        info.raise_on_failed_jobs()
        write_report(replace(REPORT, load_id=info.loads_ids[0]), pipeline)
        return pipeline

    def rows(self, mode: str, table: str = "datasets") -> Rows:
        pipeline = dlt.pipeline("looks", destination=self.destination(), dataset_name=f"{mode}_raw")
        with pipeline.sql_client() as client, client.execute_query(f"SELECT * FROM {table}") as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def with_dlt_alone(home: Path, *datasets: tuple[str, str, str]) -> list[dict[str, Any]]:
    """What dlt shows of each (its kind, its address, its name) on a machine without this project."""
    environment = {
        "DLT_DATA_DIR": str(home / "elsewhere"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        # Such a machine has no Airflow either; dlt would ask it for settings, and importing it takes four seconds.
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
    }
    run = subprocess.run(
        [sys.executable, "-I", "-c", WITH_DLT_ALONE, json.dumps(datasets)],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-2000:]
    seen: list[dict[str, Any]] = json.loads(run.stdout.splitlines()[-1])
    return seen


ANY_VALUES = DestinationValues("", {}, {}, ())
REPORT = LoadReport(
    resource="datasets",
    load_id="",
    dag_id="datasets",
    run_id="run 2",
    run_kind="manual",
    try_number=1,
    sync_mode="merge",
    window_start=None,
    window_end=None,
    started_at=datetime(2026, 11, 27, tzinfo=UTC),
    finished_at=datetime(2026, 11, 27, tzinfo=UTC),
    seconds=1.0,
    pages=1,
    passes=1,
    promised_rows=6,
    read_rows=6,
    loaded_rows=6,
    destination="duckdb",
)


@contextmanager
def old_warehouse(kind: str, url: str, home: Path) -> Iterator[Warehouse]:
    """A copy of what commit 7782162 has left."""
    if kind == "duckdb":
        file = home / "old.duckdb"
        file.write_bytes(gzip.decompress((HERE / "7782162.duckdb.gz").read_bytes()))
        yield Warehouse("duckdb", str(file))
        return
    # A database of its own: its schemas have the names that the old version gave them.
    name = f"datasets_test_{uuid.uuid4().hex[:12]}"
    own = urlsplit(url)._replace(path=f"/{name}").geturl()
    with closing(psycopg2.connect(url)) as server:
        server.autocommit = True
        server.cursor().execute(f"CREATE DATABASE {name}")
        try:
            with closing(psycopg2.connect(own)) as connection, connection:
                connection.cursor().execute((HERE / "7782162.sql").read_text())
            # dlt wants a password, also where the server does not.
            yield Warehouse("postgres", own if urlsplit(own).password else own.replace("@", ":unused@"))
        finally:
            server.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class Loaded:
    """A dataset of the old warehouse after one more load."""

    before: Rows
    rows: Rows
    parts: Rows
    codes: Rows
    load_id: str
    reports: int
    seen: dict[str, Any]


@pytest.fixture(scope="module", params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def loaded(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Loaded]:
    """Each dataset of the old warehouse, by its mode, after a load in which one record has changed."""
    home = tmp_path_factory.mktemp("old")
    changed = records(1)
    changed[3] |= {"Name": "another name", "price": "free"}
    found: dict[str, dict[str, Any]] = {}
    with dlt_in(home / "dlt"), old_warehouse(request.param, postgres_url, home) as warehouse:
        # As in a run; closed before a process with dlt alone opens it.
        with kept_open(Path(warehouse.address)) if warehouse.kind == "duckdb" else nullcontext():
            for mode in MODES:
                before = warehouse.rows(mode)
                pipeline = warehouse.load(mode, changed)
                found[mode] = {
                    "before": before,
                    "rows": warehouse.rows(mode),
                    "parts": warehouse.rows(mode, "datasets__parts"),
                    "codes": warehouse.rows(mode, "datasets__parts__codes"),
                    "load_id": pipeline.last_trace.last_load_info.loads_ids[0],
                    "reports": len(read_reports(pipeline, "datasets")),
                }
        seen = with_dlt_alone(home, *((warehouse.kind, warehouse.address, f"{mode}_raw") for mode in MODES))
    return {mode: Loaded(**found[mode], seen=of_mode) for mode, of_mode in zip(MODES, seen, strict=True)}


@pytest.mark.parametrize("mode", MODES)
def test_an_old_warehouse_goes_on_loading(loaded: dict[str, Loaded], mode: SyncModeName) -> None:
    rows, before = loaded[mode].rows, len(loaded[mode].before)
    # Columns keep their names, and values that do not fit go where they went before.
    assert set(rows[0]) == {*loaded[mode].before[0], "_row_hash"}
    newest = {row["id"]: row for row in rows if row["_dlt_load_id"] == loaded[mode].load_id}
    assert (newest[4]["name"], newest[4]["price"], newest[4]["price__v_text"]) == ("another name", None, "free")
    # The record that changed is written, and none of those that did not: they are compared by their values, and have a hash then.
    assert len(rows) == {"merge": 6, "append": before + 6, "scd2": before + 1}[mode]
    assert len(newest) == (6 if mode == "append" else 1)
    if mode == "append":
        assert (newest[5]["x"], newest[5]["user_id"], newest[5]["owner__first_name"]) == ("名 5", 50, "Ada")
        assert (newest[1]["open__v_bigint"], newest[1]["updated_at__v_text"], newest[2]["owner__age__v_text"]) == (
            7,
            "soon",
            "old",
        )
    assert loaded[mode].reports == 3


@pytest.mark.parametrize("mode", MODES)
def test_an_old_warehouse_opens_with_dlt_alone(loaded: dict[str, Loaded], mode: SyncModeName) -> None:
    seen = loaded[mode].seen
    tables = ["datasets", "datasets__parts", "datasets__parts__codes", "datasets__tags"]
    assert sorted(seen["synced"]) == tables
    assert [table for table in seen["tables"] if not table.startswith("_dlt")] == seen["synced"]
    assert seen["rows"] == len(loaded[mode].rows)


@pytest.mark.parametrize("mode", MODES)
def test_child_rows_of_an_old_warehouse_belong_to_their_records(loaded: dict[str, Loaded], mode: SyncModeName) -> None:
    ids = {row["_dlt_id"] for row in loaded[mode].rows}
    assert {row["_dlt_parent_id"] for row in loaded[mode].parts} <= ids
    assert len(loaded[mode].parts) == len(ids)
    assert {row["_dlt_root_id"] for row in loaded[mode].codes} == ids


def test_a_new_warehouse_opens_with_dlt_alone(dlt_home: Path, tmp_path: Path) -> None:
    """Also after the first load ever, when the history of loads was written last."""
    warehouse = Warehouse("duckdb", str(tmp_path / "new.duckdb"))
    after = []
    for run in ("run 1", "run 2"):
        warehouse.load("merge", records(0), run)
        (tmp_path / run).mkdir()
        after.append(shutil.copy(warehouse.address, tmp_path / run / "new.duckdb"))
    for seen in with_dlt_alone(tmp_path, *(("duckdb", str(file), "merge_raw") for file in after)):
        assert seen["rows"] == 6
        assert "datasets__parts__codes" in seen["tables"]


def test_nothing_of_this_project_is_in_what_dlt_stores(dlt_home: Path, tmp_path: Path) -> None:
    warehouse = Warehouse("duckdb", str(tmp_path / "new.duckdb"))
    warehouse.load("merge", records(1))
    stored = [row["schema"] for row in warehouse.rows("merge", "_dlt_version")]
    assert stored
    assert not [schema for schema in stored if "include." in schema]


def test_a_folder_of_an_old_version_opens_with_dlt_alone(dlt_home: Path, tmp_path: Path) -> None:
    """dlt keeps the schemas of a folder in files: the newest then has dlt's own normalizer."""
    destination = dlt.destinations.filesystem(str(tmp_path / "lake"))
    pipeline = dlt.pipeline("datasets", destination=destination, dataset_name="merge_raw")
    old: Any = {"json": {"module": "tests.support.lossless_normalizer"}}
    pipeline.run([{"id": 1}], table_name="datasets", schema=dlt.Schema("datasets", old), loader_file_format="parquet")
    for file in (tmp_path / "lake" / "merge_raw" / "_dlt_version").glob("*.jsonl"):
        # As that commit wrote it; its module is no more.
        file.write_text(file.read_text().replace("tests.support.lossless_normalizer", "include.lossless_normalizer"))
    pipeline.drop()
    opened: Any = pipeline.destination_client()
    with opened as client:
        forget_our_normalizer(client, "datasets")
        forget_our_normalizer(client, "datasets")
    pipeline.sync_destination()
    assert pipeline.default_schema.data_item_normalizer.__module__ == "dlt.common.normalizers.json.relational"
    assert len(list((tmp_path / "lake" / "merge_raw" / "_dlt_version").glob("*.jsonl"))) == 2
