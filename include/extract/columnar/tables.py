"""A batch of records as the Arrow tables that dlt's relational normalizer would make of it.

In: records, and the schema of their source. Out: the root table, and a child table for each nested list; nested
objects become columns. Names, types and links between the tables are dlt's (`dlt/common/normalizers/json/relational.py`,
1.31.0), but each list and each column is taken whole and not row by row. `NotPlain` where a batch is not so simple.
"""

import os
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import pyarrow as pa
from dlt.common.normalizers.json.helpers import normalize_identifier, normalize_table_identifier
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema, TDataType

from include.extract.columnar.columns import NotPlain, infer_type, to_array, types_of

Record = Mapping[str, Any]
# The types that columns have had so far: table and column -> type.
Types = dict[tuple[str, str], TDataType]
# The path of a table or column: its name before its parts are put together.
Path = tuple[str, ...]

# As long as dlt's own ids: 14 characters of 6 bits each.
_ID_LENGTH = 14
_ID_LETTERS = (string.ascii_letters + string.digits + "-_").encode()
_BYTE_TO_LETTER = bytes(_ID_LETTERS[byte % 64] for byte in range(256))


@dataclass(frozen=True)
class ArrowTable:
    """One table of a batch. `parent` None: the root. `hints`: what Arrow's types do not tell of its columns."""

    name: str
    parent: str | None
    rows: pa.Table
    hints: dict[str, TColumnSchema]


def arrow_tables(
    records: Sequence[Record], table: str, schema: Schema, load_id: str, json_columns: bool, types: Types
) -> list[ArrowTable]:
    """The tables of `records`, the root first; child rows know their root row. `types` learns of new columns.

    `json_columns`: nested values become JSON text in the root table. Raises NotPlain.
    """
    batch = _Batch(schema, json_columns, types)
    batch.add_root(normalize_table_identifier(schema, schema.naming, table), records, load_id)
    return batch.tables


