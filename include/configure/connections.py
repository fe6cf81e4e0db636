"""Any Airflow connection, read with errors that name the connection and the field.

In: any object with the fields of an Airflow connection. Out: its filled-in fields, under the names that a
person sees. A field that is missing or wrong is a `ConfigurationError`, permanent, that never holds a value.
"""

import json
from collections.abc import Iterator
from typing import Any, Protocol

from include.errors import ConfigurationError


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


def _json_or_none(text: str) -> object:
    """None: not JSON. The error is dropped here, because it carries the text, which may hold secrets."""
    try:
        return json.loads(text)
    except ValueError:
        return None
