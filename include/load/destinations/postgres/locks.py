"""PostgreSQL's advisory locks (its manual, 13.3.5), by names that people can read. The server frees them when a run dies.

In: a name, and a cursor or dlt's client. Out: the lock, until the transaction's end. Not a session's: behind PgBouncer in transaction
mode the next statement has another session, and the lock would stay with the first. Each kind of lock names itself ("ddl …",
"table …", "staging …"): a run's staging schema is in use all the while that its tables are made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

from include.load.termination import interruptible
from include.load.waiting import waiting_for

# hashtextextended: the 64-bit key that an advisory lock takes.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_TRY = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"


@contextmanager
def transaction(credentials: Any) -> Iterator[Any]:
    """A cursor in a transaction of a connection of its own, whose locks end with it. It is to change nothing.

    dlt's client has transactions of its own meanwhile. One that only holds locks keeps no row version alive. `credentials` are
    dlt's.
    """
    connection = psycopg2.connect(credentials.to_native_representation())
    leave = interruptible(connection.cancel)
    try:
        yield connection.cursor()
    finally:
        leave()
        connection.close()


def lock(cursor: Any, name: str) -> None:
    """Wait for the lock, and hold it until the cursor's transaction ends."""
    with waiting_for(f"the lock `{name}` of PostgreSQL"):
        cursor.execute(_LOCK, (name,))


def is_free(client: Any, name: str) -> bool:
    """Whether the lock was free; if it was, it is held until the transaction of dlt's SQL `client` ends."""
    ((was_free,),) = client.execute_sql(_TRY, name)
    return bool(was_free)


def lock_until_commit(client: Any, name: str) -> None:
    """Wait for the lock, in a transaction of dlt's SQL `client`, and hold it until that ends."""
    with waiting_for(f"the lock `{name}` of PostgreSQL"):
        client.execute_sql(_LOCK, name)
