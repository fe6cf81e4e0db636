"""Which column holds which field: a name of its own for each, that a person can read and that stays.

In: fields as paths of JSON keys, and the columns that a table has. Out: the names of their columns. dlt's naming makes
one name of `Name` and `name`, and `x` of every name without a Latin letter (1.31.0, `naming/snake_case.py`), and the
last value wins. Here the column tells its field in the hint `x-field`, which dlt keeps in the stored schema. A column
without it is older than the hint: it goes to the field that dlt would have put there.
"""

import json
import logging
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from anyascii import anyascii
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema.typing import TColumnSchema
from dlt.common.typing import VARIANT_FIELD_FORMAT

from include.errors import PermanentError

log = logging.getLogger(__name__)

# The JSON keys that lead to a value from the row that it belongs to; (): the row itself, in a list of bare values.
Field = tuple[str, ...]

FIELD_HINT = "x-field"
# Fields of the API's own with these names never become the loader's columns.
LOADERS_COLUMNS = frozenset(
    {
        "_dlt_id",
        "_dlt_load_id",
        "_dlt_parent_id",
        "_dlt_list_idx",
        "_dlt_root_id",
        "_dlt_valid_from",
        "_dlt_valid_to",
        "_run_id",
        "_loaded_at",
        "_row_hash",
        "_deleted_at",
    }
)
# As dlt calls a key without a character, and the column of bare values.
_NO_NAME, _BARE = "_empty", "value"
_SHOWN_CHARACTERS = 100


class ColumnNames:
    """The columns of one table and their fields, as they are known and as a load adds to them.

    `known`: the table's columns in dlt's schema. `keys`: the fields of the primary key, whose columns dlt knows by the
    names that it gives them.
    """

    def __init__(
        self, table: str, naming: NamingConvention, known: Mapping[str, TColumnSchema], keys: Iterable[Field]
    ) -> None:
        self._table = table
        self._naming = naming
        self._keys = frozenset(keys)
        self._columns: dict[Field, str] = {}
        self._taken: set[str] = {*LOADERS_COLUMNS, *known}
        self._variants: set[str] = {name for name, column in known.items() if column.get("variant")}
        self._without_field: set[str] = set()
        for name, column in known.items():
            if name in self._variants:
                continue
            if (field := column.get(FIELD_HINT)) is not None:
                self._columns[tuple(field)] = name  # type: ignore[arg-type]
            elif name not in LOADERS_COLUMNS:
                self._without_field.add(name)

    def find(self, field: Field) -> str | None:
        """The column that holds the field already; None: there is none yet."""
        if field in self._columns:
            return self._columns[field]
        name = name_of_dlt(self._naming, field)
        return name if name in self._without_field else None

    def claim(self, fields: Iterable[Field]) -> None:
        """Give a column to each field that has none. Raises PermanentError where a key cannot have its own."""
        for field in sorted((field for field in fields if field not in self._columns), key=self._rank):
            name = self._name_for(field)
            self._without_field.discard(name)
            self._taken.add(name)
            self._columns[field] = name
            if name != name_of_dlt(self._naming, field) or not "".join(field).isascii():
                log.info("The field `%s` is in the column `%s` of the table `%s`.", shown(field), name, self._table)

    def __getitem__(self, field: Field) -> str:
        return self._columns[field]

    def is_variant(self, column: str) -> bool:
        """Whether the column holds values of a field that are not of the type of the field's own column."""
        return column in self._variants

    def variant(self, column: str, data_type: str) -> str:
        """The column for those values of `column` that are not of its type, but of `data_type`."""
        preferred = self._naming.shorten_fragments(column, VARIANT_FIELD_FORMAT % data_type)
        name = free_name(self._naming, preferred, lambda name: name in self._taken and name not in self._variants)
        self._taken.add(name)
        self._variants.add(name)
        return name

    def __len__(self) -> int:
        """How many columns the table has, with all that the loader may add of its own."""
        return len(self._taken)

    def _rank(self, field: Field) -> int:
        if field in self._keys:
            return 0
        return 1 if name_of_dlt(self._naming, field) == "__".join(field) else 2

    def _name_for(self, field: Field) -> str:
        name = name_of_dlt(self._naming, field)
        if name in self._without_field or (field in self._keys and name not in self._taken):
            return name
        if field in self._keys:
            raise PermanentError(
                f"The key `{shown(field)}` cannot be loaded into the table `{self._table}`: its column would be "
                f"`{name}`, which holds another field. Choose another key, or load into a table of its own."
            )
        name = readable_name(self._naming, field)
        if name in LOADERS_COLUMNS:
            name = f"field{name}"
        return free_name(self._naming, name, self._taken.__contains__)


def child_table_name(
    naming: NamingConvention,
    parent: Sequence[str],
    field: Field,
    tables: Mapping[str, Mapping[str, object]],
    claimed: Container[str],
) -> tuple[str, ...]:
    """The name of the table for the list `field` of the rows of `parent`, in the parts that dlt puts together.

    `parent` is such a name as well; `tables` are those that dlt knows, `claimed` the names that other lists have.
    """
    above = naming.shorten_fragments(*parent)
    for name, table in tables.items():
        if table.get("parent") == above and table.get(FIELD_HINT) == list(field):
            return _parts(naming, (*parent, *_normalized(naming, field, "list")), name)
    parts = (*parent, *_normalized(naming, field, "list"))
    name = naming.shorten_fragments(*parts)
    table = tables.get(name, {})
    if name not in claimed and table.get("parent") == above and FIELD_HINT not in table:
        return parts
    parts = (*parent, *_normalized(naming, tuple(map(_in_latin, field)), "list"))
    name = free_name(naming, naming.shorten_fragments(*parts), lambda name: name in claimed or name in tables)
    log.info("The list `%s` is in the table `%s`.", shown(field), name)
    return _parts(naming, parts, name)


def _parts(naming: NamingConvention, parts: tuple[str, ...], name: str) -> tuple[str, ...]:
    # dlt shortens a long name as a whole: its parts are needed as long as they make this name.
    return parts if naming.shorten_fragments(*parts) == name else (name,)


def name_of_dlt(naming: NamingConvention, field: Field) -> str:
    """The column that dlt's own normalizer puts the field into."""
    return naming.shorten_fragments(*_normalized(naming, field, _BARE))


def readable_name(naming: NamingConvention, field: Field) -> str:
    """A name that can be read; not yet one that is free."""
    return naming.shorten_fragments(*_normalized(naming, tuple(map(_in_latin, field)), _BARE))


def free_name(naming: NamingConvention, name: str, is_taken: Callable[[str], bool]) -> str:
    """`name`, or the first of `name_2`, `name_3`, … that is free."""
    candidate, number = name, 1
    while is_taken(candidate):
        number += 1
        candidate = naming.shorten_fragments(f"{name}_{number}")
    return candidate


def shown(field: Field) -> str:
    """The field for a log or a message: no line break, no control character, not too long."""
    written = json.dumps(".".join(field))[1:-1]
    return written if len(written) <= _SHOWN_CHARACTERS else f"{written[:_SHOWN_CHARACTERS]}…"


def _normalized(naming: NamingConvention, field: Field, bare: str) -> tuple[str, ...]:
    if not field:
        return (naming.normalize_identifier(bare),)
    # Of `__` nothing is left: dlt takes it for what stands between names.
    return tuple((naming.normalize_path(key) if key and not key.isspace() else "") or _NO_NAME for key in field)


def _in_latin(key: str) -> str:
    if key.isascii():
        return key
    return re.sub(r"[^0-9A-Za-z]+", "_", anyascii(key)).strip("_") or "field"
