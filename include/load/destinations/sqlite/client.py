"""dlt's SQLAlchemy destination for SQLite: a load is proven before its commit, and a statement can be interrupted.

In: what dlt's own `sqlalchemy` destination takes. Out: the same destination, with a client of ours.
"""

from dlt.destinations.impl.sqlalchemy.factory import sqlalchemy
from dlt.destinations.impl.sqlalchemy.sqlalchemy_job_client import SqlalchemyJobClient

from include.load.proof import ProvenDestination
from include.load.sqlalchemy_client import InterruptedSqlalchemyClient, ProvenSqlalchemyClient


class InterruptedSqliteClient(InterruptedSqlalchemyClient):
    """dlt's SQL client, by SQLite's own way to interrupt."""

    def interrupt(self) -> None:
        """What this connection runs now fails."""
        self.of_the_driver.interrupt()


class ProvenClient(ProvenSqlalchemyClient):
    """The client of both, for SQLite."""

    interrupted_client = InterruptedSqliteClient


class proven_sqlite(ProvenDestination, sqlalchemy):  # dlt names its destinations in lower case
    """dlt's `sqlalchemy`, configured under `destination.sqlalchemy` like it."""

    @property
    def client_class(self) -> type[SqlalchemyJobClient]:
        """The client whose loads are proven."""
        return ProvenClient
