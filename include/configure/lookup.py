"""Where connections come from: Airflow, whose backends know them.

In: a connection's id. Out: the connection. The rest of this room works without Airflow.
"""

from collections.abc import Sequence

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.configure.connections import AirflowConnection


def look_up(conn_id: str) -> AirflowConnection | None:
    """The connection, from whatever backend serves Airflow; None: there is none. Each call asks anew."""
    try:
        return Connection.get(conn_id)  # type: ignore[no-any-return]
    except AirflowNotFoundException:
        return None


def look_up_first(conn_ids: Sequence[str]) -> AirflowConnection | None:
    """The first of the connections that there is; None: there is none."""
    found = (look_up(conn_id) for conn_id in conn_ids)
    return next((connection for connection in found if connection is not None), None)
