"""The values of Airflow connections as a dlt config provider.

In: what the connections to the API and to the destination say, once; then dlt's look-ups, thousands a run. Out:
those values. It is asked before every other provider, so that a connection wins over environment and files. Keys it answers:
`sources.<api>.<option>`, `sources.<api>.<resource>.<option>`, `destination.<type>.credentials[.<field>]`,
`destination.<type>.<field>`.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from airflow.sdk.log import mask_secret
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider, get_key_name
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.apis.api import Api
from include.configure.api_connection import ApiValues
from include.configure.options import SourceOptions
from include.errors import ConfigurationError
from include.redaction import STANDS_ALONE_BELOW, behind_prefix, forms_of, register


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


# What a declaration may ask the connection's password and login by, as in `dlt.secrets["sources.github.token"]`.
_NAMES_OF_PASSWORD = ("api_key", "token", "access_token", "password", "client_secret")
_NAMES_OF_LOGIN = ("username", "client_id")


class ConnectionsProvider(ConfigProvider):
    """dlt config provider over values that are there already: it looks nothing up."""

    def __init__(self, name: str, api: ApiValues, destination: DestinationFields | None) -> None:
        super().__init__()
        self._name = name
        self.api_is_there = api.base_url is not None
        """Whether there is a connection to the API at all."""
        secret = dict.fromkeys(_NAMES_OF_PASSWORD, api.api_key)
        self._api = {**secret, **dict.fromkeys(_NAMES_OF_LOGIN, api.username), **api.options}
        # What the connection has a field for is not in its extra.
        self._api |= {"base_url": api.base_url, "api_key": api.api_key}
        resources = api.options.get("resources")
        self._resources = resources if isinstance(resources, Mapping) else {}
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
            case ("sources", self._name, option):
                return self._api.get(option), full_name
            case ("sources", self._name, resource, option):
                return _at(self._resources, [resource, option]), full_name
            case ("destination", *path):
                return _at(self._destinations, path), full_name
        return None, full_name


def register_connections(api: Api, values: ApiValues, destination: DestinationFields | None) -> ConnectionsProvider:
    """Put a new provider before all others, in place of an earlier one; the secrets are redacted from now on.

    None: no connection says anything of a destination. The helper builds dlt's list of providers anew, so this belongs into
    its `on_before_run`. Raises ConfigurationError (permanent) for an option of the API that is misspelt.
    """
    for secret in (values.api_key or "", *(destination.secrets if destination else ())):
        _keep_secret(secret)
    _check_spelling(api, values.options)
    provider = ConnectionsProvider(api.name, values, destination)
    providers = Container()[PluggableRunContext].providers
    providers.providers[:] = [provider, *(other for other in providers.providers if other.name != provider.name)]
    return provider


def _check_spelling(api: Api, extra: Mapping[str, object]) -> None:
    """An option that is ignored for a letter can cost rows: `cursorpath` would make each run a snapshot."""
    options = [str(name) for name in SourceOptions.get_resolvable_fields()]
    _check_names(api, "", extra, [*options, "resources"])
    resources = extra.get("resources", {})
    if not isinstance(resources, Mapping) or not all(isinstance(said, Mapping) for said in resources.values()):
        raise ConfigurationError(
            f"The extra of the connection `{api.conn_id}` has `resources`, which has to be an object of resources, each an object of "
            'options, as in {"resources": {"publishers": {"page_size": 50}}}.'
        )
    known = list(api.resource_names)
    for resource, said in resources.items():
        if resource not in known:
            raise ConfigurationError(
                f"The extra of the connection `{api.conn_id}` has options for the resource `{resource}`, which the API has not. It has "
                f"{', '.join(f'`{name}`' for name in known)}."
            )
        _check_names(api, f"resources.{resource}.", said, options)


def _check_names(api: Api, place: str, said: Mapping[str, object], options: list[str]) -> None:
    for name in said:
        close = get_close_matches(name.lower(), options, n=1, cutoff=0.85)
        if name not in options and close:
            raise ConfigurationError(
                f"The extra of the connection `{api.conn_id}` has `{place}{name}`, which is no option. Did you mean `{close[0]}`?"
            )


def _keep_secret(secret: str) -> None:
    for part in (secret, behind_prefix(secret)):
        register(part)
        # Airflow masks what its own, structured log writes. It has to be told each spelling, and takes no short ones.
        for form in forms_of(part):
            if len(form) >= STANDS_ALONE_BELOW:
                mask_secret(form)


def _at(values: Any, path: list[str]) -> Any | None:
    for name in path:
        if not isinstance(values, Mapping) or name not in values:
            return None
        values = values[name]
    return values
