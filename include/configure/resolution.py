"""Which place says an option: each option of each resource, from the first place that says it.

In: a declaration and the run's parameters. Out: one `SourceOptions` for each resource. Precedence: run params > connection
extra > environment `SOURCES__<API>__<OPTION>` > `[sources.<api>]` in `dags/.dlt/config.toml` > the declaration > the defaults. The
connection comes first because its provider is asked first (`provider.py`); without Airflow (a Python shell) the rest of the
chain works the same.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigValueCannotBeCoercedException
from dlt.common.configuration.specs.base_configuration import extract_inner_hint
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.configuration.utils import deserialize_value

from include.apis.api import Api
from include.configure.auth_config import auth_options
from include.configure.declaration import Declaration, DeclaredResource, read_declaration
from include.configure.options import SourceOptions
from include.configure.paginator_config import paginator_options
from include.errors import ConfigurationError

# What each resource has of its own: said for several at once, all would be read from one address, or into one another.
_OF_ONE_RESOURCE = ("path", "data_selector", "primary_key", "cursor_path")
# Where a connection has what is required.
_PLACES = {
    "base_url": "put the API's address, or its host name, into the field `host`",
    "api_key": "put the key, the token or the password into the field `password`",
    "username": "put the user, or the client's id, into the field `login`",
}
_OR_NO_AUTH = ', or, if the API asks for none, {"auth": "none"} into its extra'


def resolve_options(api: Api, run_params: Mapping[str, object] | None = None) -> SourceOptions:
    """The options of the only resource of `api`, as `options_of`: for a Python shell."""
    ((_, options),) = options_of(read_declaration(api), run_params).items()
    return options


def options_of(
    declaration: Declaration, run_params: Mapping[str, object] | None = None, names: Collection[str] | None = None
) -> dict[str, SourceOptions]:
    """The options of each resource of `names` (None: all); `run_params` win over every other place.

    What is said of one resource beats what is said of the whole API, at each place. Raises ConfigurationError (permanent) that
    names what is missing or cannot be read, never a value.
    """
    return {
        name: _resolved(declaration, resource, run_params or {})
        for name, resource in declaration.resources.items()
        if names is None or name in names
    }


def _resolved(declaration: Declaration, resource: DeclaredResource, run_params: Mapping[str, object]) -> SourceOptions:
    api = declaration.api.name
    options = SourceOptions(**dict(resource.options))
    said: dict[str, Any] = {}
    for name, hint in SourceOptions.get_resolvable_fields().items():
        if name in run_params:
            value: Any = run_params[name]
        else:
            value = _looked_up(str(name), hint, api, resource.name, of_one=len(declaration.resources) == 1)
        if value is not None:
            said[str(name)] = _as_written(resource.name, str(name), value, hint)
    if unknown := set(run_params) - set(map(str, SourceOptions.get_resolvable_fields())):
        raise ConfigurationError(f"There is no option `{unknown.pop()}`; see the table in docs/options.md.")
    if "paginator" in said:
        said = {**paginator_options(said["paginator"]), **_without(said, "paginator")}
    if "auth" in said:
        said = {**_without(said, "auth"), **auth_options(said["auth"])}
    for name, value in said.items():
        setattr(options, name, value)
    if missing := options.missing():
        raise _missing(declaration.api, missing)
    if options.auth_kind == "none" and "auth" not in said and "api_key" in said:
        raise ConfigurationError(
            f"The connection `{declaration.api.conn_id}` has a password, and neither the declaration nor the option `auth` says how it is "
            'sent. Set the option: for example {"auth": "bearer"} in the extra of the connection, or "none" to leave it out.'
        )
    options.on_resolved()
    return options


def _without(said: dict[str, Any], name: str) -> dict[str, Any]:
    return {other: value for other, value in said.items() if other != name}


def _looked_up(name: str, hint: Any, api: str, resource: str, of_one: bool) -> Any:
    """What the first of dlt's providers that knows the option says; None: none does."""
    for provider in Container()[PluggableRunContext].providers.providers:
        value, _ = provider.get_value(name, hint, None, "sources", api, resource)
        if value is not None:
            return value
        value, place = provider.get_value(name, hint, None, "sources", api)
        if value is None:
            continue
        if name in _OF_ONE_RESOURCE and not of_one:
            raise ConfigurationError(
                f"The option `{name}` is said for the whole API `{api}` ({place}), which has several resources: each has its own. Say it for one "
                f'resource: in the connection\'s extra {{"resources": {{"{resource}": {{"{name}": …}}}}}}, or as '
                f"SOURCES__{api.upper()}__{resource.upper()}__{name.upper()}."
            )
        return value
    return None


def _as_written(resource: str, name: str, value: object, hint: Any) -> Any:
    """A value as the type of its option."""
    try:
        return deserialize_value(name, value, extract_inner_hint(hint, preserve_literal=True))
    except (ConfigValueCannotBeCoercedException, ValueError, TypeError):
        raise ConfigurationError(
            f"The option `{name}` of the source `{resource}` cannot be read as {getattr(hint, '__name__', hint)}; see the "
            "table in docs/options.md."
        ) from None


def _missing(api: Api, names: Iterable[str]) -> ConfigurationError:
    names = list(names)
    providers = Container()[PluggableRunContext].providers.providers
    if any(not getattr(provider, "api_is_there", True) for provider in providers):
        return ConfigurationError(
            f"The Airflow connection `{api.conn_id}` does not exist: add it with type `http`, the API's address as host and the API key "
            "as password."
        )
    return ConfigurationError(
        f"The source `{api.name}` has no {', '.join(f'`{name}`' for name in names)}: "
        f"{'; '.join(_PLACES[name] for name in names)} of the Airflow connection `{api.conn_id}`, of type `http`"
        f"{_OR_NO_AUTH if 'api_key' in names else ''}. Without Airflow: {', '.join(f'SOURCES__{api.name}__{name}'.upper() for name in names)}."
    )
