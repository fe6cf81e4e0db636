"""Parquet files into PostgreSQL by COPY, without another driver.

In: a Parquet file of a load package. Out: its rows in the job's table, all or none. dlt's own ways are not ours: its
`insert_values` is several times slower, its CSV job makes NULL of every empty text (FORCE_NULL), and its Parquet job
needs ADBC and cannot write `jsonb` (dlt 1.31.0, `destinations/impl/postgres`).
"""

import io

from dlt.common.destination import PreparedTableSchema
from dlt.common.destination.client import HasFollowupJobs, RunnableLoadJob
from dlt.common.schema.typing import TColumnSchema
from dlt.destinations.impl.postgres.factory import PostgresTypeMapper
from dlt.destinations.impl.postgres.postgres import PostgresClient

ROWS_PER_COPY = 10_000


class ParquetCopyJob(RunnableLoadJob, HasFollowupJobs):
    """Loads one file. Raises psycopg2's errors, which dlt sorts into transient and permanent."""

    _job_client: PostgresClient

    def run(self) -> None:
        """Copy the rows, in one transaction."""
        # Imported here, when pages have been fetched: Arrow takes a while.
        import pyarrow.parquet as pq
        from pyarrow import csv

        client = self._job_client.sql_client
        table = client.make_qualified_table_name(self.load_table_name)
        # Arrow quotes each text and leaves a null empty: so an empty text is no NULL.
        options = csv.WriteOptions(include_header=False, quoting_style="needed")
        with (
            pq.ParquetFile(self._file_path) as file,
            client.begin_transaction(),
            client.native_connection.cursor() as cursor,
        ):
            names = ", ".join(client.escape_column_name(name) for name in file.schema_arrow.names)
            for batch in file.iter_batches(ROWS_PER_COPY):
                rows = io.BytesIO()
                csv.write_csv(batch, rows, options)
                rows.seek(0)
                cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN WITH (FORMAT csv, NULL '')", rows)


class JsonbTypeMapper(PostgresTypeMapper):
    """dlt's types, with `jsonb` whatever the file format: dlt falls back to `json` for ADBC."""

    def to_destination_type(self, column: TColumnSchema, table: PreparedTableSchema) -> str:
        """The type in SQL."""
        without_format: PreparedTableSchema = {**table, "file_format": None}
        return super().to_destination_type(column, without_format)
