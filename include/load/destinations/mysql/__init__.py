"""MySQL and MariaDB, through dlt's SQLAlchemy destination (`client.py`). Their schemas are databases."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from include.configure.connections import ConnectionFields
from include.errors import TransientError
from include.load.kind import (
    NO_IAM,
    OPTIONAL_PASSWORD,
    SERVER,
    DestinationKind,
    DestinationValues,
    Field,
    Values,
    extras,
    typed,
)
from include.load.left_over import place_of_its_own
from include.load.waiting import waiting_for

if TYPE_CHECKING:
    from dlt.common.destination import Destination

# How long a run waits for the lock, as the server knows no endless wait: longer than any task may run.
LONGEST_WAIT_SECONDS = 24 * 60 * 60


class Kind(DestinationKind):
    """A server, with one writer at a time in each dataset."""

    conn_type = "mysql"
    destination_type = "sqlalchemy"
    dialect = "mysql"
    requirement = ("pymysql", "requirements-destinations/mysql.txt")
    fields = (*SERVER, Field("database", ("schema",)), OPTIONAL_PASSWORD)
    options = extras("create_unique_indexes", "create_primary_keys", "engine_kwargs", typed=True)
    constants = {"drivername": "mysql+pymysql"}
    rest_is_query = True
    airflow_only = ("client", "cursor", "local_infile", "aws_conn_id")
    refused = NO_IAM | {"ssl_mode": 'give the certificate of the authority as `{"ssl": {"ca": "path"}}`'}

    leaves_unchanged = True

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """Airflow writes {"ssl": {"ca": …}} where SQLAlchemy's dialect reads `ssl_ca` from the URL's query."""
        ssl = typed(credentials.get("query", {}).pop("ssl", None))
        if isinstance(ssl, Mapping):
            credentials["query"] |= {f"ssl_{name}": value for name, value in ssl.items()}

    def open(self, **settings: Any) -> "Destination[Any, Any]":
        """Our own."""
        from include.load.destinations.mysql.client import one_step_mysql

        return one_step_mysql(destination_name="sqlalchemy", **settings)

    def lock(self, values: DestinationValues, dataset_name: str) -> AbstractContextManager[object]:
        """A named lock of the server, which frees it when the connection ends, however that ends.

        Named by the dataset, which is a database of its own there, whichever database the connection names.
        """
        return _lock(values, f"datasets {dataset_name}")

    def staging(self, client: Any) -> AbstractContextManager[object]:
        """A database of this run's own."""
        return place_of_its_own(client, _marked_databases, _drop)


@contextmanager
def _lock(values: DestinationValues, name: str) -> Iterator[None]:
    from sqlalchemy import URL, create_engine, text

    parts = ("username", "password", "host", "port", "database", "query")
    place: dict[str, Any] = {name: values.credentials[name] for name in parts if name in values.credentials}
    engine = create_engine(URL.create(str(values.credentials["drivername"]), **place))
    try:
        with engine.connect() as connection:
            question = {"name": name, "seconds": LONGEST_WAIT_SECONDS}
            with waiting_for(f"the lock `{name}` of MariaDB"):
                is_held = connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), question).scalar() == 1
            if not is_held:
                raise TransientError("MariaDB gave this run no lock to write: another run has held it for too long.")
            yield
    finally:
        engine.dispose()


def _marked_databases(client: Any, table: str) -> Iterator[str]:
    found = client.execute_sql("SELECT table_schema FROM information_schema.tables WHERE table_name = %s", table)
    return (name for (name,) in found)


def _drop(client: Any, name: str) -> None:
    from sqlalchemy.schema import DropSchema

    client.execute_sql(DropSchema(name))
