"""Which staging schemas of PostgreSQL are in use: each live run holds a lock that is named like its own.

In: dlt's client of a run. Out: a context in which the run's schema is marked; what killed runs left behind is gone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from dlt.destinations.impl.postgres.postgres import PostgresClient

from include.load import sql
from include.load.destinations.postgres import locks
from include.load.left_over import MARK, mark, sweep


@contextmanager
def staging_in_use(client: PostgresClient) -> Iterator[None]:
    """Mark this run's staging schema as in use, and drop those that killed runs left behind."""
    with locks.session(client.sql_client.credentials) as cursor:
        locks.lock(cursor, f"staging {client.sql_client.staging_dataset_name}")
        mark(client)

        def marked() -> list[str]:
            cursor.execute(
                "SELECT nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE relname = %s",
                (MARK,),
            )
            return [name for (name,) in cursor.fetchall()]

        def drop(name: str) -> None:
            with locks.lock_if_free(cursor, f"staging {name}") as is_dead:
                if is_dead:
                    cursor.execute(f"DROP SCHEMA IF EXISTS {sql.name(name, 'postgres')} CASCADE")

        sweep(client, marked, drop)
        yield
