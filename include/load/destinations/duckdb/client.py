"""dlt's DuckDB destination for large loads in little memory and time.

In: what dlt's own `duckdb` destination takes. Out: the same destination, except that the file stays open from the first
job to the last, that all statements of a job are one transaction, that DuckDB begins with little memory and is given all of it
only when it asks, and that it loads one file at a time, each on all cores.

DuckDB writes what it still holds into the file when the last connection of the process closes, and dlt closes its
connection after each job: a load of 100,000 records with child tables did that three times, for a quarter of its time.
And the memory that DuckDB takes is what it may take, 80 % of the machine's, not what it needs: with 100 MB it loads
1,000,000 records and their child tables as well, and it says so where it does not suffice (records of 50 kB, say).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb as database
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import LoadJob, RunnableLoadJob
from dlt.destinations.exceptions import DatabaseTransientException
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.destinations.impl.duckdb.factory import duckdb
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from include.load import sql
from include.load.interrupted import InterruptedClient
from include.load.made_again import MadeAgain
from include.load.proof import ProvenDestination, ProvenStatementsJob
from include.load.termination import Terminated

MEMORY_AT_FIRST = "100MB"


@contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Hold one connection to `path`; the process's other connections share its database, and its memory.

    Raises duckdb.IOException when another process has the file open (transient).
    """
    with database.connect(str(path)) as connection:
        # What the user sets (`global_config`) comes later, with dlt's own connection, and so it wins.
        connection.execute(f"SET GLOBAL memory_limit = {sql.literal(MEMORY_AT_FIRST, 'duckdb')}")
        # Rows are no list: half the time for a file, as all cores write it.
        connection.execute("SET GLOBAL preserve_insertion_order = false")
        yield


class _WithAllMemoryIfNeeded(RunnableLoadJob):
    """A job that runs once more with DuckDB's own limit when the one at first was too low."""

    def run(self) -> None:
        """Run dlt's job. Its statement, or the transaction of several, leaves nothing behind when it fails."""
        try:
            super().run()  # type: ignore[safe-super]  # mixed in before a job that has one
        except DatabaseTransientException as error:
            client = self._job_client
            assert isinstance(client, DuckDbClient)
            limited = "memory_limit" in (client.config.credentials.global_config or {})
            if limited or not isinstance(error.dbapi_exception, database.OutOfMemoryException):
                raise
            _allow_all_memory(client.sql_client)
            super().run()  # type: ignore[safe-super]


class FileJob(_WithAllMemoryIfNeeded, DuckDbCopyJob):
    """A file into its staging table, or its table."""


class StatementsJob(_WithAllMemoryIfNeeded, ProvenStatementsJob):
    """The merge or the replacement."""


class InterruptedSqlClient(InterruptedClient, DuckDbSqlClient):
    """dlt's SQL client, whose statements can be interrupted."""

    def interrupt(self) -> None:
        """What this connection runs now fails."""
        self.native_connection.interrupt()

    @contextmanager
    def execute_query(self, query: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """dlt's. DuckDB asks Python for signals, and puts what a handler has raised below a RuntimeError of its own."""
        try:
            with super().execute_query(query, *args, **kwargs) as cursor:
                yield cursor
        except RuntimeError as error:
            if isinstance(error.__cause__, Terminated):
                # Other threads still work on it, and to close the connection would wait for them.
                self.interrupt()
                raise error.__cause__ from None
            raise


class LeanClient(MadeAgain, DuckDbClient):
    """dlt's client with jobs of our own for Parquet files and for statements."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        of_dlt = self.sql_client
        self.sql_client = InterruptedSqlClient(
            of_dlt.dataset_name, of_dlt.staging_dataset_name, of_dlt.credentials, of_dlt.capabilities
        )

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job for the file."""
        if StatementsJob.is_sql_job(file_path):
            return StatementsJob(file_path)
        if file_path.endswith(".parquet"):
            return FileJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


def _allow_all_memory(client: DuckDbSqlClient) -> None:
    # RESET finds DuckDB's own limit again, but does not apply it (1.5.5).
    client.execute_sql("RESET GLOBAL memory_limit")
    ((limit,),) = client.execute_sql("SELECT current_setting('memory_limit')") or ()
    client.execute_sql(f"SET GLOBAL memory_limit = {sql.literal(limit, 'duckdb')}")


class lean_duckdb(ProvenDestination, duckdb):  # dlt names its destinations in lower case
    """dlt's `duckdb`, configured under `destination.duckdb` like it."""

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        # dlt opens a transaction by itself only around statements in which it finds CREATE, ALTER or DROP: a process that
        # dies between a DELETE and its INSERT would leave the table empty.
        capabilities.supports_transactions = True
        # DuckDB uses all cores for each file, and several at once only share its memory.
        capabilities.loader_parallelism_strategy = "sequential"
        return capabilities

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client that begins with little memory."""
        return LeanClient
