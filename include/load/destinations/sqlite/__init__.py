"""SQLite, through dlt's SQLAlchemy destination. Its schemas are files beside the one that the connection names."""

import glob
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.configure.connections import ConnectionFields
from include.load.kind import DestinationKind, DestinationValues, Values, extras
from include.load.left_over import place_of_its_own
from include.load.local_file import DATABASE_FILE, absolute, check_database_file, lock_beside

if TYPE_CHECKING:
    from dlt.common.destination import Destination


class Kind(DestinationKind):
    """A file, with one writer at a time."""

    conn_type = "sqlite"
    destination_type = "sqlalchemy"
    dialect = "sqlite"
    requirement = ("sqlalchemy", "requirements.txt")
    fields = (DATABASE_FILE,)
    options = extras("create_unique_indexes", "create_primary_keys", "engine_kwargs", typed=True)
    constants = {"drivername": "sqlite"}
    rest_is_query = True

    leaves_unchanged = True

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """Refuse what is no file."""
        check_database_file(given, credentials)

    def open(self, **settings: Any) -> "Destination[Any, Any]":
        """Our own."""
        from include.load.destinations.sqlite.client import proven_sqlite

        return proven_sqlite(destination_name="sqlalchemy", **settings)

    def lock(self, values: DestinationValues, dataset_name: str) -> AbstractContextManager[object]:
        """The lock of the file."""
        return lock_beside(absolute(values.credentials["database"]))

    def staging(self, client: Any) -> AbstractContextManager[object]:
        """A file of this run's own."""
        return place_of_its_own(client, _marked_files, _remove)


def _files(client: Any) -> Iterator[tuple[str, Path]]:
    """The files of schemas beside the connection's own, as dlt names them; each with its schema."""
    place = Path(client.database_name)
    for file in place.parent.glob(f"{glob.escape(place.stem)}__*{glob.escape(place.suffix)}"):
        yield file.stem.removeprefix(f"{place.stem}__"), file


def _marked_files(client: Any, table: str) -> Iterator[str]:
    for name, file in _files(client):
        # Not a database of SQLite's, or one that others have locked: nobody's rubbish.
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(file, timeout=0)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                yield name


def _remove(client: Any, name: str) -> None:
    file = dict(_files(client))[name]
    # With what SQLite keeps beside a file that was not closed.
    for end in ("-wal", "-shm", ""):
        file.with_name(file.name + end).unlink(missing_ok=True)
