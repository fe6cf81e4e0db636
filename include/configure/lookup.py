"""Where connections come from: Airflow, whose backends know them.

In: a connection's id. Out: the connection. The rest of this room works without Airflow.
"""

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.configure.connections import AirflowConnection


def look_up(conn_id: str) -> AirflowConnection | None:
    """The connection, from whatever backend serves Airflow; None: there is none. Each call asks anew."""
    try:
        return Connection.get(conn_id)  # type: ignore[no-any-return]
    except AirflowNotFoundException:
        return None