class _Batch:
    def __init__(self, schema: Schema, json_columns: bool, types: Types) -> None:
        self._schema = schema
        # How dlt's own columns are called under the schema's naming.
        self._names: Any = schema.data_item_normalizer
        self._json_columns = json_columns
        self._types = types
        self.tables: list[ArrowTable] = []

    def add_root(self, name: str, records: Sequence[Record], load_id: str) -> None:
        ids = new_ids(len(records))
        columns, lists = self._flatten(name, records)
        if not columns:
            raise NotPlain
        links = {self._names.c_dlt_load_id: pa.repeat(pa.scalar(load_id), len(records)), self._names.c_dlt_id: ids}
        self._add((name,), None, columns, links)
        self._add_children((name,), lists, ids, ids)

    def _add_children(self, parent: Path, lists: dict[Path, Sequence[Any]], ids: pa.Array, root_ids: pa.Array) -> None:
        for path, values in lists.items():
            present = [value or () for value in values]
            rows = list(chain.from_iterable(present))
            if rows:
                counts = list(map(len, present))
                parents = pa.array(list(chain.from_iterable(map(repeat, range(len(counts)), counts))), pa.int32())
                positions = pa.array(list(chain.from_iterable(map(range, counts))), pa.int64())
                self._add_child(parent, path, rows, ids.take(parents), positions, root_ids.take(parents))

    def _add_child(
        self, parent: Path, path: Path, rows: list[Any], parent_ids: pa.Array, positions: pa.Array, root_ids: pa.Array
    ) -> None:
        path = (*parent, *path)
        name = self._shorten(path)
        known = self._schema.tables.get(name)
        if any(table.name == name for table in self.tables) or (known and not known.get("parent")):
            raise NotPlain
        ids = new_ids(len(rows))
        links = {
            self._names.c_dlt_root_id: root_ids,
            self._names.c_dlt_parent_id: parent_ids,
            self._names.c_dlt_list_idx: positions,
            self._names.c_dlt_id: ids,
        }
        if set(map(type, rows)) == {dict}:
            columns, lists = self._flatten(name, rows)
        else:
            found = types_of(rows)
            # Lists of lists, and of objects among others, are dlt's; and of nulls alone it makes no column.
            if not found or found & {dict, list}:
                raise NotPlain
            columns, lists = {self._names.c_value: self._array(name, self._names.c_value, rows, found)}, {}
        self._add(path, self._shorten(parent), columns, links)
        self._add_children(path, lists, ids, root_ids)

    def _add(self, path: Path, parent: str | None, columns: dict[str, pa.Array], links: dict[str, pa.Array]) -> None:
        if not columns.keys().isdisjoint(links):
            # The records have such a field themselves.
            raise NotPlain
        name = self._shorten(path)
        fields = [pa.field(column, values.type) for column, values in columns.items()]
        fields += [pa.field(column, values.type, nullable=False) for column, values in links.items()]
        rows = pa.table([*columns.values(), *links.values()], pa.schema(fields))
        hints: dict[str, TColumnSchema] = {
            column: {"name": column, "data_type": "json"} for column in columns if self._types[name, column] == "json"
        }
        for column in links:
            hints[column] = {"name": column, "nullable": False, **self._hints_of_link(column)}
        self.tables.append(ArrowTable(name, parent, rows, hints))

    def _hints_of_link(self, column: str) -> TColumnSchema:
        match column:
            case self._names.c_dlt_id:
                return {"data_type": "text", "unique": True, "row_key": True}
            case self._names.c_dlt_root_id:
                return {"data_type": "text", "root_key": True}
            case self._names.c_dlt_parent_id:
                return {"data_type": "text", "parent_key": True}
            case self._names.c_dlt_list_idx:
                return {"data_type": "bigint"}
        return {"data_type": "text"}

    def _flatten(self, table: str, rows: Sequence[Record | None]) -> tuple[dict[str, pa.Array], dict[Path, Any]]:
        """The columns of `table`, and the nested lists that are not among them."""
        columns: dict[str, pa.Array] = {}
        lists: dict[Path, Sequence[Any]] = {}
        for path, key, values, found in self._fields(table, rows):
            name = self._shorten((*path, self._identifier(key)))
            if not found & {dict, list} or self._is_json(table, name):
                columns[name] = self._array(table, name, values, found)
                continue
            list_path = (*path, normalize_table_identifier(self._schema, self._schema.naming, key))
            if found != {list} or list_path in lists:
                raise NotPlain
            lists[list_path] = values
        return columns, lists

    def _fields(
        self, table: str, rows: Sequence[Record | None]
    ) -> Iterator[tuple[Path, str, Sequence[Any], set[type]]]:
        """The path, key, values and types of each field that has a value, also of those of nested objects."""
        names: set[str] = set()
        # A stack, and not recursion: so the columns come in dlt's order.
        objects: list[tuple[Path, Sequence[Record | None]]] = [((), rows)]
        while objects:
            path, rows = objects.pop()
            for key, values in _by_key(rows):
                column_path = (*path, self._identifier(key))
                name = self._shorten(column_path)
                if name in names:
                    raise NotPlain
                names.add(name)
                found = types_of(values)
                if found == {dict} and not self._is_json(table, name):
                    objects.append((column_path, values))
                elif found:
                    # As with dlt: a column that has only ever been null is none.
                    yield path, key, values, found

    def _identifier(self, key: str) -> str:
        if not key.strip():
            raise NotPlain
        return normalize_identifier(self._schema, self._schema.naming, key)

    def _array(self, table: str, column: str, values: Sequence[Any], found: set[type]) -> pa.Array:
        data_type = self._known_type(table, column) or infer_type(values, found)
        array = to_array(values, found, data_type)
        self._types[table, column] = data_type
        return array

    def _is_json(self, table: str, column: str) -> bool:
        return self._json_columns or self._known_type(table, column) == "json"

    def _known_type(self, table: str, column: str) -> TDataType | None:
        """The type of a column that an earlier batch, or the destination, has; None: it is new."""
        known = self._schema.tables.get(table)
        stored = known["columns"].get(column, {}).get("data_type") if known else None
        return self._types.get((table, column)) or stored

    def _shorten(self, path: Path) -> str:
        return path[0] if len(path) == 1 else self._schema.naming.shorten_fragments(*path)


def _by_key(rows: Sequence[Record | None]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each key of the objects, in order, with its values, one a row; None: the row has no such key, or is no object."""
    first = rows[0]
    if first and len(first) > 1:
        same_keys: Any = rows
        try:
            # Nearly always all have the same keys, and then this is three times as fast.
            in_columns = list(zip(*map(itemgetter(*first), same_keys), strict=True))
            if set(map(len, same_keys)) == {len(first)}:
                return zip(first, in_columns, strict=True)
        except (KeyError, TypeError):
            pass
    objects = [row or {} for row in rows]
    keys = dict.fromkeys(chain.from_iterable(objects))
    return ((key, [each.get(key) for each in objects]) for key in keys)


def new_ids(count: int) -> pa.Array:
    """So many random ids, as texts."""
    letters = os.urandom(_ID_LENGTH * count).translate(_BYTE_TO_LETTER)
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_ID_LENGTH), count, [None, pa.py_buffer(letters)])
    return ids.cast(pa.binary()).cast(pa.string())
