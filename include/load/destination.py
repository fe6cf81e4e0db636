"""The dlt destination of this run: from the connection, or the embedded DuckDB file.

In: the connections' provider and the run's own name. Out: a dlt destination that stages in a place of this run
alone (`include/load/staging.py` removes it), and the turn to write into it. Concurrent runs that share dlt's staging tables
lose rows silently; and DuckDB takes one writing process at a time.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from dlt.common.destination import Destination, TLoaderFileFormat
from filelock import FileLock

from include.configure.connections import DestinationValues, missing_requirement
from include.configure.provider import ConnectionsProvider
from include.configure.settings import read_settings
from include.errors import ConfigurationError, TransientError
from include.load.destinations.duckdb import kept_open, lean_duckdb
from include.load.destinations.postgres import side_by_side_postgres

# How long a run waits for its turn in MariaDB, which knows no endless wait: longer than any task may run.
LONGEST_TURN_SECONDS = 24 * 60 * 60

# The loader file formats that were measured to be fastest; others take dlt's preferred one.
FILE_FORMATS: dict[str, TLoaderFileFormat] = {
    "duckdb": "parquet",
    "filesystem": "parquet",
    "postgres": "parquet",
}


def open_destination(provider: ConnectionsProvider, run_name: str) -> Destination[Any, Any]:
    """The destination of the connection, staging under the name of this run; credentials resolve when it connects.

    Raises ConfigurationError (permanent) when what the destination needs is not installed.
    """
    staging = f"%s_staging_{hashlib.sha256(run_name.encode()).hexdigest()[:12]}"
    settings: dict[str, Any] = {"staging_dataset_name_layout": staging}
    values = provider.destination
    if values is None or values.destination_type != "filesystem":
        # dlt would empty the table first and then fill it; for plain files it knows no other way.
        settings["replace_strategy"] = "insert-from-staging"
    if values is None:
        return lean_duckdb(str(embedded_file()), destination_name="duckdb", **settings)
    if missing := missing_requirement(values):
        raise ConfigurationError(missing)
    if values.destination_type == "postgres":
        return side_by_side_postgres(destination_name="postgres", **settings)
    if values.destination_type == "duckdb":
        return lean_duckdb(destination_name="duckdb", **settings)
    destination: Destination[Any, Any] | None = Destination.from_reference(values.destination_type, **settings)
    assert destination is not None
    return destination


def embedded_file() -> Path:
    """Where the embedded DuckDB file is; `DATASETS_DUCKDB_PATH` overrides it. Its folder is made."""
    path = read_settings().duckdb_path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def turn_to_write(values: DestinationValues | None, dataset_name: str) -> AbstractContextManager[object]:
    """Waits until no other run writes into the same file or folder, or into `dataset_name` on the same MariaDB server.

    PostgreSQL takes any number of runs at once. For the others nothing here can make runs wait: the README says to
    give them one writer.
    """
    if values is not None and values.dialect == "mysql":
        return _mariadb_turn(values, dataset_name)
    path = _file_or_folder(values)
    # Beside the database, not on it: DuckDB locks its own file. The operating system frees it after a crash.
    return nullcontext() if path is None else FileLock(f"{path}.lock")


def open_file(values: DestinationValues | None) -> AbstractContextManager[object]:
    """Keeps a DuckDB file open, from the turn to write until its end."""
    if values is not None and values.dialect != "duckdb":
        return nullcontext()
    path = _file_or_folder(values)
    return nullcontext() if path is None else kept_open(path)


def _file_or_folder(values: DestinationValues | None) -> Path | None:
    """Where on this machine the rows go; None: to a server, or into a bucket."""
    if values is None:
        return embedded_file()
    place: object = None
    if values.dialect in ("duckdb", "sqlite") and not isinstance(values.credentials, str):
        place = values.credentials.get("database")
    elif values.dialect == "filesystem" and "://" not in str(values.options["bucket_url"]).removeprefix("file://"):
        place = str(values.options["bucket_url"]).removeprefix("file://")
    return None if place is None else Path(str(place)).expanduser().absolute()


@contextmanager
def _mariadb_turn(values: DestinationValues, dataset_name: str) -> Iterator[None]:
    """A named lock of the server, which frees it when the connection ends, however that ends.

    Named by the dataset, which is a database of its own there, whichever database the connection names.
    """
    from sqlalchemy import URL, create_engine, text

    assert not isinstance(values.credentials, str)
    parts = ("username", "password", "host", "port", "database", "query")
    place: dict[str, Any] = {name: values.credentials[name] for name in parts if name in values.credentials}
    engine = create_engine(URL.create(str(values.credentials["drivername"]), **place))
    try:
        with engine.connect() as connection:
            question = {"name": f"datasets {dataset_name}", "seconds": LONGEST_TURN_SECONDS}
            if connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), question).scalar() != 1:
                raise TransientError("MariaDB gave this run no turn to write: another run has held it for too long.")
            yield
    finally:
        engine.dispose()
