"""Turns an Airflow connection into the plain values that dlt takes.

In: any object with the fields of an Airflow connection. Out: `ApiValues` for the API to read,
`DestinationValues` for the place to load into; the table behind the latter is `include/load/destinations/table.py`.
Nothing is looked up, opened or sent here (one exception: a BigQuery `key_path` names a file, and dlt takes
only its content). A field that is missing or wrong is a `ConfigurationError`, permanent, that names the
connection and the field and never a value.
"""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from include.errors import ConfigurationError
from include.load.destinations.table import DESTINATION_REQUIREMENTS, DESTINATIONS, missing_requirement

__all__ = [
    "API_CONN_ID",
    "DESTINATION_CONN_ID",
    "DESTINATION_REQUIREMENTS",
    "AirflowConnection",
    "ApiValues",
    "DestinationValues",
    "api_values",
    "destination_values",
    "missing_requirement",
]

API_CONN_ID = "datasets_api"
DESTINATION_CONN_ID = "datasets_destination"

# Names of fields whose value is redacted; paths, ids and addresses of secrets are not secret themselves.
_SECRET_NAME = re.compile(
    r"(password|passwd|passphrase|secret|token|private_key|authorization)(?!.*_(path|file|id|uri|url)$)", re.I
)


class AirflowConnection(Protocol):
    """What is read of an Airflow connection; Airflow has decoded what its URI form percent-encodes."""

    conn_id: str
    conn_type: str | None
    host: str | None
    schema: str | None
    login: str | None
    password: str | None
    port: int | None

    @property
    def extra_dejson(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class ApiValues:
    """Where the API is, its key, and the source's options: all keys of the connection's extra, unchanged."""

    base_url: str
    api_key: str = field(repr=False)
    options: Mapping[str, object] = field(repr=False)  # may hold a token in `params`


@dataclass(frozen=True)
class DestinationValues:
    """A dlt destination: its name, and the arguments `credentials=` and `**options` of its factory.

    `secrets` are the secret values among them, to redact by. `dialect` is the SQL dialect, which tells apart
    what dlt loads into through SQLAlchemy (`mysql`, `sqlite`); for the others it is the destination's name.
    `table_format` is what dlt calls so, `delta` or None; to dlt it is not of the destination but of a table.
    """

    destination_type: str
    credentials: Mapping[str, object] | str = field(repr=False)
    options: Mapping[str, object] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    dialect: str
    table_format: str | None = None


class ConnectionFields:
    """The filled-in fields of one connection, under the names a person sees: `host`, `extra.account`."""

    def __init__(self, connection: AirflowConnection) -> None:
        self.conn_id = connection.conn_id
        self.conn_type = (connection.conn_type or "").lower()
        self.extra = self._extra_of(connection)
        plain = {name: getattr(connection, name) for name in ("host", "schema", "login", "password", "port")}
        # Airflow's older forms write `extra__snowflake__account` for `account`; the new name wins.
        prefix = f"extra__{self.conn_type}__"
        extras = sorted(self.extra.items(), key=lambda item: not item[0].startswith(prefix))
        plain.update({f"extra.{name.removeprefix(prefix)}": value for name, value in extras})
        self._values = {name: value for name, value in plain.items() if value not in (None, "")}

    def _extra_of(self, connection: AirflowConnection) -> dict[str, Any]:
        # `extra_dejson` answers {} for a text that is not JSON: the options would be lost without a word.
        text = getattr(connection, "extra", None)
        extra = connection.extra_dejson if not text or isinstance(_json_or_none(text), dict) else None
        if not isinstance(extra, dict):
            raise self.error("extra", 'is not a JSON object, such as {"page_size": 50}')
        return extra

    def get(self, *names: str) -> Any:
        """The first of the named fields that is filled in; None: none of them is."""
        return next((self._values[name] for name in names if name in self._values), None)

    def need(self, *names: str, meaning: str) -> Any:
        """Like `get`, but a field that is not filled in is an error, which says what belongs there."""
        if (value := self.get(*names)) is None:
            raise self.error(names[0], f"is missing: put {meaning} there")
        return value

    def extra_names(self) -> Iterator[str]:
        """The filled-in keys of the extra."""
        return (name.removeprefix("extra.") for name in self._values if name.startswith("extra."))

    def error(self, name: str, what: str) -> ConfigurationError:
        """The error to raise: one sentence with the connection and the field. `what` must hold no value."""
        return ConfigurationError(f"Connection `{self.conn_id}`: the field `{name}` {what}.")


def api_values(connection: AirflowConnection) -> ApiValues:
    """The API behind an `http` connection: host, schema, port, or a whole URL as host; the key as password.

    The scheme is https unless `schema` or the URL says http: a key is not sent in the clear by default.
    """
    given = ConnectionFields(connection)
    if given.conn_type not in ("http", "https"):
        raise given.error("type", "must be `http`: the API is read over HTTP")
    base_url = _base_url(given)
    return ApiValues(base_url, str(given.need("password", meaning="the API key")), given.extra)


def destination_values(connection: AirflowConnection) -> DestinationValues:
    """The destination behind a connection of one of the types in `DESTINATIONS`."""
    given = ConnectionFields(connection)
    if given.conn_type not in DESTINATIONS:
        raise given.error("type", f"must be one of {', '.join(f'`{name}`' for name in DESTINATIONS)}")
    destination = DESTINATIONS[given.conn_type]
    credentials, options = destination.values_of(given)
    secrets = tuple(dict.fromkeys(_secrets_in({**options, **credentials})))
    table_format = options.pop("table_format", None)
    return DestinationValues(
        destination.destination_type, credentials, options, secrets, destination.dialect, table_format
    )


def _base_url(given: ConnectionFields) -> str:
    host = str(given.need("host", meaning="the API's host name, or its whole URL")).strip()
    scheme = str(given.get("schema") or "").lower()
    if scheme not in ("", "http", "https"):
        # Airflow's URI form has no place for a path: what stands after the slash arrives as schema.
        raise given.error("schema", "must be `http` or `https`; a path belongs into `host`, as in https://host/path")
    if "://" not in host:
        host = f"{scheme or 'https'}://{_bracketed(host)}"
    if not host.isprintable() or any(mark in host for mark in "?#\\ "):
        raise given.error("host", "must be a host name or a URL without query, fragment and blanks")
    if (url := _split_url(host)) is None or not url.hostname or url.scheme not in ("http", "https"):
        raise given.error("host", "must be a host name, or a URL that begins with http:// or https://")
    if "@" in url.netloc:
        raise given.error("host", "must not hold a user or a password; the API key belongs into `password`")
    if scheme and scheme != url.scheme:
        raise given.error("schema", "says otherwise than the URL in `host`; clear one of them")
    port = given.get("port")
    if port and url.port not in (None, int(port)):
        raise given.error("port", "says otherwise than the URL in `host`; clear one of them")
    netloc = url.netloc.removesuffix(":")
    if port and url.port is None:
        netloc += f":{port}"
    return f"{url.scheme}://{netloc}{url.path}".rstrip("/")


def _bracketed(host: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host


def _split_url(text: str) -> SplitResult | None:
    """None: not a URL. The error is dropped here, because its text quotes the value."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises for a port that is not one
    except ValueError:
        return None
    return url


def _json_or_none(text: str) -> object:
    """None: not JSON. The error is dropped here, because it carries the text, which may hold secrets."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _secrets_in(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _secrets_in(value)
        elif isinstance(value, str) and value.strip() and _SECRET_NAME.search(name):
            yield value.strip()  # as dlt does, so that what is redacted is what is sent
