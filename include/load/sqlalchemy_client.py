"""What MariaDB and SQLite have in common: both are loaded through dlt's SQLAlchemy destination.

In: what dlt's own clients take. Out: the same clients; a load is proven before its commit, what was removed by hand is made again, and
SIGTERM interrupts the statement that runs. How, differs: `interrupt`.
"""

from typing import Any, ClassVar

from dlt.common.destination import PreparedTableSchema
from dlt.common.destination.client import LoadJob
from dlt.destinations.impl.sqlalchemy.db_api_client import SqlalchemyClient
from dlt.destinations.impl.sqlalchemy.sqlalchemy_job_client import SqlalchemyJobClient

from include.load.interrupted import InterruptedClient
from include.load.made_again import MadeAgain
from include.load.proof import ProvenStatementsJob


class InterruptedSqlalchemyClient(InterruptedClient, SqlalchemyClient):
    """dlt's SQL client. Each destination says how its driver is interrupted."""

    @property
    def of_the_driver(self) -> Any:
        """The driver's own connection."""
        return self.native_connection.connection.driver_connection


class ProvenSqlalchemyClient(MadeAgain, SqlalchemyJobClient):
    """dlt's client, with our job for statements."""

    interrupted_client: ClassVar[type[InterruptedSqlalchemyClient]]
    statements_job: ClassVar[type[ProvenStatementsJob]] = ProvenStatementsJob

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        of_dlt = self.sql_client
        self.sql_client = self.interrupted_client(
            of_dlt.dataset_name, of_dlt.staging_dataset_name, of_dlt.credentials, of_dlt.capabilities
        )

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job for the file."""
        if ProvenStatementsJob.is_sql_job(file_path):
            return self.statements_job(file_path)
        return super().create_load_job(table, file_path, load_id, restore)
