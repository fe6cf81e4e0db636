"""Delta tables in a folder or bucket: what each sync mode is there, what is checked, how they are read back.

In: the sync mode and the run. Out: hints for dlt's resource; or an error before the first request. A Delta table changes
in one commit, but two tables in two: so a load has one table, with nested values as JSON. dlt merges into Delta tables by
`upsert`, or by `cdc`, which also deletes what is missing of a part of the table (its `common/libs/deltalake.py`, 1.31.0).
"""

from collections.abc import Sequence
from typing import Any

import dlt
import duckdb
import pyarrow as pa
from dlt.common.schema.typing import TTableSchema
from sqlglot import exp

from include.decide.sync_mode import RUN_COLUMN, SyncMode
from include.errors import ConfigurationError
from include.load import sql


def table_hints(table_format: str | None, mode: SyncMode, key_columns: Sequence[str], run_name: str) -> dict[str, Any]:
    """The hints that make a resource of `mode` a Delta table, in place of those for a database; None: there are none."""
    if table_format is None:
        return {}
    if mode.name == "replace":
        return {"table_format": "delta"}
    if mode.name == "merge":
        return {"table_format": "delta", "write_disposition": {"disposition": "merge", "strategy": "upsert"}}
    # The rows of this run become what it has read now. dlt fills in the name of the table, at `{table}`.
    run = sql.literal(run_name).replace("{", "{{").replace("}", "}}")
    own_rows = f"{{table}}.{RUN_COLUMN} = {run}"
    return {
        "table_format": "delta",
        "write_disposition": {"disposition": "merge", "strategy": "cdc", "destination_scope": own_rows},
        "primary_key": [*key_columns, RUN_COLUMN],
        "merge_key": [],
    }


def check_child_tables(table_format: str | None, nested: str) -> None:
    """Raise ConfigurationError (permanent) unless nested values stay in their record of a Delta table."""
    if table_format and nested != "json":
        raise ConfigurationError(
            "A Delta table has no child tables here, because two tables cannot change in one step: set the option `nested` "
            "to `json`, which keeps nested values in JSON columns."
        )


def check_format(table: TTableSchema, table_format: str | None, mode: SyncMode) -> None:
    """Raise ConfigurationError (permanent) when the table was made in another format, or cannot be merged into.

    `table` is the table as the destination knows it.
    """
    if not table["columns"]:
        return
    made_as = table.get("table_format")
    if made_as != table_format:
        raise ConfigurationError(
            f"The table `{table['name']}` was made {_written(made_as)}, and the connection `datasets_destination` asks for one "
            f"{_written(table_format)}. Correct `table_format` there, or name another folder or bucket."
        )
    if table_format and mode.name == "merge" and RUN_COLUMN in table["columns"]:
        # dlt's merge updates each row that has the key.
        raise ConfigurationError(
            f"Rows were appended to the Delta table `{table['name']}`: a merge would leave more than one row for a record. Load "
            "into it in the mode `append` or `replace`, or merge into another folder or bucket."
        )


def _written(table_format: str | None) -> str:
    return f"as a {table_format.capitalize()} table" if table_format else "of plain files"


class DeltaDataset:
    """One Delta table to ask in SQL, as a `dlt.Dataset`: that one would have DuckDB download an extension."""

    def __init__(self, pipeline: dlt.Pipeline, table: str) -> None:
        self.schema = pipeline.default_schema
        self._pipeline, self._table = pipeline, table

    def __call__(self, query: exp.Select) -> duckdb.DuckDBPyRelation:
        """The answer, from the table as it is after its last commit."""
        from deltalake import QueryBuilder
        from dlt.common.libs.deltalake import get_delta_tables

        (table,) = get_delta_tables(self._pipeline, self._table).values()
        answer = QueryBuilder().register(self._table, table).execute(query.sql()).read_all()
        return duckdb.connect().from_arrow(pa.table(answer))
