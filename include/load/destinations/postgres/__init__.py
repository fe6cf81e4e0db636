"""PostgreSQL: runs load at the same time, by COPY (`client.py`, `copy.py`, `locks.py`, `staging.py`)."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from include.configure.connections import ConnectionFields
from include.load.kind import (
    DATABASE,
    NO_IAM,
    OPTIONAL_PASSWORD,
    SERVER,
    DestinationKind,
    Values,
    extras,
)

if TYPE_CHECKING:
    from dlt.common.destination import Destination

LIBPQ = extras("client_encoding", "session_timezone") + extras("connect_timeout", typed=True)
AIRFLOW_ONLY = (
    *("cursor", "redshift", "redshift-serverless", "cluster-identifier", "workgroup-name", "aws_conn_id"),
    *("azure_conn_id", "sqlalchemy_scheme", "sqlalchemy_query"),
)


class Kind(DestinationKind):
    """A server that takes any number of runs at once."""

    conn_type = "postgres"
    destination_type = "postgres"
    requirement = ("psycopg2", "requirements.txt")
    fields = (*SERVER, DATABASE, OPTIONAL_PASSWORD, *LIBPQ)
    options = extras("create_indexes", typed=True)
    rest_is_query = True
    airflow_only = AIRFLOW_ONLY
    refused = NO_IAM
    file_format = "parquet"

    leaves_unchanged = True

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """dlt insists on a password also where the server asks for none.

        libpq reads an empty one as none, and still looks into PGPASSWORD and ~/.pgpass, which an invented one would
        keep it from.
        """
        credentials.setdefault("password", "")

    def open(self, **settings: Any) -> "Destination[Any, Any]":
        """Our own."""
        from include.load.destinations.postgres.client import side_by_side_postgres

        return side_by_side_postgres(destination_name="postgres", **settings)

    def staging(self, client: Any) -> AbstractContextManager[object]:
        """The mark of a live run; what has none is a dead run's."""
        from include.load.destinations.postgres.staging import staging_in_use

        return staging_in_use(client)
