"""What a kind of destination is: the base of each module in `include/load/destinations`, with careful defaults.

In: an Airflow connection, then what a load asks on its way. Out: dlt's values, dlt's destination, and how this kind
locks, stages and hints. A kind that only maps its fields changes nothing else: it is dlt's own destination, which takes the
sync modes that dlt says it can, and nothing here makes runs wait. dlt and the drivers are imported when a destination
is opened; the names of fields are those of dlt (`dlt/destinations/impl/*/configuration.py`, 1.31.0) and of Airflow's hooks
(`get_connection_form_widgets` and `get_conn` of the provider for each type).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from include.configure.connections import AirflowConnection, ConnectionFields

if TYPE_CHECKING:
    import dlt
    from dlt.common.destination import Destination, DestinationCapabilitiesContext, TLoaderFileFormat
    from dlt.common.schema.typing import TTableSchema

    from include.configure.choices import SyncModeName
    from include.decide.sync_mode import SyncMode
    from include.load.delta import DeltaDataset

Values = dict[str, Any]

# Names of fields whose value is redacted: all that dlt's classes of credentials declare as secret (a test compares; this module
# imports no dlt), and what goes on to a driver as it is. Paths, ids and addresses of secrets are not secret themselves.
_SECRET_NAME = re.compile(
    r"(password|passwd|passphrase|pwd|secret|token|private_?key|account_?key|access_?key|api_?key|shared_?key|credential|"
    r"connection_?string|authorization|signature|statements)(?!.*_(path|file|id|uri|url)$)",
    re.I,
)


# A connection of this type names its kind in the extra.
GENERIC = "generic"
NAMED_BY = "destination"


@dataclass(frozen=True)
class DestinationValues:
    """A dlt destination: its name, and the arguments `credentials=` and `**options` of its factory.

    `secrets` are the secret values among them, to redact by. `table_format` is what dlt calls so, `delta` or None; to dlt
    it is not of the destination but of a table.
    """

    destination_type: str
    credentials: Mapping[str, object] = field(repr=False)
    options: Mapping[str, object] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    table_format: str | None = None


@dataclass(frozen=True)
class Field:
    """One value of dlt, and the connection's fields it comes from: the first one filled in counts.

    `meaning` set: required, and what the error says belongs there. `typed`: not a text for dlt; Airflow's URI
    form carries texts only, so `"true"`, `"5"` and `"{…}"` are read as JSON.
    """

    name: str
    sources: tuple[str, ...]
    meaning: str = ""
    typed: bool = False

    def value_of(self, given: ConnectionFields) -> Any:
        """The value; None: not filled in. Raises ConfigurationError (permanent) for a required one."""
        value = given.need(*self.sources, meaning=self.meaning) if self.meaning else given.get(*self.sources)
        return typed(value) if self.typed else value


def typed(value: Any) -> Any:
    """A text that is JSON as what it says; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value.lower() if value.lower() in ("true", "false") else value)
    except ValueError:
        return value


def extras(*names: str, typed: bool = False) -> tuple[Field, ...]:
    """Fields of the connection's extra that dlt calls by the same names."""
    return tuple(Field(name, (f"extra.{name}",), typed=typed) for name in names)


# What connections to servers have in common.
SERVER = (
    Field("host", ("host",), "the server's host name"),
    Field("port", ("port",)),
    Field("username", ("login",), "the user's name"),
)
DATABASE = Field("database", ("schema",), "the name of the database")
PASSWORD = Field("password", ("password",), "the user's password")
OPTIONAL_PASSWORD = Field("password", ("password",))
NO_IAM = {"iam": "put a user and a password into `login` and `password`"}


