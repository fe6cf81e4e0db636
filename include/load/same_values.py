"""Rows that an earlier version of the project loaded have no hash: they are compared by their values, once, and have one then.

In: the tables of a merge, and which rows of them are versions of one record. Out: the hash of what is staged in the rows of the table
that have the same values, in their child rows too.
"""

from collections.abc import Collection, Iterator

from dlt.common.schema.typing import TTableSchema

from include.extract.columnar.names import FIELD_HINT, LOADERS_COLUMNS, Field
from include.extract.columnar.row_hash import is_noise
from include.load.merged_tables import ChildTable, MergedTables


def adopt_unhashed_rows(tables: MergedTables, pair: str, noise: Collection[Field]) -> None:
    """Give rows without a hash the one of what is staged, where that says the same. `pair`: that `s` and `t` are versions of one record."""
    unhashed = f"t.{tables.hash} IS NULL"
    if not tables.is_any(f"{tables.name} AS t WHERE {unhashed}"):
        return
    same = [pair, unhashed, *_same_columns(tables, tables.description, "t", "s", noise)]
    pairs = (
        f"SELECT s.{tables.row_key} AS staged_id, t.{tables.row_key} AS table_id FROM {tables.staged} AS s JOIN {tables.name} AS t "
        f"ON {' AND '.join(same)}"
    )
    others = [query for child in tables.children for query in _with_other_children(tables, child, pairs, noise)]
    if others:
        same.append(f"s.{tables.row_key} NOT IN {tables.selected(' UNION '.join(others))}")
    tables.update_joined(
        f"{tables.name} AS t", f"{tables.staged} AS s", f"{tables.hash} = s.{tables.hash}", " AND ".join(same)
    )


def _with_other_children(
    tables: MergedTables, child: ChildTable, pairs: str, noise: Collection[Field]
) -> Iterator[str]:
    """Queries for the staged ids of pairs whose rows of a child table are not the same."""
    if is_noise(_place(tables, child.description), noise):
        return
    depth = len(_ancestors(tables, child.description))
    there, staged = (_with_positions(tables, child.description, is_staged) for is_staged in (False, True))
    same = [f"t._dlt_p{level} = s._dlt_p{level}" for level in range(depth)]
    same += _same_columns(tables, child.description, "t", "s", noise)
    yield (
        f"SELECT p.staged_id FROM ({pairs}) AS p JOIN {staged} AS s ON s._dlt_root = p.staged_id LEFT JOIN {there} AS t "
        f"ON t._dlt_root = p.table_id AND {' AND '.join(same)} WHERE t._dlt_root IS NULL"
    )
    rows_there, rows_staged = (
        f"(SELECT c.{child.root_key} AS _dlt_root, count(*) AS found FROM {name} AS c GROUP BY c.{child.root_key})"
        for name in (child.name, child.staged)
    )
    yield (
        f"SELECT p.staged_id FROM ({pairs}) AS p LEFT JOIN {rows_staged} AS s ON s._dlt_root = p.staged_id "
        f"LEFT JOIN {rows_there} AS t ON t._dlt_root = p.table_id WHERE coalesce(s.found, 0) <> coalesce(t.found, 0)"
    )


def _with_positions(tables: MergedTables, child: TTableSchema, is_staged: bool) -> str:
    """The rows of a child table with the id of their root, and their place in each list on the way from there, as _dlt_p0, _dlt_p1 and so on."""
    chain = _ancestors(tables, child)
    position = tables.escaped("_dlt_list_idx")
    names = [tables.names_of(one)[is_staged] for one in chain]
    joins = f"{names[-1]} AS c{len(chain) - 1}"
    for level in range(len(chain) - 2, -1, -1):
        parent_key = tables.column_with("parent_key", of=chain[level + 1])
        row_key = tables.column_with("row_key", of=chain[level])
        joins += f" JOIN {names[level]} AS c{level} ON c{level}.{row_key} = c{level + 1}.{parent_key}"
    places = ", ".join(f"c{level}.{position} AS _dlt_p{level}" for level in range(len(chain)))
    own = f"c{len(chain) - 1}"
    return f"(SELECT {own}.*, {own}.{tables.column_with('root_key', of=child)} AS _dlt_root, {places} FROM {joins})"


def _ancestors(tables: MergedTables, child: TTableSchema) -> list[TTableSchema]:
    """The child tables from the one below the root down to `child`."""
    chain = [child]
    while (parent := tables.schema.tables[str(chain[0]["parent"])]).get("parent"):
        chain.insert(0, parent)
    return chain


def _place(tables: MergedTables, description: TTableSchema) -> Field:
    """The field that the rows of a child table come from, from the root on."""
    if not description.get("parent"):
        return ()
    return tuple(part for one in _ancestors(tables, description) for part in one.get(FIELD_HINT) or ("",))  # type: ignore[attr-defined]


def _same_columns(
    tables: MergedTables, description: TTableSchema, one: str, other: str, noise: Collection[Field]
) -> Iterator[str]:
    place = _place(tables, description)
    for name, column in description["columns"].items():
        if name in LOADERS_COLUMNS or not column.get("data_type"):
            continue
        field = (*place, *(column.get(FIELD_HINT) or name.split("__")))  # type: ignore[misc]
        if is_noise(field, noise):
            continue
        values = [f"{alias}.{tables.escaped(name)}" for alias in (one, other)]
        exact = tables.exact(*values) if column["data_type"] in ("text", "json") else " = ".join(values)
        yield f"({exact} OR ({values[0]} IS NULL AND {values[1]} IS NULL))"
