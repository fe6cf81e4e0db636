"""dlt's SQLAlchemy destination for SQLite: a load is proven before its commit.

In: what dlt's own `sqlalchemy` destination takes. Out: the same destination, with jobs of our own for statements.
"""

from dlt.common.destination import PreparedTableSchema
from dlt.common.destination.client import LoadJob
from dlt.destinations.impl.sqlalchemy.factory import sqlalchemy
from dlt.destinations.impl.sqlalchemy.sqlalchemy_job_client import SqlalchemyJobClient

from include.load.made_again import MadeAgain
from include.load.proof import ProvenDestination, ProvenStatementsJob


class ProvenClient(MadeAgain, SqlalchemyJobClient):
    """dlt's client, with our job for statements."""

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job for the file."""
        if ProvenStatementsJob.is_sql_job(file_path):
            return ProvenStatementsJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class proven_sqlite(ProvenDestination, sqlalchemy):  # dlt names its destinations in lower case
    """dlt's `sqlalchemy`, configured under `destination.sqlalchemy` like it."""

    @property
    def client_class(self) -> type[SqlalchemyJobClient]:
        """The client whose loads are proven."""
        return ProvenClient
