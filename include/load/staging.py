"""Where a run stages its rows: a place of its own while it runs, and nothing afterwards, also after a crash.

In: the pipeline, whose turn it is to write. Out: a context. PostgreSQL, where runs stage side by side, marks the places
that are in use (`include/load/destinations/postgres.py`). Elsewhere the run that has the turn is alone, so that every other
place is a dead run's.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination.client import WithStagingDataset

from include.load.destinations.postgres import SideBySideClient, staging_in_use

log = logging.getLogger(__name__)


@contextmanager
def own_staging(pipeline: dlt.Pipeline) -> Iterator[None]:
    """This run's staging tables are its own while the context is open, and are gone afterwards.

    What killed runs left behind goes as well, where it can be told from what is in use.
    """
    with ExitStack() as held:
        opened: Any = pipeline.destination_client()
        with opened as client:
            if isinstance(client, SideBySideClient):
                held.enter_context(staging_in_use(client))
            else:
                _sweep(client, pipeline.destination.destination_name)
        try:
            yield
        finally:
            _drop(pipeline)


def _drop(pipeline: dlt.Pipeline) -> None:
    # Connected anew: a connection that idled while the API was read may be gone by now.
    opened: Any = pipeline.destination_client()
    try:
        with opened as client:
            if isinstance(opened, WithStagingDataset):
                with opened.with_staging_dataset():
                    if client.is_storage_initialized():
                        client.drop_storage()
    except Exception:
        # The load itself has succeeded, or has an error of its own to tell.
        log.exception("The staging tables of this run could not be removed; they are of no more use.")


def _sweep(client: Any, destination: str) -> None:
    remove = _SWEEPS.get(client.sql_client.dialect_name if destination == "sqlalchemy" else destination)
    if remove is None:
        return
    try:
        remove(client.sql_client, f"{client.sql_client.dataset_name}_staging_")
    except Exception:
        log.exception("What killed runs staged could not be removed; it is of no more use.")


def _drop_duckdb_schemas(sql_client: Any, prefix: str) -> None:
    found = sql_client.execute_sql(
        "SELECT schema_name FROM information_schema.schemata WHERE starts_with(schema_name, %s)", prefix
    )
    for (schema,) in found:
        sql_client.execute_sql(f'DROP SCHEMA "{schema}" CASCADE')


def _drop_mariadb_databases(sql_client: Any, prefix: str) -> None:
    # Not LIKE, to which an underscore is any character.
    found = sql_client.execute_sql(
        "SELECT schema_name FROM information_schema.schemata WHERE LEFT(schema_name, %s) = %s", len(prefix), prefix
    )
    for (database,) in found:
        sql_client.execute_sql(f"DROP DATABASE `{database}`")


def _remove_sqlite_files(sql_client: Any, prefix: str) -> None:
    # As dlt names them; with what SQLite keeps beside a file that was not closed.
    place = Path(sql_client.database_name)
    for file in place.parent.iterdir():
        if file.name.startswith(f"{place.stem}__{prefix}"):
            file.unlink()


# By dlt's destination, or by the dialect of what it loads into through SQLAlchemy. A folder is not staged into.
_SWEEPS: Mapping[str, Callable[[Any, str], None]] = {
    "duckdb": _drop_duckdb_schemas,
    "mysql": _drop_mariadb_databases,
    "sqlite": _remove_sqlite_files,
}
