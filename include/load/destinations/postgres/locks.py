"""PostgreSQL's advisory locks (its manual, 13.3.5), by names that people can read. The server frees them when a run dies.

In: a name, and a cursor or dlt's client. Out: the lock, of a session or until the transaction's end. Each kind of lock
names itself ("ddl …", "table …", "staging …"): a run's staging schema is in use all the while that its tables are made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

from include.load.termination import interruptible
from include.load.waiting import waiting_for

# hashtextextended: the 64-bit key that an advisory lock takes.
_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
_TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


@contextmanager
def session(credentials: Any) -> Iterator[Any]:
    """A cursor on a connection of its own, whose locks end with it.

    dlt resets the client's connection after an error that it expects (a table that is not there yet), and a reset frees
    advisory locks. `credentials` are dlt's.
    """
    connection = psycopg2.connect(credentials.to_native_representation())
    leave = interruptible(connection.cancel)
    try:
        connection.autocommit = True
        yield connection.cursor()
    finally:
        leave()
        connection.close()


def lock(cursor: Any, name: str) -> None:
    """Wait for the lock, and hold it until the session ends."""
    with waiting_for(f"the lock `{name}` of PostgreSQL"):
        cursor.execute(_LOCK, (name,))


@contextmanager
def lock_if_free(cursor: Any, name: str) -> Iterator[bool]:
    """Whether the lock was free; if it was, it is held meanwhile."""
    cursor.execute(_TRY, (name,))
    (is_free,) = cursor.fetchone()
    try:
        yield is_free
    finally:
        if is_free:
            cursor.execute(_UNLOCK, (name,))


def lock_until_commit(client: Any, name: str) -> None:
    """Wait for the lock, in a transaction of dlt's SQL `client`, and hold it until that ends."""
    with waiting_for(f"the lock `{name}` of PostgreSQL"):
        client.execute_sql("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", name)
