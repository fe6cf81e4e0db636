"""Fixtures for the layers below Airflow: dlt in a folder of its own, waits only recorded, nothing left behind."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.pipeline import LoadInfo
from dlt.extract import DltSource

from include import redaction
from include.apis.datasets import DATASETS
from include.configure.choices import SyncModeName
from include.configure.resolution import resolve_options
from include.decide.sync_mode import SYNC_MODES
from include.extract import session
from include.extract.completeness import PASSES, ReadProgress
from include.extract.read import ResourceRead
from include.extract.source import source_of
from tests.support.api_server import ApiServer
from tests.support.clock import RecordingClock


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Redaction is one per process: each test starts with no secret known, and `logging` as it comes."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)
    monkeypatch.setattr(redaction, "_records_are_redacted", False)
    make_record = logging.getLogRecordFactory()
    # A run of the DAG in the same process has put ours there.
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    logging.setLogRecordFactory(make_record)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that retries would have waited, in order. Nothing sleeps."""
    clock = RecordingClock()
    monkeypatch.setattr(session, "SYSTEM_CLOCK", clock)
    return clock.slept


class Loader:
    """Reads or loads an `ApiServer` with the project's source, into a DuckDB file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "datasets.duckdb"
        self.progress = ReadProgress()
        self._open = ExitStack()

    def close(self) -> None:
        """Nothing of the file is open from then on."""
        self._open.close()

    @cached_property
    def pipeline(self) -> dlt.Pipeline:
        """The pipeline; made when a test loads."""
        # While one connection is open, another costs nothing: DuckDB starts its threads and reads the file once.
        self._open.enter_context(duckdb.connect(str(self.database)))
        return dlt.pipeline(
            "datasets",
            destination=dlt.destinations.duckdb(str(self.database)),
            dataset_name="datasets_raw",
            pipelines_dir=str(self.home / "pipelines"),
        )

    def configure(self, toml: str) -> None:
        """Write the project's `config.toml`, as a user would."""
        (self.home / ".dlt" / "config.toml").write_text(toml)
        Container()[PluggableRunContext].reload(str(self.home))

    def source(self, server: ApiServer | str, mode: SyncModeName = "merge", **options: Any) -> DltSource:
        """The source; `options` are run parameters, a text in place of the server is a base URL.

        Pages are read one after the other unless a test says otherwise, so that requests come in a known order.
        """
        url = server if isinstance(server, str) else server.url
        key = "key" if isinstance(server, str) or server.key is None else server.key
        self.options = resolve_options(
            DATASETS, {"base_url": url, "api_key": key, "max_parallel_requests": 1, **options}
        )
        self.progress = ReadProgress()
        read = ResourceRead(self.options, SYNC_MODES[mode], progress=self.progress)
        return source_of(DATASETS, read)

    def read(self, server: ApiServer | str, **options: Any) -> list[Any]:
        """The records that would be loaded, after as many passes as that takes. No table is touched."""
        source = self.source(server, **options)
        return PASSES.copy()(lambda: records_of(source))

    def run(self, server: ApiServer | str, mode: SyncModeName = "merge", **options: Any) -> LoadInfo:
        """A whole load."""
        source = self.source(server, mode, **options)
        return PASSES.copy()(lambda: self.pipeline.run(source))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the DuckDB file; tables are found without their schema."""
        with duckdb.connect(str(self.database)) as connection:
            connection.execute("SET search_path = 'datasets_raw'")
            return connection.execute(sql).fetchall()

    def columns(self, table: str = "datasets") -> dict[str, str]:
        """DuckDB's type of each column, without dlt's own."""
        found = self.query(
            f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{table}'"
        )
        return {name: kind for name, kind in found if not name.startswith("_dlt")}


def records_of(source: DltSource) -> list[Any]:
    """What `source` gives, record by record, as in a Python shell."""
    return list(source)


@pytest.fixture
def loader(dlt_home: Path) -> Iterator[Loader]:
    """A `Loader` with an empty DuckDB file."""
    loader = Loader(dlt_home)
    yield loader
    loader.close()


def causes(error: BaseException | None) -> list[BaseException]:
    """`error` and what caused it, outermost first."""
    chain: list[BaseException] = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def innermost(error: BaseException) -> BaseException:
    """The failure that dlt has wrapped."""
    return causes(error)[-1]