class DestinationKind:
    """One kind. A module of `include/load/destinations` has one subclass, named `Kind`; it holds no state."""

    conn_type: ClassVar[str]
    """The type of Airflow's connection."""
    destination_type: ClassVar[str]
    """dlt's name of the destination."""
    dialect: ClassVar[str] = ""
    """The SQL dialect, where dlt loads into several through SQLAlchemy; empty: the destination's name."""
    requirement: ClassVar[tuple[str, str]]
    """The Python module that has to be there, and the file to install it from."""
    fields: ClassVar[tuple[Field, ...]] = ()
    """dlt's credentials."""
    options: ClassVar[tuple[Field, ...]] = ()
    """dlt's options of the destination."""
    constants: ClassVar[Mapping[str, object]] = {}
    """Credentials that are always the same."""
    rest_is_query: ClassVar[bool] = False
    """Any other extra is a parameter of the driver, as in Airflow."""
    airflow_only: ClassVar[tuple[str, ...]] = ()
    """Extras that steer Airflow's hook and mean nothing to dlt."""
    refused: ClassVar[Mapping[str, str]] = {}
    """Extras that dlt cannot honour, and what to do instead."""
    replace_strategy: ClassVar[str | None] = "insert-from-staging"
    """dlt's; by default it would empty the table first and then fill it. None: there is no other way."""
    file_format: ClassVar["TLoaderFileFormat | None"] = None
    """The loader file format that was measured to be fastest; None: dlt's preferred one."""
    leaves_unchanged: ClassVar[bool] = False
    """A merge leaves alone what is unchanged (`changes.py`): there is a transaction that ours can look into."""

    def __init_subclass__(cls) -> None:
        cls.dialect = cls.dialect or getattr(cls, "destination_type", "")

    # --- the connection

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """Change, in place, what the fields alone cannot say. Raises ConfigurationError (permanent)."""

    def values_of(self, connection: AirflowConnection) -> DestinationValues:
        """The values of dlt. Raises ConfigurationError (permanent) that names connection and field, never a value."""
        given = ConnectionFields(connection)
        for name, instead in self.refused.items():
            if typed(given.get(f"extra.{name}")):
                raise given.error(f"extra.{name}", f"is not supported by dlt: {instead}")
        credentials = dict(self.constants) | _filled(self.fields, given)
        options = _filled(self.options, given)
        if self.rest_is_query and (rest := self._rest_of(given)):
            credentials["query"] = rest
        self.complete(given, credentials, options)
        secrets = tuple(dict.fromkeys(_secrets_in({**options, **credentials})))
        table_format = options.pop("table_format", None)
        return DestinationValues(self.destination_type, credentials, options, secrets, table_format)

    def _rest_of(self, given: ConnectionFields) -> Values:
        known = {source.removeprefix("extra.") for f in self.fields + self.options for source in f.sources}
        known |= {*self.airflow_only, *self.refused}
        known |= {NAMED_BY} if given.conn_type == GENERIC else set()
        return {name: given.get(f"extra.{name}") for name in given.extra_names() if name not in known}

    def requirements(self, values: DestinationValues) -> tuple[tuple[str, str], ...]:
        """Modules that have to be there, each with the file to install it from."""
        return (self.requirement,)

    def missing_requirement(self, values: DestinationValues) -> str | None:
        """A sentence that names what to install for this destination; None: all is there. Imports no driver."""
        for module, file in self.requirements(values):
            if not _is_installed(module):
                return (
                    f"The destination `{self.dialect}` needs the Python module `{module}`, which is not installed: "
                    f"run `pip install -r {file} -c constraints.txt`."
                )
        return None

    # --- the load

    def open(self, **settings: Any) -> "Destination[Any, Any]":
        """dlt's destination with these settings; its credentials resolve when it connects."""
        from dlt.common.destination import Destination

        destination: Destination[Any, Any] | None = Destination.from_reference(self.destination_type, **settings)
        assert destination is not None
        return destination

    def lock(self, values: DestinationValues, dataset_name: str) -> AbstractContextManager[object]:
        """Held while a run loads; waits for the run that holds it. Here: none, and docs/side-by-side.md says to give it one writer."""
        return nullcontext()

    def kept_open(self, values: DestinationValues) -> AbstractContextManager[object]:
        """Held from the lock to the end of the load. Here: nothing."""
        return nullcontext()

    def staging(self, client: Any) -> AbstractContextManager[object]:
        """Held while this run stages, by dlt's open `client`; what killed runs staged goes. Here: nobody can tell it."""
        return nullcontext()

    def modes(
        self, values: DestinationValues, capabilities: "DestinationCapabilitiesContext"
    ) -> tuple["SyncModeName", ...]:
        """The sync modes that it can do. Here: those that dlt says."""
        from include.decide.sync_mode import SYNC_MODES

        able = {None, *(capabilities.supported_merge_strategies or ())}
        return tuple(name for name, mode in SYNC_MODES.items() if mode.merge_strategy in able)

    def check_nested(self, values: DestinationValues, nested: str) -> None:
        """Raise ConfigurationError (permanent) when nested values cannot be kept like this. Here: all can."""

    def check_table(self, values: DestinationValues, mode: "SyncMode", table: "TTableSchema") -> None:
        """Raise ConfigurationError (permanent) when the table, as the destination knows it, cannot be loaded into."""

    def hints(
        self, values: DestinationValues, mode: "SyncMode", key_columns: Sequence[str], run_name: str
    ) -> dict[str, Any]:
        """Hints for dlt's resource in place of those of the mode. Here: the file format."""
        hints: dict[str, Any] = {"file_format": self.file_format} if self.file_format else {}
        if self.leaves_unchanged and mode.stamps_rows:
            from include.decide.sync_mode import RUN_COLUMN

            # What this run has added before is looked at in the merge; dlt adds what is staged then.
            hints["columns"] = {
                RUN_COLUMN: {"data_type": "text", "merge_key": False, "nullable": True},
                "_dlt_load_id": {"data_type": "text", "merge_key": True},
            }
        return hints

    def dataset(self, values: DestinationValues, pipeline: "dlt.Pipeline", table: str) -> "dlt.Dataset | DeltaDataset":
        """What to ask in SQL what `table` has after a load."""
        return pipeline.dataset()


def _filled(fields: tuple[Field, ...], given: ConnectionFields) -> Values:
    return {f.name: value for f in fields if (value := f.value_of(given)) is not None}


def _secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """The secret texts in `value`, which is called `name`, down through objects, lists, and lists of pairs."""
    match value:
        case Mapping():
            for key, item in value.items():
                yield from _secrets_in(item, str(key))
        case [str(key), item] if _SECRET_NAME.search(key):
            yield from _secrets_in(item, key)
        case list() | tuple():
            for item in value:
                yield from _secrets_in(item, name)
        case str() if value.strip() and _SECRET_NAME.search(name):
            yield value.strip()  # as dlt does, so that what is redacted is what is sent
            # AccountName=…;AccountKey=…
            for key, _, text in (pair.partition("=") for pair in value.split(";")):
                yield from _secrets_in(text, key.strip())


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that the module would be in
        return False
