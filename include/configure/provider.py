"""The values of Airflow connections as a dlt config provider.

In: what the connections `datasets_api` and `datasets_destination` say, once; then dlt's look-ups, thousands a run. Out:
those values. It is asked before every other provider, so that a connection wins over environment and files. Keys it answers:
`api_key`, `sources.<resource>.<option>`, `destination.<type>.credentials[.<field>]`, `destination.<type>.<field>`.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from airflow.sdk.log import mask_secret
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider, get_key_name
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.apis.names import API_CONN_ID
from include.configure.api_connection import ApiValues
from include.configure.options import SourceOptions
from include.errors import ConfigurationError
from include.redaction import STANDS_ALONE_BELOW, forms_of, register


class DestinationFields(Protocol):
    """What is answered about a destination: dlt's name of it, its credentials and options, and the secrets among them."""

    @property
    def destination_type(self) -> str: ...
    @property
    def credentials(self) -> Mapping[str, object]: ...
    @property
    def options(self) -> Mapping[str, object]: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...


class ConnectionsProvider(ConfigProvider):
    """dlt config provider over values that are there already: it looks nothing up."""

    def __init__(self, api: ApiValues, destination: DestinationFields | None) -> None:
        super().__init__()
        self._api = {**api.options, "base_url": api.base_url, "api_key": api.api_key}
        self._destinations = (
            {destination.destination_type: {"credentials": destination.credentials, **destination.options}}
            if destination
            else {}
        )

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
        # Connections know no pipelines.
        if pipeline_name:
            return None, full_name
        match (*sections, key):
            case ("api_key",) | ("sources", _, "api_key"):
                return self._api["api_key"], full_name
            case ("sources", _, option):
                return self._api.get(option), full_name
            case ("destination", *path):
                return _at(self._destinations, path), full_name
        return None, full_name


def register_connections(api: ApiValues, destination: DestinationFields | None) -> ConnectionsProvider:
    """Put a new provider before all others, in place of an earlier one; the secrets are redacted from now on.

    None: no connection says anything of a destination. The helper builds dlt's list of providers anew, so this belongs into
    its `on_before_run`. Raises ConfigurationError (permanent) for an option of the API that is misspelt.
    """
    for secret in (api.api_key or "", *(destination.secrets if destination else ())):
        _keep_secret(secret)
    _check_spelling(api.options)
    provider = ConnectionsProvider(api, destination)
    providers = Container()[PluggableRunContext].providers
    providers.providers[:] = [provider, *(other for other in providers.providers if other.name != provider.name)]
    return provider


def _check_spelling(extra: Mapping[str, object]) -> None:
    """An option that is ignored for a letter can cost rows: `cursorpath` would make each run a snapshot."""
    options = [str(name) for name in SourceOptions.get_resolvable_fields()]
    for name in extra:
        close = get_close_matches(name.lower(), options, n=1, cutoff=0.85)
        if name not in options and close:
            raise ConfigurationError(
                f"The extra of the connection `{API_CONN_ID}` has `{name}`, which is no option. Did you mean `{close[0]}`?"
            )


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
