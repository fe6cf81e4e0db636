"""dlt's PostgreSQL destination for runs that load at the same time.

In: what dlt's own `postgres` destination takes. Out: the same destination, except that runs create tables and change
columns one after the other, that each adds to what the others know of them, that a load's merge or replacement of a
table waits for that of another, and that what is staged has no index. Reading the API, normalizing and staging still
happen side by side. Without the turns, two loads that meet create the same table
("duplicate key value violates unique constraint pg_type_typname_nsp_index"), and two merges of the same records
both insert them: neither transaction sees what the other deleted (ran; tests/scheduler/test_side_by_side.py).

The locks are PostgreSQL's advisory locks (its manual, 13.3.5): the server frees them when a run dies.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest, LoadJob, StateInfo
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema, TSchemaTables
from dlt.destinations.impl.postgres.factory import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.sql_client import SqlClientBase
from dlt.destinations.sql_jobs import SqlMergeFollowupJob, SqlStagingReplaceFollowupJob

from include.load.destinations.postgres_copy import JsonbTypeMapper, ParquetCopyJob
from include.load.schema_union import knows_all, refuse_collision, union


class SideBySideClient(PostgresClient):
    """dlt's client, taking turns where PostgreSQL alone would let two runs collide."""

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Create the schema, or truncate this run's own staging tables."""
        with self._alone():
            super().initialize_storage(truncate_tables)  # type: ignore[arg-type]  # as in dlt: None is none

    def update_stored_schema(
        self,
        only_tables: Iterable[str] | None = None,
        expected_update: TSchemaTables | None = None,
        force: bool = False,
    ) -> TSchemaTables | None:
        """Create tables and add columns; what another run added meanwhile is found there.

        Raises TransientError where that does not fit what this run has read.
        """
        with self._alone():
            if stored := self._stored_by_others():
                refuse_collision(self.schema, stored)
            # dlt says None, and leaves it out of its types.
            return super().update_stored_schema(only_tables, expected_update, force)  # type: ignore[arg-type]

    def _get_column_hints_sql(self, c: TColumnSchema) -> str:
        # No unique index on what is staged: it is read once and whole, and ids in no order make an index slow.
        return "" if self.in_staging_dataset_mode else super()._get_column_hints_sql(c)

    def _update_schema_in_storage(self, schema: Schema) -> None:
        # In the transaction that changes the tables: what one run knows of them, all later ones do.
        stored = self._stored_by_others()
        super()._update_schema_in_storage(schema)
        if stored and not knows_all(schema, stored):
            super()._update_schema_in_storage(union(schema, stored))

    def _commit_schema_update(self, schema: Schema, schema_str: str) -> None:
        super()._commit_schema_update(schema, schema_str)
        # The newest schema counts, by the one clock that all runs share: those of two workers may differ.
        table = self.sql_client.make_qualified_table_name(self.schema.version_table_name)
        self.sql_client.execute_sql(
            f"UPDATE {table} SET inserted_at = clock_timestamp() WHERE version_hash = %s", schema.stored_version_hash
        )

    def _stored_by_others(self) -> Schema | None:
        """The newest schema in the destination; None: there is none, or this run is busy with its own staging tables."""
        if self.in_staging_dataset_mode or not (info := self.get_stored_schema(self.schema.name)):
            return None
        return Schema.from_dict(json.loads(info.schema))

    def get_stored_state(self, pipeline_name: str) -> StateInfo | None:  # type: ignore[override]  # as in dlt: None is none
        """The state of the highest version among completed loads; None: there is none yet.

        dlt takes that of the last load to be read: one that began before others and read after them would bring back
        the state that those have replaced.
        """
        states, loads = (
            self.sql_client.make_qualified_table_name(name)
            for name in (self.schema.state_table_name, self.schema.loads_table_name)
        )
        rows = self.sql_client.execute_sql(
            "SELECT version, engine_version, pipeline_name, state, created_at, version_hash, _dlt_load_id "
            f"FROM {states} AS s WHERE pipeline_name = %s "
            f"AND EXISTS (SELECT FROM {loads} AS l WHERE l.load_id = s._dlt_load_id AND l.status = 0) "
            "ORDER BY version DESC, _dlt_load_id DESC LIMIT 1",
            pipeline_name,
        )
        return StateInfo(*rows[0]) if rows else None

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """dlt's job for the file; for Parquet, our own."""
        if file_path.endswith(".parquet"):
            return ParquetCopyJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def _create_merge_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[FollowupJobRequest]:
        return [_MergeInTurn.from_table_chain(table_chain, self.sql_client)]

    def _create_replace_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[FollowupJobRequest]:
        return [_ReplaceInTurn.from_table_chain(table_chain, self.sql_client)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # On a connection of its own: dlt resets the client's after an error that it expects (a table that is not
        # there yet), and a reset frees advisory locks.
        connection = psycopg2.connect(self.sql_client.credentials.to_native_representation())
        try:
            connection.autocommit = True
            connection.cursor().execute(f"SELECT pg_advisory_lock({_key(f'ddl {self.sql_client.dataset_name}')})")
            yield
        finally:
            connection.close()


class _MergeInTurn(SqlMergeFollowupJob):
    @classmethod
    def generate_sql(cls, table_chain: Sequence[PreparedTableSchema], sql_client: SqlClientBase[Any]) -> list[str]:
        return [_lock_until_commit(table_chain, sql_client), *super().generate_sql(table_chain, sql_client)]


class _ReplaceInTurn(SqlStagingReplaceFollowupJob):
    @classmethod
    def generate_sql(cls, table_chain: Sequence[PreparedTableSchema], sql_client: SqlClientBase[Any]) -> list[str]:
        return [_lock_until_commit(table_chain, sql_client), *super().generate_sql(table_chain, sql_client)]


@contextmanager
def staging_in_use(client: PostgresClient) -> Iterator[None]:
    """Mark this run's staging schema as in use, and drop those that killed runs left behind.

    The mark is an advisory lock of the session, so it ends with the process, however that ends.
    """
    own, base = client.sql_client.staging_dataset_name, client.sql_client.dataset_name
    connection = psycopg2.connect(client.sql_client.credentials.to_native_representation())
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"SELECT pg_advisory_lock({_key(f'staging {own}')})")
        cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (f"{base}_staging_",))
        for (left_over,) in cursor.fetchall():
            if left_over == own:
                continue
            cursor.execute(f"SELECT pg_try_advisory_lock({_key(f'staging {left_over}')})")
            if cursor.fetchone() == (True,):
                cursor.execute(f'DROP SCHEMA IF EXISTS "{left_over}" CASCADE')
                cursor.execute(f"SELECT pg_advisory_unlock({_key(f'staging {left_over}')})")
        yield
    finally:
        connection.close()


def _lock_until_commit(table_chain: Sequence[PreparedTableSchema], sql_client: SqlClientBase[Any]) -> str:
    # dlt runs the statements of one job in one transaction.
    table = sql_client.make_qualified_table_name(str(table_chain[0]["name"]))
    return f"SELECT pg_advisory_xact_lock({_key(f'table {table}')});"


def _key(name: str) -> str:
    # Each kind of lock names itself: this run's staging schema is in use all the while that its tables are made.
    # hashtextextended: the 64-bit key that an advisory lock takes, from a name that people can read.
    literal = name.replace("'", "''")
    return f"hashtextextended('{literal}', 0)"


class side_by_side_postgres(postgres):  # dlt names its destinations in lower case
    """dlt's `postgres`, configured under `destination.postgres` like it."""

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client that takes turns."""
        return SideBySideClient

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        # dlt's selector takes Parquet off the list where ADBC is missing.
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]
        capabilities.type_mapper = JsonbTypeMapper
        return capabilities
