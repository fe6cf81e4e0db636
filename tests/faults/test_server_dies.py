"""PostgreSQL dies during a load: the run is red, the table is as it was, readers saw nothing else, and the next run is green."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from include.load.destinations.postgres.client import side_by_side_postgres
from tests.faults.test_killed_in_the_last_job import SETTINGS, records
from tests.support import held_load
from tests.support.cases import proves
from tests.support.held_load import HeldLoad
from tests.support.killed_load import Load
from tests.support.own_server import PROGRAMS, OwnPostgres, is_missing, own_postgres

CONTENT = (
    "SELECT d.id, d.version, array_agg(t.value) FROM datasets_raw.datasets d "
    "JOIN datasets_raw.datasets__tags t ON t._dlt_parent_id = d._dlt_id GROUP BY 1, 2 ORDER BY 1"
)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    """A cluster of this module's own."""
    if reason := is_missing(PROGRAMS / "initdb"):
        pytest.skip(reason)
    with own_postgres() as started:
        yield started


class Reader(threading.Thread):
    """Reads the tables again and again, also while the server recovers. `seen` has what it saw."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._ended = url, threading.Event()
        self.seen: list[list[Any]] = []

    def run(self) -> None:
        while not self._ended.wait(0.02):
            try:
                found = content(self._url)
            except psycopg2.OperationalError:
                continue
            if found not in self.seen:
                self.seen.append(found)

    def __enter__(self) -> "Reader":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


def content(url: str) -> list[Any]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(CONTENT)
        return [tuple(row) for row in cursor.fetchall()]


def of_version(version: int) -> list[Any]:
    """What the API has."""
    return [(one["id"], version, [tag["name"] for tag in one["tags"]]) for one in records(version, nested=True)]


@proves(
    "the server crashes between staging and commit, and recovers",
    "the run is red, a reader sees the old table all the while, the next run is green",
    "PostgreSQL",
)
@pytest.mark.parametrize(
    "where", [held_load.BEFORE_THE_LAST_JOB, held_load.IN_THE_LAST_JOB, held_load.BEFORE_THE_COMMIT]
)
def test_a_crash_of_the_server(server: OwnPostgres, tmp_path: Path, where: str) -> None:
    place = {"host": "127.0.0.1", "port": server.port, "username": "postgres", "password": "", "database": "postgres"}

    def load(version: int) -> Load:
        given = [{**one, "tags": [tag["name"] for tag in one["tags"]]} for one in records(version, nested=True)]
        return Load(side_by_side_postgres, {"credentials": place, **SETTINGS}, "replace", given, tmp_path)

    assert held_load.run(load(1), "postgres", tmp_path) == 0
    assert content(server.url) == of_version(1)
    with Reader(server.url) as reader:
        held = HeldLoad(load(2), "postgres", where, tmp_path)
        held.wait()
        server.die()
        server.start()
        assert content(server.url) == of_version(1)
        # What was staged is gone with the crash: dlt's own retries do not find it, and the run is red.
        assert held.go() == 1
        assert content(server.url) == of_version(1)
        assert held_load.run(load(3), "postgres", tmp_path) == 0
    assert content(server.url) == of_version(3)
    assert [one for one in reader.seen if one not in (of_version(1), of_version(3))] == []
    assert of_version(1) in reader.seen
