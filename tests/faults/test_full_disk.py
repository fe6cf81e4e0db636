"""The disk is full when DuckDB loads: the table is old or new, and the next run is green once there is room."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.load.destinations.duckdb.client import lean_duckdb
from tests.faults.test_killed_in_the_last_job import SETTINGS, records
from tests.support import held_load
from tests.support.cases import proves
from tests.support.held_load import HeldLoad
from tests.support.killed_load import Load

BYTES = 24 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of this test's own."""
    if os.getuid():
        pytest.skip("only root may mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> Path:
    """Not a page is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@proves(
    "the disk is full, before the last job or before its commit",
    "the run is red, the table is old or new, and the next run is green",
    "DuckDB",
)
@pytest.mark.parametrize(
    ("mode", "where"),
    [
        ("replace", held_load.BEFORE_THE_LAST_JOB),
        ("replace", held_load.BEFORE_THE_COMMIT),
        ("scd2", held_load.BEFORE_THE_COMMIT),
    ],
)
def test_duckdb(small_disk: Path, tmp_path: Path, mode: str, where: str) -> None:
    file = small_disk / "warehouse.duckdb"

    def load(version: int) -> Load:
        # More than what fits behind what is written already.
        given = [{**one, "text": os.urandom(8000).hex()} for one in records(version, nested=True)]
        return Load(lean_duckdb, {"credentials": str(file), **SETTINGS}, mode, given, tmp_path)

    def content() -> list[Any]:
        """Version of each record and of its child row, once."""
        of_now = "WHERE d._dlt_valid_to IS NULL" if mode == "scd2" else ""
        with duckdb.connect(str(file)) as connection:
            connection.execute("SET search_path = 'datasets_raw'")
            return connection.execute(
                "SELECT d.id, d.version, list(t.name) FROM datasets d "
                f"LEFT JOIN datasets__tags t ON t._dlt_parent_id = d._dlt_id {of_now} GROUP BY ALL ORDER BY ALL"
            ).fetchall()

    def of_version(version: int) -> list[Any]:
        return [(number, version, [f"tag {version}"]) for number in range(20)]

    assert held_load.run(load(1), "duckdb", tmp_path) == 0
    assert content() == of_version(1)
    held = HeldLoad(load(2), "duckdb", where, tmp_path)
    held.wait()
    filler = fill(small_disk)
    code = held.go()
    filler.unlink()
    assert code != 0
    assert content() in (of_version(1), of_version(2))
    assert held_load.run(load(3), "duckdb", tmp_path) == 0
    assert content() == of_version(3)
