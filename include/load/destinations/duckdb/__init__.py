"""DuckDB: a file that one process at a time has open, and the destination where no connection names one (`client.py`)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from include.configure.connections import ConnectionFields
from include.load import sql
from include.load.kind import DestinationKind, DestinationValues, Values, extras
from include.load.left_over import place_of_its_own
from include.load.local_file import DATABASE_FILE, absolute, check_database_file, lock_beside

if TYPE_CHECKING:
    from dlt.common.destination import Destination


class Kind(DestinationKind):
    """A file, with one writer at a time."""

    conn_type = "duckdb"
    destination_type = "duckdb"
    requirement = ("duckdb", "requirements.txt")
    fields = (
        DATABASE_FILE,
        *extras("read_only", "extensions", "global_config", "pragmas", "local_config", typed=True),
        *extras("session_timezone"),
    )
    options = extras("create_indexes", typed=True)
    file_format = "parquet"

    leaves_unchanged = True

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """Refuse what is no file."""
        check_database_file(given, credentials)

    def embedded(self) -> DestinationValues:
        """The file where there is no connection; `DATASETS_DUCKDB_PATH` overrides it. Its folder is made."""
        # Imported here: pydantic takes a quarter of a second, which a plain pipeline does not need.
        from include.configure.settings import read_settings

        path = read_settings().duckdb_path
        path.parent.mkdir(parents=True, exist_ok=True)
        return DestinationValues(self.destination_type, {"database": str(path)}, {}, ())

    def open(self, **settings: Any) -> "Destination[Any, Any]":
        """Our own."""
        from include.load.destinations.duckdb.client import lean_duckdb

        return lean_duckdb(destination_name="duckdb", **settings)

    def lock(self, values: DestinationValues, dataset_name: str) -> AbstractContextManager[object]:
        """The lock of the file: DuckDB takes one writing process at a time."""
        return lock_beside(absolute(values.credentials["database"]))

    def kept_open(self, values: DestinationValues) -> AbstractContextManager[object]:
        """One connection for the whole load."""
        from include.load.destinations.duckdb.client import kept_open

        return kept_open(absolute(values.credentials["database"]))

    def staging(self, client: Any) -> AbstractContextManager[object]:
        """A schema of this run's own."""
        return place_of_its_own(client, _marked_schemas, _drop)


def _marked_schemas(client: Any, table: str) -> Iterator[str]:
    found = client.execute_sql(
        "SELECT table_schema FROM information_schema.tables WHERE table_name = %s AND table_catalog = current_database()",
        table,
    )
    return (name for (name,) in found)


def _drop(client: Any, name: str) -> None:
    client.execute_sql(f"DROP SCHEMA {sql.name(name, 'duckdb')} CASCADE")
