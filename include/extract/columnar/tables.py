"""A batch of records as Arrow tables: the root, and a child table for each nested list.

In: records, and the schema of their source. Out: tables as dlt's relational normalizer makes them (its
`common/normalizers/json/relational.py`, 1.31.0): nested objects become columns, and the links between the tables are
dlt's. But each list and each column is taken whole and not row by row, a value that would change in its column goes
beside it (`columns.py`), and each field has a column of its own (`names.py`).
"""

import logging
import os
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import pyarrow as pa
from dlt.common.normalizers.json.helpers import get_nested_row_hash, normalize_table_identifier
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema, TDataType, TTableSchema

from include.errors import PermanentError
from include.extract.columnar.columns import fit, infer_type, type_of, types_of
from include.extract.columnar.fields import fields_of, fields_of_rows, only
from include.extract.columnar.limits import Limits
from include.extract.columnar.names import FIELD_HINT, ColumnNames, Field, child_table_name, shown
from include.extract.columnar.row_hash import (
    ROW_HASH_COLUMN,
    ROW_HASH_HINTS,
    Contents,
    below,
    canonical_json,
    is_noise,
    row_hashes,
)

log = logging.getLogger(__name__)

Record = Mapping[str, Any]

# As long as dlt's own ids: 14 characters of 6 bits each.
_ID_LENGTH = 14
_ID_LETTERS = (string.ascii_letters + string.digits + "-_").encode()
_BYTE_TO_LETTER = bytes(_ID_LETTERS[byte % 64] for byte in range(256))


@dataclass(frozen=True)
class ArrowTable:
    """One table of a batch. `parent` None: the root. `hints`: what Arrow's types do not tell of its columns.

    `field`: the list that the rows of a child table come from.
    """

    name: str
    parent: str | None
    field: Field
    rows: pa.Table
    hints: dict[str, TColumnSchema]


@dataclass(frozen=True)
class TableOptions:
    """How records become tables.

    `max_nesting`: from so many levels on, nested values become JSON text, as dlt's `max_table_nesting`; 0: in the root table; None: never. `hashed_rows`: ids of rows are hashes over what is
    in them, for history; otherwise random. `keys`: the fields of the primary key. `noise`: fields that do not make a record another.
    `stamps`: columns of the root table with one value for all rows.
    """

    max_nesting: int | None = None
    hashed_rows: bool = False
    keys: tuple[Field, ...] = ()
    noise: tuple[Field, ...] = ()
    stamps: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass
class _Known:
    """What a load knows of one table. `parts`: its name before dlt puts it together.

    `level`: how many JSON keys and lists lie around its rows, `place`: the keys. `types` are those of all its columns, `fields` what this load puts into them.
    """

    parts: tuple[str, ...]
    name: str
    names: ColumnNames
    level: int
    place: Field
    types: dict[str, TColumnSchema]
    fields: dict[str, Field] = field(default_factory=dict)
    children: dict[Field, "_Known"] = field(default_factory=dict)
    # The columns of which it was said that digits are cut.
    cut: set[str] = field(default_factory=set)


@dataclass
class _Rows:
    """Rows of one table in a batch, objects or bare values, and what becomes of them step by step.

    `parent` None: the root. `parents` and `positions`: of each row, the row of the parent that it belongs to, and its place in that one's list.
    """

    table: _Known
    values: Sequence[Any]
    parent: "_Rows | None" = None
    path: Field = ()
    parents: pa.Array | None = None
    positions: Sequence[int] = ()
    columns: dict[str, pa.Array] = field(default_factory=dict)
    contents: Contents = field(default_factory=Contents)
    ids: pa.Array | None = None
    root_ids: pa.Array | None = None


@dataclass
class _Flat:
    """What has become of rows so far, and the objects that are still to be looked at. `contents`: as `Contents.columns`."""

    columns: dict[str, pa.Array]
    contents: dict[str, pa.Array]
    lists: dict[Field, Sequence[Any]] = field(default_factory=dict)
    objects: list[Iterable[tuple[Field, Sequence[Any]]]] = field(default_factory=list)


