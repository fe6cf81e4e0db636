"""Which staging schemas of PostgreSQL are in use: each live run holds a lock that is named like its own.

In: dlt's client of a run. Out: a context in which the run's schema is marked; what killed runs left behind is gone. A lock can be
lost while its run lives (a time-out of the server or of a pooler ends its idle connection): what is younger than any run may be is
left alone as well. The mark says when it was made, in a comment, which any role may read.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from dlt.destinations.impl.postgres.postgres import PostgresClient

from include.load import sql
from include.load.destinations.postgres import locks
from include.load.left_over import MARK, mark, sweep

# As `execution_timeout` in dags/datasets.py.
LONGEST_RUN_SECONDS = 6 * 60 * 60

# Seconds since 1970, by the server's clock, which all runs share.
_MADE_AT = "obj_description(c.oid, 'pg_class')"
_OLD_MARKS = (
    "SELECT nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE relname = %s "
    f"AND CASE WHEN {_MADE_AT} ~ '^[0-9]{{1,12}}$' THEN extract(epoch FROM clock_timestamp()) - {_MADE_AT}::bigint > %s END"
)


@contextmanager
def staging_in_use(client: PostgresClient) -> Iterator[None]:
    """Mark this run's staging schema as in use, and drop those that killed runs left behind."""
    sql_client = client.sql_client

    def say_when(table: str) -> None:
        ((now,),) = sql_client.execute_sql("SELECT extract(epoch FROM clock_timestamp())::bigint") or ()
        sql_client.execute_sql(f"COMMENT ON TABLE {table} IS {sql.literal(str(now), 'postgres')}")

    def old() -> list[str]:
        return [name for (name,) in sql_client.execute_sql(_OLD_MARKS, MARK, LONGEST_RUN_SECONDS) or ()]

    def drop(name: str) -> None:
        with sql_client.begin_transaction():
            if locks.is_free(sql_client, f"staging {name}"):
                sql_client.execute_sql(f"DROP SCHEMA IF EXISTS {sql.name(name, 'postgres')} CASCADE")

    with locks.transaction(sql_client.credentials) as cursor:
        locks.lock(cursor, f"staging {sql_client.staging_dataset_name}")
        mark(client, say_when)
        sweep(client, old, drop)
        yield
