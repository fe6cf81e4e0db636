"""What runs that load at the same time each found out about the tables, put together.

In: dlt's schema of this load, and the one that another load has stored meanwhile. Out: one schema with the tables and
columns of both; or an error, where this load's files do not fit what the other one made.
"""

from copy import deepcopy

from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchema
from dlt.common.schema.utils import get_nested_tables, is_complete_column, is_nested_table

from include.errors import TransientError


def check_collision(ours: Schema, stored: Schema) -> None:
    """Raise TransientError when `ours` cannot be loaded beside `stored`; the next try begins with `stored`.

    A column of two types: PostgreSQL would round 1.5 on its way into a column of integers. A child table that this
    load does not know: the rows of the records that it replaces would stay there.
    """
    for name, theirs in stored.tables.items():
        table = ours.tables.get(name)
        if table is None:
            if is_nested_table(theirs) and theirs["parent"] in ours.tables:
                raise TransientError(
                    f"Another run has added the table `{name}` while this one was reading. Nothing of this run was loaded; "
                    "the next try knows the table."
                )
            continue
        for column, description in theirs["columns"].items():
            mine, other = table["columns"].get(column, {}).get("data_type"), description.get("data_type")
            if mine and other and mine != other:
                raise TransientError(
                    f"Another run has added the column `{column}` to the table `{name}` as {other} while this one was "
                    f"reading it as {mine}. Nothing of this run was loaded; the next try keeps the values of both."
                )


def knows_all(ours: Schema, stored: Schema) -> bool:
    """Whether `ours` has each table and column that `stored` has."""
    return all(
        name in ours.tables and _complete(theirs) <= _complete(ours.tables[name])
        for name, theirs in stored.tables.items()
    )


def _complete(table: TTableSchema) -> set[str]:
    return {name for name, column in table["columns"].items() if is_complete_column(column)}


def union(ours: Schema, stored: Schema) -> Schema:
    """`stored` with what `ours` has beyond it; where both speak of the same, `ours`. Neither is changed."""
    both = stored.clone()
    for root in (name for name, table in ours.tables.items() if not is_nested_table(table)):
        # Parents first: dlt takes no child without its parent.
        for table in map(deepcopy, get_nested_tables(ours.tables, root)):
            both.update_table(table, normalize_identifiers=False, merge_compound_props=False)
    return both