class RecordTables:
    """The tables of one load; it learns of columns with each batch.

    `beside`: how many values of a field (table and name in one) were not of its column's type, and lie beside it.
    """

    def __init__(self, table: str, schema: Schema, load_id: str, options: TableOptions) -> None:
        self._schema = schema
        # How dlt's own columns are called under the schema's naming.
        self._columns: Any = schema.data_item_normalizer
        self._load_id = load_id
        self._options = options
        self.beside: Counter[str] = Counter()
        self._claimed: set[str] = set()
        self._root = self._known((normalize_table_identifier(schema, schema.naming, table),), options.keys)

    @property
    def is_known(self) -> bool:
        """Whether an earlier load, or a batch of this one, has made columns."""
        return bool(self._root.types)

    def of(self, records: Sequence[Record]) -> list[ArrowTable]:
        """The tables of a batch of `records`: parents before their children, whose rows know their root row.

        Raises PermanentError for what the destination cannot hold, and for a key that does not fit its column.
        """
        taken_apart = [_Rows(self._root, records)]
        for rows in taken_apart:
            taken_apart.extend(self._children(rows, self._flatten(rows)))
        hashes = row_hashes(taken_apart[0].contents, len(records))
        return [self._table(rows, self._links(rows, hashes), hashes) for rows in taken_apart]

    def _children(self, rows: _Rows, lists: dict[Field, Sequence[Any]]) -> Iterator[_Rows]:
        for path, values in lists.items():
            present = [value or () for value in values]
            children = list(chain.from_iterable(present))
            if not children:
                continue
            table = self._child(rows.table, path)
            counts = list(map(len, present))
            parents = pa.array(list(chain.from_iterable(map(repeat, range(len(counts)), counts))), pa.int32())
            child = _Rows(table, children, rows, path, parents, list(chain.from_iterable(map(range, counts))))
            if not is_noise(table.place, self._options.noise):
                rows.contents.children[table.name] = counts, child.contents
            yield child

    def _links(self, rows: _Rows, hashes: pa.Array) -> dict[str, pa.Array]:
        """The loader's own columns, ids among them; after those of the parent."""
        hashed = self._options.hashed_rows
        if rows.parent is None:
            rows.ids = rows.root_ids = hashes if hashed else new_ids(len(rows.values))
            load_ids = pa.repeat(pa.scalar(self._load_id), len(rows.values))
            return {self._columns.c_dlt_load_id: load_ids, self._columns.c_dlt_id: rows.ids}
        assert rows.parent.ids is not None
        assert rows.parent.root_ids is not None
        parent_ids = rows.parent.ids.take(rows.parents)
        rows.root_ids = rows.parent.root_ids.take(rows.parents)
        if hashed:
            ids = map(get_nested_row_hash, parent_ids.to_pylist(), repeat(rows.table.name), rows.positions)
            rows.ids = pa.array(list(ids), pa.string())
        else:
            rows.ids = new_ids(len(rows.values))
        return {
            self._columns.c_dlt_root_id: rows.root_ids,
            self._columns.c_dlt_parent_id: parent_ids,
            self._columns.c_dlt_list_idx: pa.array(rows.positions, pa.int64()),
            self._columns.c_dlt_id: rows.ids,
        }

    def _child(self, parent: _Known, path: Field) -> _Known:
        if path not in parent.children:
            naming, tables = self._schema.naming, self._schema.tables
            parts = child_table_name(naming, parent.parts, path, tables, self._claimed)
            parent.children[path] = self._known(parts, (), parent.level + len(path), (*parent.place, *path))
        return parent.children[path]

    def _known(self, parts: tuple[str, ...], keys: Iterable[Field], level: int = 0, place: Field = ()) -> _Known:
        naming = self._schema.naming
        name = naming.shorten_fragments(*parts)
        self._claimed.add(name)
        stored: TTableSchema = self._schema.tables.get(name, {})
        columns = {column: hints for column, hints in stored.get("columns", {}).items() if hints.get("data_type")}
        return _Known(parts, name, ColumnNames(name, naming, columns, keys), level, place, columns)

    def _flatten(self, rows: _Rows) -> dict[Field, Sequence[Any]]:
        """Fill in the columns of the rows and what counts of them; the nested lists that are not among them."""
        flat = _Flat(rows.columns, rows.contents.columns)
        # A stack, and not recursion: so the columns come in dlt's order.
        flat.objects.append(fields_of_rows(rows.values))
        while flat.objects:
            found = {path: (values, kinds) for path, values in flat.objects.pop() if (kinds := types_of(values))}
            self._claim(rows.table, found)
            for path, (values, kinds) in found.items():
                self._put(flat, rows.table, path, values, kinds)
        return flat.lists

    def _put(self, flat: _Flat, table: _Known, path: Field, values: Sequence[Any], kinds: set[type]) -> None:
        """One field: into its column, or its objects and lists to what is looked at later."""
        nested = kinds & {dict, list}
        if not nested or self._is_json(table, path):
            self._add(flat, table, path, table.names[path], values, kinds)
            return
        if bare := kinds - nested:
            kept = [None if isinstance(value, (dict, list)) else value for value in values]
            self._add(flat, table, path, table.names[path], kept, bare)
        if dict in nested:
            flat.objects.append(fields_of(path, only(values, dict, kinds)))
        if list in nested:
            flat.lists[path] = only(values, list, kinds)

    def _claim(self, table: _Known, found: Mapping[Field, tuple[Any, set[type]]]) -> None:
        """Give a column to each field that needs one: it has values that are not nested, or they stay JSON."""
        table.names.claim(
            path for path, (_, kinds) in found.items() if kinds - {dict, list} or self._is_json(table, path)
        )
        most = self._options.limits.columns
        if most is not None and len(table.names) > most:
            raise PermanentError(
                f"The table `{table.name}` would have {len(table.names)} columns, and the destination can hold {most}. "
                "Nothing was loaded. Set the option `nested` to `json`: nested values then stay in one column each."
            )

    def _is_json(self, table: _Known, path: Field) -> bool:
        deepest = self._options.max_nesting
        if deepest is not None and table.level + max(0, len(path) - 1) >= deepest:
            return True
        name = table.names.find(path)
        return name in table.types and table.types[name]["data_type"] == "json"

    def _add(
        self,
        flat: _Flat,
        table: _Known,
        path: Field,
        name: str,
        values: Sequence[Any],
        found: set[type],
    ) -> None:
        is_key = table is self._root and path in self._options.keys
        column = table.types.get(name)
        if column is None:
            column = table.types[name] = {"name": name, "data_type": infer_type(values, is_key)}
        fitted = fit(values, found, column, self._options.limits, shown(path))
        if is_key:
            _check_key(table.name, path, type_of(column), values, fitted.array, bool(fitted.others))
        elif fitted.is_cut and name not in table.cut:
            table.cut.add(name)
            log.warning(
                "The field `%s` has values that are finer than its column `%s`, a %s: their last digits are cut.",
                shown(path),
                name,
                column["data_type"],
            )
        if fitted.array is not None:
            flat.columns[name] = fitted.array
            table.fields[name] = path
            self._count_in(flat.contents, table, path, name, values, fitted.array)
        for data_type, others in fitted.others.items():
            self.beside[f"{table.name}.{shown(path)}"] += sum(value is not None for value in others)
            self._add(flat, table, path, table.names.variant(name, data_type), others, types_of(others))

    def _count_in(
        self,
        contents: dict[str, pa.Array],
        table: _Known,
        path: Field,
        name: str,
        values: Sequence[Any],
        array: pa.Array,
    ) -> None:
        """Have a column count as content of its rows, unless it is noise."""
        place, noise = (*table.place, *path), self._options.noise
        if is_noise(place, noise):
            return
        if type_of(table.types[name]) == "json":
            kept = (
                value if is_held else None for value, is_held in zip(values, array.is_valid().to_pylist(), strict=True)
            )
            contents[name] = canonical_json(kept, below(place, noise))
        else:
            contents[name] = array

    def _table(self, rows: _Rows, links: dict[str, pa.Array], hashes: pa.Array) -> ArrowTable:
        columns = rows.columns
        fields = [pa.field(column, values.type) for column, values in columns.items()]
        fields += [pa.field(column, values.type, nullable=False) for column, values in links.items()]
        arrays = [*columns.values(), *links.values()]
        hints = {column: self._hints(rows.table, column) for column in columns}
        for column in links:
            hints[column] = {"name": column, "nullable": False, **self._hints_of_link(column, rows.parent is None)}
        if rows.parent is None:
            arrays.append(hashes)
            fields.append(pa.field(ROW_HASH_COLUMN, hashes.type))
            hints[ROW_HASH_COLUMN] = ROW_HASH_HINTS
            for column, value in self._options.stamps.items():
                arrays.append(pa.repeat(pa.scalar(value), len(rows.values)))
                fields.append(pa.field(column, arrays[-1].type))
        parent = rows.parent.table.name if rows.parent else None
        return ArrowTable(rows.table.name, parent, rows.path, pa.table(arrays, pa.schema(fields)), hints)

    def _hints(self, table: _Known, column: str) -> TColumnSchema:
        hints: Any = {"name": column, FIELD_HINT: list(table.fields[column])}
        if table.types[column]["data_type"] == "json":
            hints["data_type"] = "json"
        if table.names.is_variant(column):
            hints["variant"] = True
        described: TColumnSchema = hints
        return described

    def _hints_of_link(self, column: str, of_root: bool) -> TColumnSchema:
        match column:
            case self._columns.c_dlt_id if of_root and self._options.hashed_rows:
                # dlt says the rest of a column that tells versions apart.
                return {"data_type": "text"}
            case self._columns.c_dlt_id:
                return {"data_type": "text", "unique": True, "row_key": True}
            case self._columns.c_dlt_root_id:
                return {"data_type": "text", "root_key": True}
            case self._columns.c_dlt_parent_id:
                return {"data_type": "text", "parent_key": True}
            case self._columns.c_dlt_list_idx:
                return {"data_type": "bigint"}
        return {"data_type": "text"}


def _check_key(
    table: str, path: Field, data_type: TDataType, values: Sequence[Any], array: pa.Array | None, has_others: bool
) -> None:
    """Raise PermanentError where the key's column does not keep each key as it is, and apart from all others."""
    distinct = set(values) if data_type == "timestamp" and array is not None else ()
    if has_others or (array is not None and distinct and len(distinct) != len(array.unique())):
        raise PermanentError(
            f"The key `{shown(path)}` has values that its column in the table `{table}`, a {data_type}, cannot keep as "
            "they are: different records would become one row. Nothing was loaded. Choose another key, or drop the "
            "table to begin anew: a new one keeps text keys as text."
        )


def new_ids(count: int) -> pa.Array:
    """So many random ids, as texts."""
    letters = os.urandom(_ID_LENGTH * count).translate(_BYTE_TO_LETTER)
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_ID_LENGTH), count, [None, pa.py_buffer(letters)])
    return ids.cast(pa.binary()).cast(pa.string())
