"""What runs that load at the same time each found out about the tables, put together.

In: dlt's schema of this load, and the one that another load has stored meanwhile. Out: one schema with the tables and
columns of both; or an error, where this load's files do not fit what the other one made.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchema
from dlt.common.schema.utils import get_nested_tables, is_complete_column, is_nested_table

from include.errors import TransientError
from include.extract.columnar.names import FIELD_HINT


def check_collision(ours: Schema, stored: Schema) -> None:
    """Raise TransientError when `ours` cannot be loaded beside `stored`; the next try begins with `stored`.

    A column of two types: PostgreSQL would round 1.5 on its way into a column of integers. A column of two fields. A child table that this
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
        if _differ(table, theirs, FIELD_HINT):
            raise TransientError(
                f"Another run has added the table `{name}` for another list while this one was reading. Nothing of this "
                "run was loaded; the next try has a table for each."
            )
        for column, description in theirs["columns"].items():
            _refuse_other_column(name, column, table["columns"].get(column, {}), description)


def _refuse_other_column(table: str, column: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    if _differ(mine, theirs, "data_type"):
        raise TransientError(
            f"Another run has added the column `{column}` to the table `{table}` as {theirs['data_type']} while this one "
            f"was reading it as {mine['data_type']}. Nothing of this run was loaded; the next try keeps the values of both."
        )
    if _differ(mine, theirs, FIELD_HINT):
        raise TransientError(
            f"Another run has added the column `{column}` to the table `{table}` for another field while this one was "
            "reading. Nothing of this run was loaded; the next try has a column for each."
        )


def _differ(mine: Mapping[str, Any], theirs: Mapping[str, Any], hint: str) -> bool:
    """Whether both say something, and not the same."""
    said = mine.get(hint), theirs.get(hint)
    return None not in said and said[0] != said[1]


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
