"""The tables of one merge as SQL sees them: the table, what is staged for it, and the child tables of both.

In: dlt's SQL client in the merge's transaction, the schema, the table. Out: names and conditions, quoted, and counts. `t` is a row of the
table and `s` one that is staged for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchema
from dlt.common.schema.utils import (
    get_columns_names_with_prop,
    get_first_column_name_with_prop,
    get_nested_tables,
    get_validity_column_names,
    has_table_seen_data,
)

from include.decide.sync_mode import DELETED_AT_COLUMN, RUN_COLUMN
from include.extract.columnar.row_hash import ROW_HASH_COLUMN
from include.load import sql


@dataclass(frozen=True)
class ChildTable:
    """A child table, of whatever level: its rows know their root."""

    description: TTableSchema
    name: str
    staged: str
    root_key: str


class MergedTables:
    """One table in a merge. `keys`: the columns that tell its records apart, whatever dlt merges by. `dialect`: as sqlglot calls it."""

    def __init__(self, client: Any, schema: Schema, table: str, keys: Sequence[str]) -> None:
        self._client = client
        self.schema = schema
        self.description = schema.tables[table]
        self.dialect = str(client.capabilities.sqlglot_dialect)
        self.name, self.staged = client.get_qualified_table_names(table)
        # In history, the version of a row is its key.
        self.row_key = self.column_with("row_key", "x-row-version")
        self.load_id = self.escaped("_dlt_load_id")
        self.run = self.escaped(RUN_COLUMN)
        # Rows that were not made in columns have none: their ids tell versions of a history apart, and no other rows.
        self.hash = self.escaped(ROW_HASH_COLUMN) if ROW_HASH_COLUMN in self.description["columns"] else self.row_key
        keys = keys or get_columns_names_with_prop(self.description, "primary_key")
        self.keys = tuple(map(self.escaped, keys))
        self.children = tuple(
            map(self._child, filter(has_table_seen_data, get_nested_tables(schema.tables, table)[1:]))
        )

    def escaped(self, column: str) -> str:
        """The column as SQL."""
        return str(self._client.escape_column_name(column))

    def column_with(self, *hints: Any, of: TTableSchema | None = None) -> str:
        """The column with the first of these hints that there is."""
        found = (get_first_column_name_with_prop(of or self.description, hint) for hint in hints)
        return self.escaped(next(name for name in found if name))

    @property
    def same_key(self) -> str:
        """That `t` and `s` are versions of one record. There is a key."""
        return " AND ".join(f"t.{key} = s.{key}" for key in self.keys)

    @property
    def is_alone(self) -> str:
        """That no run has appended a version of the record of `t` and `s`: dlt's merge makes one row of all of them."""
        if RUN_COLUMN not in self.description["columns"]:
            return "1 = 1"
        same_key = " AND ".join(f"o.{key} = s.{key}" for key in self.keys)
        return f"NOT EXISTS (SELECT 1 FROM {self.name} AS o WHERE {same_key} AND o.{self.run} IS NOT NULL)"

    @property
    def is_present(self) -> str:
        """That the record of `t` is not marked as deleted."""
        is_kept = DELETED_AT_COLUMN in self.description["columns"]
        return f"t.{self.escaped(DELETED_AT_COLUMN)} IS NULL" if is_kept else "1 = 1"

    @property
    def is_valid(self) -> str:
        """That `t` is the version of its record that holds now; always, where the table keeps no history."""
        since, until = get_validity_column_names(self.description)
        return f"t.{self.escaped(until)} IS NULL" if until and since else "1 = 1"

    def names_of(self, table: TTableSchema) -> tuple[str, str]:
        """A table, and what is staged for it, as SQL."""
        name, staged = self._client.get_qualified_table_names(table["name"])
        return str(name), str(staged)

    def exact(self, one: str, other: str) -> str:
        """That two texts are the same, each character. Collations of MySQL take `a` for `A`."""
        if self.dialect == "mysql":
            return f"CAST({one} AS BINARY) = CAST({other} AS BINARY)"
        return f"{one} = {other}"

    def count(self, of: str) -> int:
        """So many rows. `of`: what stands behind FROM."""
        ((rows,),) = self._client.execute_sql(f"SELECT count(*) FROM {of}")
        return int(rows)

    def is_any(self, of: str) -> bool:
        """Whether there is such a row."""
        return bool(self._client.execute_sql(f"SELECT 1 FROM {of} LIMIT 1"))

    def run_sql(self, statement: str) -> None:
        """Change something."""
        self._client.execute_sql(statement)

    def run_of_staged(self) -> str:
        """The run that all staged rows of an append are of, as a literal."""
        ((run,),) = self._client.execute_sql(f"SELECT {self.run} FROM {self.staged} LIMIT 1")
        return sql.literal(str(run), self.dialect)

    def has_twins(self, of: str) -> bool:
        """Whether two of these rows have the same content, or one has no hash that tells."""
        rows = self.count(f"(SELECT DISTINCT {self.hash} FROM {of}) AS hashes WHERE {self.hash} IS NOT NULL")
        return rows != self.count(of)

    def remove(self, ids: str, but: str = "") -> None:
        """Take the rows whose ids a query gives out of the table, and their child rows. `but`: a query for the ids of those that stay."""
        kept = f" AND {{}} NOT IN {self.selected(but)}" if but else ""
        for child in self.children:
            self.run_sql(
                f"DELETE FROM {child.name} WHERE {child.root_key} IN {self.selected(ids)}{kept.format(child.root_key)}"
            )
        self.run_sql(f"DELETE FROM {self.name} WHERE {self.row_key} IN {self.selected(ids)}{kept.format(self.row_key)}")

    def unstage(self, ids: str) -> None:
        """Take what is staged under the ids of a query out again, with its child rows."""
        self.run_sql(f"DELETE FROM {self.staged} WHERE {self.row_key} IN {self.selected(ids)}")
        self.unstage_children(f"NOT IN {self.selected(f'SELECT {self.row_key} FROM {self.staged}')}")

    def unstage_children(self, condition: str) -> None:
        """Take out the child rows that are staged and whose root's id fulfils the condition."""
        for child in self.children:
            self.run_sql(f"DELETE FROM {child.staged} WHERE {child.root_key} {condition}")

    def update_joined(self, target: str, other: str, change: str, condition: str) -> None:
        """Change rows of `target` by those of `other` for which the condition holds; both with their aliases."""
        match self.dialect:
            case "mysql":
                alias = target.rsplit(" ", 1)[-1]
                self.run_sql(f"UPDATE {target} JOIN {other} ON {condition} SET {alias}.{change}")
            case _:
                self.run_sql(f"UPDATE {target} SET {change} FROM {other} WHERE {condition}")

    def selected(self, query: str) -> str:
        """The rows of a query, for an IN of a statement that changes one of its tables.

        MySQL wants a table of its own for that; and one that is made once, with an index: without DISTINCT it asks anew for each row.
        """
        if self.dialect == "mysql":
            query = query.replace("SELECT", "SELECT DISTINCT", 1)
        return f"(SELECT * FROM ({query}) AS found)"

    def _child(self, description: TTableSchema) -> ChildTable:
        return ChildTable(description, *self.names_of(description), self.column_with("root_key", of=description))
