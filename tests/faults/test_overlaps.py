"""A property: however reads overlap, and in whatever order they are merged, the newest version of each record is what stays.

Reads begin one after the other, while records change; each is a window or a snapshot, and they merge in any order. On PostgreSQL,
where nothing else makes runs wait.
"""

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest
from dlt.common.schema import Schema
from dlt.extract import DltSource
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.decide.sync_mode import SYNC_MODES
from include.extract.completeness import ReadProgress
from include.extract.key_set import KeySet
from include.load.destinations.postgres.client import side_by_side_postgres
from include.load.known_table import take_stored_schema
from include.load.proof import LoadProof
from tests.support.cases import proves

IDS = range(3)
Records = dict[int, int]


@dataclass(frozen=True)
class Overlap:
    """What each read found (version by id), in the order in which they began; and the order in which they merge."""

    is_compared: bool
    reads: tuple[Records, ...]
    merges: tuple[int, ...]


@st.composite
def overlaps(draw: st.DrawFn, mode: str) -> Overlap:
    """Two or three reads after a first one of everything."""
    # A cursor tells versions apart; without one there are snapshots only.
    is_compared = draw(st.booleans()) if mode == "merge" else mode == "append"
    now = dict.fromkeys(IDS, 0)
    reads = []
    for moment in range(1, draw(st.integers(2, 3)) + 1):
        now |= dict.fromkeys(draw(st.sets(st.sampled_from(IDS), min_size=1)), moment)
        in_window = draw(st.sets(st.sampled_from(IDS), min_size=1)) if is_compared else IDS
        reads.append({id_: now[id_] for id_ in sorted(in_window)})
    return Overlap(is_compared, tuple(reads), tuple(draw(st.permutations(range(len(reads))))))


class Run:
    """One run, which has read and not yet merged."""

    def __init__(self, home: Path, credentials: dict[str, Any], dataset: str, mode: Any, cursor: bool, found: Records):
        name = uuid.uuid4().hex[:12]
        self._destination = side_by_side_postgres(
            credentials, staging_dataset_name_layout=f"%s_staging_{name}", replace_strategy="insert-from-staging"
        )
        self.pipeline = dlt.pipeline(
            "datasets", destination=self._destination, dataset_name=dataset, pipelines_dir=str(home / name)
        )
        take_stored_schema(self.pipeline, "datasets")
        progress = ReadProgress(ids=KeySet(found))
        self._proof = LoadProof("datasets", SYNC_MODES[mode], "source", "version" if cursor else None, progress)
        hints = {"primary_key": None, "merge_key": "_run_id"} if mode == "append" else {"primary_key": "id"}

        @dlt.resource(name="datasets", write_disposition=SYNC_MODES[mode].write_disposition, **hints)
        def records() -> Any:
            yield [
                {"id": id_, "version": version, "_run_id": name, "tags": [f"{id_} {version}"]}
                | ({} if mode == "append" else {"_run_id": "any"})
                for id_, version in found.items()
            ]

        source = DltSource(Schema("datasets"), "datasets", [records])
        source.root_key = True
        self.pipeline.extract(source, loader_file_format="parquet")
        self.pipeline.normalize()

    def merge(self) -> None:
        self._destination.proofs = {self._proof.table: self._proof}
        self.pipeline.load()


@pytest.fixture(scope="module")
def credentials(postgres_url: str) -> Iterator[dict[str, Any]]:
    """A database of this module's own."""
    name, place = f"datasets_test_{uuid.uuid4().hex[:12]}", urlsplit(postgres_url)
    with closing(psycopg2.connect(postgres_url)) as server:
        server.autocommit = True
        server.cursor().execute(f"CREATE DATABASE {name}")
        yield {
            "host": place.hostname,
            "port": place.port or 5432,
            "username": place.username,
            "password": place.password or "",
            "database": name,
        }
        server.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def expected(mode: str, overlap: Overlap) -> list[tuple[int, int]]:
    """Id and version of each row that is to be there, by the reads alone."""
    first = dict.fromkeys(IDS, 0)
    if mode == "append":
        return sorted(row for read in (first, *overlap.reads) for row in read.items())
    newest = first
    for read in overlap.reads:
        newest = newest | read
    return sorted(newest.items())


@proves(
    "reads of any windows and snapshots overlap, and merge in any order (a property)",
    "the newest version of each record stays, with its child rows, in each mode",
    "PostgreSQL",
)
@pytest.mark.postgres
@pytest.mark.parametrize("mode", SYNC_MODES)
def test_the_newest_version_stays(
    credentials: dict[str, Any], dlt_home: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")

    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        # A smaller example would cost as much as all others.
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(overlap=overlaps(mode))
    def holds(overlap: Overlap) -> None:
        dataset = f"overlap_{uuid.uuid4().hex[:8]}"

        def run(found: Records) -> Run:
            return Run(dlt_home, credentials, dataset, mode, overlap.is_compared, found)

        run(dict.fromkeys(IDS, 0)).merge()
        runs = [run(found) for found in overlap.reads]
        for number in overlap.merges:
            runs[number].merge()
        valid = "WHERE d._dlt_valid_to IS NULL" if mode == "scd2" else ""
        with runs[0].pipeline.sql_client() as client:
            table, tags = map(client.make_qualified_table_name, ("datasets", "datasets__tags"))
            rows = client.execute_sql(
                f"SELECT d.id, d.version, t.value FROM {table} d LEFT JOIN {tags} t ON t._dlt_parent_id = d._dlt_id {valid}"
            )
            orphans = client.execute_sql(
                f"SELECT count(*) FROM {tags} t WHERE NOT EXISTS (SELECT FROM {table} d WHERE d._dlt_id = t._dlt_parent_id)"
            )
        assert sorted(rows or ()) == [(id_, version, f"{id_} {version}") for id_, version in expected(mode, overlap)]
        assert orphans == [(0,)]

    holds()
