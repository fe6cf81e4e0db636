"""An older version never replaces a newer one: reads overlap here, and the first to begin may be the last to merge.

In: the proof of a load, and dlt's SQL client in the merge's transaction, which holds the table's lock. Out: what this run has
staged without what is older than the table's rows; or `Superseded`; and a row in `_merged_reads`, which tells later merges
when this read began. Records with a cursor are compared one by one. A snapshot is compared as a whole.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import (
    get_columns_names_with_prop,
    get_first_column_name_with_prop,
    get_nested_tables,
    has_table_seen_data,
)

from include.errors import TransientError
from include.extract.columnar.names import ColumnNames
from include.load import sql
from include.load.proof import LoadProof

# One row for each table, source and kind of read: of the merged ones, that which began last.
MERGED_READS = "_merged_reads"

_NUMBERS = ("bigint", "double", "decimal", "wei")
# ISO 8601 in UTC, or without an offset, which means UTC. Others cannot be compared as text.
_INSTANT = r"^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]00:?00)?)?$"
_NUMBER = r"^-?\d{1,20}(\.\d+)?$"


class Superseded(Exception):
    """A snapshot of the same source, whose reading began after this one's, has been merged. Nothing is to be merged."""

    def __init__(self, load_id: str) -> None:
        super().__init__(load_id)
        self.load_id = load_id


def make_table(client: Any) -> None:
    """Make the table of merged reads where there is none."""
    table = client.make_qualified_table_name(MERGED_READS)
    # Asked first: a role that may not make tables may still merge.
    ((found,),) = client.execute_sql("SELECT to_regclass(%s)", table)
    if found is None:
        client.execute_sql(
            f"CREATE TABLE {table} (table_name text, source text, is_snapshot boolean, began_at timestamptz NOT NULL, "
            "load_id text NOT NULL, PRIMARY KEY (table_name, source, is_snapshot))"
        )


def keep_newest(client: Any, proof: LoadProof, schema: Schema, load_id: str) -> None:
    """Take out of what is staged, before the merge, what is older than what the table has.

    Raises Superseded; and TransientError where another kind of read has been merged meanwhile, which this snapshot would
    undo: the next try reads what is there then.
    """
    if _compares_records(proof):
        proof.superseded_rows = _drop_older(client, proof, schema)
    elif _is_snapshot(proof):
        _check_order(client, proof, load_id)


def note_merged(client: Any, proof: LoadProof, load_id: str) -> None:
    """Tell later merges, after this one and before its commit, when this read began."""
    table = client.make_qualified_table_name(MERGED_READS)
    client.execute_sql(
        f"INSERT INTO {table} AS noted VALUES (%s, %s, %s, {_BEGAN}, %s) ON CONFLICT (table_name, source, is_snapshot) "
        "DO UPDATE SET began_at = EXCLUDED.began_at, load_id = EXCLUDED.load_id WHERE noted.began_at < EXCLUDED.began_at",
        *(proof.table, proof.source, _is_snapshot(proof), _age_seconds(load_id), load_id),
    )


def was_loaded_before(client: Any, schema: Schema, load_id: str) -> str:
    """As SQL, that a row `t` is of a load that was complete before this one began to read."""
    loads = client.make_qualified_table_name(schema.loads_table_name)
    column = client.escape_column_name("_dlt_load_id")
    return (
        f"t.{column} IN (SELECT load_id FROM {loads} WHERE status = 0 "
        f"AND inserted_at < clock_timestamp() - make_interval(secs => {sql.literal(_age_seconds(load_id), 'postgres')}))"
    )


def _compares_records(proof: LoadProof) -> bool:
    return proof.mode.name == "merge" and proof.cursor_path is not None


def _is_snapshot(proof: LoadProof) -> bool:
    return not (_compares_records(proof) or proof.mode.stamps_rows)


# By the clock of the server, which all runs share: those of two workers may differ.
_BEGAN = "clock_timestamp() - make_interval(secs => %s)"


def _age_seconds(load_id: str) -> float:
    # dlt names a load by the time at which its last extract began.
    return time.time() - float(load_id)


def _check_order(client: Any, proof: LoadProof, load_id: str) -> None:
    table = client.make_qualified_table_name(MERGED_READS)
    # A merge leaves the records of other sources alone; a replacement and a history are of the whole table.
    of_source, source = (" AND source = %s", [proof.source]) if proof.mode.name == "merge" else ("", [])
    newer = client.execute_sql(
        f"SELECT load_id, is_snapshot AND source = %s AS has_all FROM {table} WHERE table_name = %s AND began_at > {_BEGAN}"
        f"{of_source} ORDER BY has_all DESC, began_at DESC LIMIT 1",
        *(proof.source, proof.table, _age_seconds(load_id), *source),
    )
    if not newer:
        return
    ((newer_id, has_all),) = newer
    if has_all:
        raise Superseded(newer_id)
    raise TransientError(
        f"While this run read everything, load {newer_id} began to read and was merged into the table `{proof.table}`: this run may "
        "have older versions of its records. Nothing of this run was loaded; the next try reads what is there now."
    )


