"""Reads or loads an API's declaration as the task does, without Airflow: each resource in its own mode, into a DuckDB file.

In: an `Api`, and the options that a connection would say. Out: the progress of each read, and rows.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dlt
import duckdb

from include.apis.api import Api
from include.configure.api_connection import ApiValues
from include.configure.declaration import read_declaration
from include.configure.provider import register_connections
from include.configure.resolution import options_of
from include.decide.sync_mode import SYNC_MODES
from include.decide.window import LoadWindow
from include.extract.completeness import PASSES, ReadProgress
from include.extract.read import ResourceRead
from include.extract.source import api_source


class ApiLoader:
    """Loads `api` into a DuckDB file below `home`; `progress` by resource is that of the last load or read."""

    def __init__(self, home: Path, api: Api) -> None:
        self.home = home
        self.api = api
        self.database = home / f"{api.name}.duckdb"
        self.progress: dict[str, ReadProgress] = {}

    def connect(
        self, base_url: str, password: str | None = None, login: str | None = None, **extra: Any
    ) -> "ApiLoader":
        """What the connection `<api>_api` says."""
        register_connections(self.api, ApiValues(base_url, password, login, extra), None)
        return self

    def source(self, windows: Mapping[str, LoadWindow] | None = None, run_id: str = "run") -> Any:
        """The source of all resources; `windows` by resource, those without read everything."""
        declaration = read_declaration(self.api)
        reads = {}
        for name, options in options_of(declaration).items():
            window = (windows or {}).get(name)
            is_loaded = name in set(self.api.resource_names)
            reads[name] = ResourceRead(options, SYNC_MODES[options.sync_mode], window, is_loaded=is_loaded)
        self.progress = {name: read.progress for name, read in reads.items()}
        source = api_source(declaration, reads, run_id)
        for name in self.api.resource_names:
            source.resources[name].apply_hints(file_format="parquet")
        return source

    def run(self, windows: Mapping[str, LoadWindow] | None = None, run_id: str = "run") -> "ApiLoader":
        """A whole load, of as many passes as it takes."""
        from include.load.destinations.duckdb.client import lean_duckdb

        source = self.source(windows, run_id)
        pipeline = dlt.pipeline(
            self.api.name,
            destination=lean_duckdb({"database": str(self.database)}),
            dataset_name=self.api.destination_schema,
            pipelines_dir=str(self.home / "pipelines"),
        )
        again: Callable[[Callable[[], Any]], Any] = PASSES.copy()
        again(lambda: pipeline.run(source))
        return self

    def read(self, windows: Mapping[str, LoadWindow] | None = None) -> list[Any]:
        """The records of all resources, of as many passes as it takes. No table is touched."""
        source = self.source(windows)
        again: Callable[[Callable[[], Any]], Any] = PASSES.copy()
        records: list[Any] = again(lambda: list(source))
        return records

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the DuckDB file; tables are found without their schema."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute(f"SET search_path = '{self.api.destination_schema}'")
            return connection.execute(sql).fetchall()
