"""dlt's PostgreSQL destination for runs that load at the same time.

In: what dlt's own `postgres` destination takes. Out: the same destination, except that runs create tables and change
columns one after the other, that each adds to what the others know of them, that a load's merge or replacement of a
table waits for that of another, that a reader sees the old table or the new one, and that what is staged has no index and is
not logged. Reading the API, normalizing and staging still
happen side by side. Without the locks, two loads that meet create the same table
("duplicate key value violates unique constraint pg_type_typname_nsp_index"), and two merges of the same records
both insert them: neither transaction sees what the other deleted (ran; tests/scheduler/test_side_by_side.py).
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import LoadJob, StateInfo
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema, TSchemaTables
from dlt.destinations.impl.postgres.factory import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient

from include.errors import TransientError
from include.load.destinations.postgres import locks, newest
from include.load.destinations.postgres.copy import JsonbTypeMapper, ParquetCopyJob
from include.load.interrupted import InterruptedClient
from include.load.made_again import MadeAgain
from include.load.proof import LoadProof, ProvenDestination, ProvenStatementsJob
from include.load.schema_union import check_collision, knows_all, union

# A staging table with a row, which a crash of the server empties like the others.
WITNESS = "_staged_rows_are_intact"


class CancelledSqlClient(InterruptedClient, Psycopg2SqlClient):
    """dlt's SQL client, whose statements can be cancelled."""

    def interrupt(self) -> None:
        """Ask the server to cancel what runs now."""
        self.native_connection.cancel()


class SideBySideClient(MadeAgain, PostgresClient):
    """dlt's client, with locks where PostgreSQL alone would let two runs collide."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        of_dlt = self.sql_client
        self.sql_client = CancelledSqlClient(
            of_dlt.dataset_name, of_dlt.staging_dataset_name, of_dlt.credentials, of_dlt.capabilities
        )

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Create the schema, or truncate this run's own staging tables."""
        with self._tables_locked():
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
        with self._tables_locked():
            if stored := self._stored_by_others():
                check_collision(self.schema, stored)
            if self.in_staging_dataset_mode:
                self._stage_a_witness()
            else:
                newest.make_table(self.sql_client)
            return super().update_stored_schema(only_tables, expected_update, force)

    def _make_create_table(self, qualified_name: str, table: PreparedTableSchema) -> str:
        # What is staged needs no log of its own: 39 MB for 100,000 rows. A server that crashes empties such a table.
        begin = super()._make_create_table(qualified_name, table)
        return begin.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1) if self.in_staging_dataset_mode else begin

    def _stage_a_witness(self) -> None:
        witness = self.sql_client.make_qualified_table_name(WITNESS)
        self.sql_client.execute_sql(f"CREATE UNLOGGED TABLE IF NOT EXISTS {witness} (staged int)")
        self.sql_client.execute_sql(f"INSERT INTO {witness} VALUES (1)")

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
        """dlt's job for the file; for Parquet and for statements, our own."""
        if file_path.endswith(".parquet"):
            return ParquetCopyJob(file_path)
        if StagedStatementsJob.is_sql_job(file_path):
            return StagedStatementsJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    @contextmanager
    def _tables_locked(self) -> Iterator[None]:
        with locks.transaction(self.sql_client.credentials) as cursor:
            locks.lock(cursor, f"ddl {self.sql_client.dataset_name}")
            yield


class StagedStatementsJob(ProvenStatementsJob):
    """The merge or the replacement. Raises TransientError when the server has crashed since the rows were staged."""

    def run(self) -> None:
        """Run dlt's job, on the connection that has found the staged rows: a crash now would break it."""
        client = self._job_client.sql_client
        with client.with_staging_dataset():
            witness = client.make_qualified_table_name(WITNESS)
        if not client.execute_sql(f"SELECT 1 FROM {witness}"):
            raise TransientError(
                "PostgreSQL has restarted since this run staged its rows, and has emptied the staging tables. Nothing of this "
                "run was loaded; the next try reads and stages again."
            )
        try:
            super().run()
        except newest.Superseded as newer:
            assert self.proof
            self.proof.supersede(newer.load_id)

    def before_the_merge(self, client: Any, proof: LoadProof) -> None:
        """All of it under the table's lock, from here to the commit."""
        locks.lock_until_commit(client, f"table {client.make_qualified_table_name(self._load_table['name'])}")
        super().before_the_merge(client, proof)

    def drop_superseded(self, client: Any, proof: LoadProof) -> None:
        """Runs overlap here."""
        newest.keep_newest(client, proof, self._schema, self._load_id)

    def older_loads(self, client: Any) -> str:
        """Loads that were complete before this one began to read; of others nobody knows what they saw."""
        return newest.was_loaded_before(client, self._schema, self._load_id)

    def after_the_merge(self, client: Any, proof: LoadProof) -> None:
        """The proof, and a word for later merges."""
        super().after_the_merge(client, proof)
        newest.note_merged(client, proof, self._load_id)


class side_by_side_postgres(ProvenDestination, postgres):  # dlt names its destinations in lower case
    """dlt's `postgres`, configured under `destination.postgres` like it."""

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client with locks."""
        return SideBySideClient

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        # dlt's selector takes Parquet off the list where ADBC is missing.
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]
        capabilities.type_mapper = JsonbTypeMapper
        # dlt sends the statements of a job in one text, which PostgreSQL takes for one transaction; said, it holds for any.
        capabilities.supports_transactions = True
        # A TRUNCATE is seen at once by readers that began before it (PostgreSQL's manual, 13.6); dlt then deletes.
        capabilities.supports_truncate_command = False
        return capabilities
