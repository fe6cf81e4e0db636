"""DuckDB in little memory: what fits is loaded with little, what does not fit is loaded all the same."""

from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.state_sync import decompress_state

from include.load.destinations.duckdb import client as duckdb_destination
from include.load.destinations.duckdb.client import kept_open, lean_duckdb


def load(home: Path, rows: int, **credentials: Any) -> tuple[Any, str]:
    """Load rows of 20 kB: how many are there then, and DuckDB's limit at the end."""
    file = home / "file.duckdb"
    pipeline = dlt.pipeline(
        "wide",
        destination=lean_duckdb(DuckDbCredentials(str(file), **credentials)),
        dataset_name="wide",
        pipelines_dir=str(home / "pipelines"),
    )
    records = ({"id": number, "text": f"{number:020d}" * 1000} for number in range(rows))
    with kept_open(file), duckdb.connect(str(file)) as connection:
        pipeline.run(
            records, table_name="wide", write_disposition="merge", primary_key="id", loader_file_format="parquet"
        )
        count = connection.execute("SELECT count(*), count(DISTINCT id), min(length(text)) FROM wide.wide").fetchone()
        ((limit,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    return count, limit


def test_what_fits_is_loaded_with_little_memory(dlt_home: Path) -> None:
    assert load(dlt_home, 10) == ((10, 10, 20_000), "95.3 MiB")


def test_what_does_not_fit_is_loaded_with_all_the_memory(dlt_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_destination, "MEMORY_AT_FIRST", "40MB")
    count, limit = load(dlt_home, 3000)
    assert count == (3000, 3000, 20_000)
    assert limit.endswith("GiB")


def test_files_share_the_memory_one_after_the_other(dlt_home: Path) -> None:
    assert lean_duckdb(str(dlt_home / "file.duckdb")).capabilities().loader_parallelism_strategy == "sequential"


def test_a_limit_of_the_users_own_holds(dlt_home: Path) -> None:
    with pytest.raises(PipelineStepFailed, match="Out of Memory"):
        load(dlt_home, 3000, global_config={"memory_limit": "40MB"})


def test_the_file_is_open_all_the_while_and_closed_at_the_end(dlt_home: Path) -> None:
    file, log = dlt_home / "kept.duckdb", dlt_home / "kept.duckdb.wal"
    with kept_open(file):
        with duckdb.connect(str(file)) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        # Not written into the file itself yet: that happens when the last connection closes.
        assert log.exists()
    assert not log.exists()


def test_nothing_of_this_project_is_kept_in_the_file(dlt_home: Path) -> None:
    load(dlt_home, 3)
    with duckdb.connect(str(dlt_home / "file.duckdb"), read_only=True) as connection:
        states = [text for (text,) in connection.execute("SELECT state FROM wide._dlt_pipeline_state").fetchall()]
        schemas = [text for (text,) in connection.execute("SELECT schema FROM wide._dlt_version").fetchall()]
    assert {decompress_state(text)["destination_type"] for text in states} == {"dlt.destinations.duckdb"}
    assert not [text for text in schemas if "include." in text]