def _drop_older(client: Any, proof: LoadProof, schema: Schema) -> int:
    description = schema.tables[proof.table]
    table, staged = client.get_qualified_table_names(proof.table)
    keys = map(client.escape_column_name, get_columns_names_with_prop(description, "primary_key"))
    same = " AND ".join(f"t.{key} = s.{key}" for key in keys)
    cases = " ".join(
        f"WHEN {cursor('t')} IS NOT NULL AND {cursor('s')} IS NOT NULL THEN {cursor('t')} > {cursor('s')}"
        for cursor in _cursors(client, proof, schema, description["columns"])
    )
    # Where cursors cannot be compared, the read that began last is the newer one.
    load_id = client.escape_column_name("_dlt_load_id")
    by_load = f't.{load_id} > s.{load_id} COLLATE "C"'
    is_older = f"CASE {cases} ELSE {by_load} END" if cases else by_load
    ((dropped,),) = client.execute_sql(
        f"WITH dropped AS (DELETE FROM {staged} AS s USING {table} AS t WHERE {same} AND {is_older} RETURNING 1) "
        "SELECT count(*) FROM dropped"
    )
    children = get_nested_tables(schema.tables, proof.table)[1:] if dropped else []
    for child in filter(has_table_seen_data, children):
        _, staged_child = client.get_qualified_table_names(child["name"])
        root_key = client.escape_column_name(get_first_column_name_with_prop(child, "root_key"))
        row_key = client.escape_column_name(get_first_column_name_with_prop(description, "row_key"))
        client.execute_sql(
            f"DELETE FROM {staged_child} AS c WHERE NOT EXISTS (SELECT FROM {staged} AS s WHERE s.{row_key} = c.{root_key})"
        )
    return int(dropped)


class _Cursor:
    """A value of a row by which versions are compared, as SQL; NULL where the row has none of this kind."""

    def __init__(self, value: str, kind: str) -> None:
        self._value, self._kind = value, kind

    def __call__(self, alias: str) -> str:
        value = f"({alias}.{self._value})"
        match self._kind:
            case "number":
                return _seconds(value)
            case "number in text":
                number = sql.literal(_NUMBER, "postgres")
                return f"CASE WHEN {value} ~ {number} THEN {_seconds(f'({value})::numeric')} END"
            case "text":
                # The same digits for each, so that they compare as text does.
                digits = f"regexp_replace(replace(upper({value}), 'T', ' '), '(Z|[+-]00:?00)$', '')"
                instant = sql.literal(_INSTANT, "postgres")
                padded = f"{digits} || substr(' 00:00:00.000000000', length({digits}) - 9)"
                return f'(CASE WHEN {value} ~ {instant} THEN {padded} END) COLLATE "C"'
        return value


def _seconds(number: str) -> str:
    # As `include/decide/cursor.py` reads them: from 1e11 on they are milliseconds.
    return f"(CASE WHEN abs({number}) >= 1e11 THEN {number} / 1000.0 ELSE {number} END)"


def _cursors(client: Any, proof: LoadProof, schema: Schema, columns: Mapping[str, TColumnSchema]) -> Iterator[_Cursor]:
    field = tuple((proof.cursor_path or "").removeprefix("$.").split("."))
    names = ColumnNames(proof.table, schema.naming, columns, ())
    if (name := names.find(field)) is not None:
        variants = [one for one, column in columns.items() if column.get("variant") and one.startswith(f"{name}__v_")]
        for one in (name, *variants):
            yield from _of_type(client.escape_column_name(one), columns[one].get("data_type"))
        return
    for length in range(len(field) - 1, 0, -1):
        name = names.find(field[:length])
        if name is not None and columns[name].get("data_type") == "json":
            path = ", ".join(sql.literal(key, "postgres") for key in field[length:])
            yield from _of_type(f"{client.escape_column_name(name)} #>> ARRAY[{path}]", "text")
            return


def _of_type(value: str, data_type: str | None) -> Iterator[_Cursor]:
    if data_type in _NUMBERS:
        yield _Cursor(value, "number")
    elif data_type == "text":
        yield _Cursor(value, "text")
        yield _Cursor(value, "number in text")
    elif data_type in ("timestamp", "date"):
        yield _Cursor(value, data_type)
