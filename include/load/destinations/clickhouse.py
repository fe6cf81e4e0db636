"""ClickHouse: dlt's own destination."""

from include.configure.connections import ConnectionFields
from include.load.kind import OPTIONAL_PASSWORD, DestinationKind, Field, Values, extras


class Kind(DestinationKind):
    """A warehouse, mapped and no more."""

    conn_type = "clickhouse"
    destination_type = "clickhouse"
    requirement = ("clickhouse_driver", "requirements-destinations/clickhouse.txt")
    fields = (
        Field("host", ("host",), "the server's host name"),
        Field("port", ("port",)),
        Field("database", ("schema",)),
        Field("username", ("login",)),
        OPTIONAL_PASSWORD,
        *extras("http_port", "secure", "connect_timeout", "send_receive_timeout", typed=True),
        *extras("session_timezone"),
    )
    options = extras("dataset_table_separator", "table_engine_type")
    rest_is_query = True

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """dlt's default ports are those of TLS."""
        if "secure" not in credentials:
            return
        credentials["secure"] = int(bool(credentials["secure"]))
        if not credentials["secure"]:
            credentials.setdefault("port", 9000)
            credentials.setdefault("http_port", 8123)
