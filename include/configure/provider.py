"""Airflow connections as a dlt config provider.

In: dlt's look-ups, thousands a run. Out: values of the connections `datasets_api` and
`datasets_destination`, each looked up once per task process, only in the task, only when asked for. It is asked
before every other provider, so that a connection wins over environment and files. Keys it answers:
`api_key`, `sources.<resource>.<option>`, `destination.<type>.credentials[.<field>]`, `destination.<type>.<field>`.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider, get_key_name
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.configure.connections import (
    API_CONN_ID,
    DESTINATION_CONN_ID,
    DestinationValues,
    api_values,
    destination_values,
)
from include.configure.options import SourceOptions
from include.errors import ConfigurationError
from include.redaction import STANDS_ALONE_BELOW, forms_of, register


class ConnectionsProvider(ConfigProvider):
    """dlt config provider over Airflow's own `Connection.get`, whatever backend serves it.

    Look-ups raise ConfigurationError (permanent) naming the connection and the field that is missing.
    """

    @property
    def name(self) -> str:
        """As dlt names it in its traces."""
        return "Airflow Connections"

    @property
    def supports_secrets(self) -> bool:
        """Connections are where the secrets are."""
        return True

    @property
    def supports_sections(self) -> bool:
        """Values live under `sources` and `destination`."""
        return True

    def get_value(self, key: str, hint: type[Any], pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """The value under `sections` and `key`, None where the connections have none; and the full name."""
        full_name = get_key_name(key, ".", *sections)
        # Connections know no pipelines; and the filter keeps look-ups of other sections from loading anything.
        if pipeline_name:
            return None, full_name
        match (*sections, key):
            case ("api_key",) | ("sources", _, "api_key"):
                return self._api["api_key"], full_name
            case ("sources", _, option):
                return self._api.get(option), full_name
            case ("destination", destination_type, *path) if self._is_destination(destination_type):
                return _at(self._destination_fields, path), full_name
        return None, full_name

    @cached_property
    def destination(self) -> DestinationValues | None:
        """The destination connection; None: there is no such connection, the embedded DuckDB file is used."""
        connection = _look_up(DESTINATION_CONN_ID)
        if connection is None:
            return None
        values = destination_values(connection)
        for secret in values.secrets:
            _keep_secret(secret)
        return values

    @cached_property
    def _api(self) -> Mapping[str, Any]:
        connection = _look_up(API_CONN_ID)
        if connection is None:
            raise ConfigurationError(
                f"The Airflow connection `{API_CONN_ID}` does not exist: add it with type `http`, the API's address as "
                "host and the API key as password."
            )
        values = api_values(connection)
        _keep_secret(values.api_key)
        _refuse_misspelt(values.options)
        return {**values.options, "base_url": values.base_url, "api_key": values.api_key}

    @cached_property
    def _destination_fields(self) -> Mapping[str, Any]:
        assert self.destination is not None
        return {"credentials": self.destination.credentials, **self.destination.options}

    def _is_destination(self, destination_type: str) -> bool:
        return self.destination is not None and self.destination.destination_type == destination_type


def register_connections() -> ConnectionsProvider:
    """Put a new provider before all others, in place of an earlier one.

    The helper builds dlt's list of providers anew, so this belongs into its `on_before_run`.
    """
    provider = ConnectionsProvider()
    providers = Container()[PluggableRunContext].providers
    providers.providers[:] = [provider, *(other for other in providers.providers if other.name != provider.name)]
    return provider


def _refuse_misspelt(extra: Mapping[str, object]) -> None:
    """An option that is ignored for a letter can cost rows: `cursorpath` would make each run a snapshot."""
    options = [str(name) for name in SourceOptions.get_resolvable_fields()]
    for name in extra:
        close = get_close_matches(name.lower(), options, n=1, cutoff=0.85)
        if name not in options and close:
            raise ConfigurationError(
                f"The extra of the connection `{API_CONN_ID}` has `{name}`, which is no option. Did you mean `{close[0]}`?"
            )


def _look_up(conn_id: str) -> Connection | None:
    try:
        return Connection.get(conn_id)  # type: ignore[no-any-return]
    except AirflowNotFoundException:
        return None


def _keep_secret(secret: str) -> None:
    register(secret)
    # Airflow masks what its own, structured log writes. It has to be told each spelling, and takes no short ones.
    for form in forms_of(secret):
        if len(form) >= STANDS_ALONE_BELOW:
            mask_secret(form)


def _at(values: Any, path: list[str]) -> Any | None:
    for name in path:
        if not isinstance(values, Mapping) or name not in values:
            return None
        values = values[name]
    return values
