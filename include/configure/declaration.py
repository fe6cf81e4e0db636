"""A dlt `RESTAPIConfig` as what it says of each resource, in the words of the project's options.

In: an API of the catalogue, in the task: its secrets resolve now. Out: a `Declaration`; or a sentence, before the first request,
for what the project cannot keep its promise with. What a deployment says comes on top (`options.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dlt.extract import DltResource, Incremental
from dlt.sources.rest_api.config_setup import build_resource_dependency_graph

from include.apis.api import Api
from include.configure.auth_config import declared_auth
from include.configure.paginator_config import paginator_options
from include.configure.write_disposition import sync_mode_of
from include.errors import ConfigurationError

Config = dict[str, Any]

# Seconds since 1970: smaller numbers, in March 1973 and before, are counters.
FIRST_INSTANT = 10**8


@dataclass(frozen=True)
class DeclaredResource:
    """What the declaration says of one resource.

    `given`: as it stands in the declaration. `merged`: with `resource_defaults` in it, as dlt merges them. `parent`: the resource
    for each of whose records it is read; None: it is read once. `options`: values of `SourceOptions`. `incremental`: dlt's own, with
    `parameter`, the query parameter that it stood in, if it did; None: there is none.
    """

    name: str
    given: Config | DltResource
    merged: Config
    parent: str | None
    options: Mapping[str, Any]
    incremental: Mapping[str, Any] | None = None

    @property
    def endpoint(self) -> Config:
        """The endpoint, with the defaults in it; empty for a resource that is a `DltResource`."""
        endpoint: Config = self.merged.get("endpoint") or {}
        return endpoint


@dataclass(frozen=True)
class Declaration:
    """One API, read. `resources` in the order in which they can be read: parents before their children."""

    api: Api
    config: Config
    resources: Mapping[str, DeclaredResource] = field(repr=False)


def read_declaration(api: Api) -> Declaration:
    """Call the function of `api` and read what it returns. Raises ConfigurationError (permanent)."""
    config: Config = {**api.config()}
    defaults: Any = config.get("resource_defaults") or {}
    given = {_name_of(one): _as_dict(one) for one in config.get("resources") or ()}
    try:
        graph, merged, resolved = build_resource_dependency_graph(defaults, list(config.get("resources") or ()))
    except (ValueError, KeyError, AssertionError) as error:
        raise ConfigurationError(f"The declaration of the API `{api.name}` cannot be read: {error}") from None
    resources = {}
    for name in graph.static_order():
        parents = resolved.get(name)
        parent = str(parents[0].resolve_config["resource"]) if parents else None
        resources[name] = _declared(api, config, name, given[name], merged[name], parent)
    _check_names(api, resources)
    return Declaration(api, config, resources)


def _declared(
    api: Api, config: Config, name: str, given: Config | DltResource, merged: Any, parent: str | None
) -> DeclaredResource:
    if isinstance(merged, DltResource):
        return _made(config, name, merged)
    if not isinstance(merged.get("table_name") or "", str):
        raise ConfigurationError(
            f"The resource `{name}` of the API `{api.name}` has a `table_name` that is a function: one resource is one table here. "
            "Give it a name, or declare several resources with a filter each."
        )
    endpoint = merged["endpoint"]
    incremental = _incremental_of(name, endpoint)
    options = dict(_options_of(name, config, merged, endpoint, incremental, parent))
    return DeclaredResource(name, given, merged, parent, options, incremental)


def _made(config: Config, name: str, given: DltResource) -> DeclaredResource:
    """A resource that somebody has made: its hints are what it says of its table."""
    hints = given.compute_table_schema()
    columns = hints.get("columns", {})
    client = config.get("client") or {}
    options = {
        "base_url": client.get("base_url") or None,
        **declared_auth(client.get("auth") or "none"),
        "sync_mode": sync_mode_of(name, given.write_disposition),
        "path": "/",
        "primary_key": [column for column, hint in columns.items() if hint.get("primary_key")] or None,
    }
    if given.max_table_nesting == 0:
        options["nested"] = "json"
    merged = {"table_name": hints["name"], "columns": columns, "max_table_nesting": given.max_table_nesting}
    return DeclaredResource(name, given, merged, None, options)


def _options_of(
    name: str,
    config: Config,
    merged: Config,
    endpoint: Config,
    incremental: Mapping[str, Any] | None,
    parent: str | None,
) -> Iterator[tuple[str, Any]]:
    client = config.get("client") or {}
    yield "base_url", client.get("base_url") or None
    yield "path", endpoint["path"]
    yield "data_selector", endpoint.get("data_selector")
    yield "primary_key", merged.get("primary_key") or None
    yield "sync_mode", sync_mode_of(name, merged.get("write_disposition"))
    yield from declared_auth(endpoint.get("auth", client.get("auth")) or "none").items()
    # As dlt: the endpoint's, then the client's, else it is guessed.
    paginator = endpoint.get("paginator") or client.get("paginator") or "auto"
    yield from paginator_options(paginator).items()
    if parent is not None:
        # A child's pages are few, and a second question for each parent would double them.
        yield "overlap", False
    if merged.get("max_table_nesting") == 0:
        yield "nested", "json"
    if incremental is not None:
        yield "cursor_path", incremental["cursor_path"]


def _incremental_of(name: str, endpoint: Config) -> Mapping[str, Any] | None:
    """dlt's configuration of what is read by time, wherever it stands: in the endpoint or in a parameter."""
    found: dict[str, Any] = dict(endpoint.get("incremental") or {})
    for parameter, value in (endpoint.get("params") or {}).items():
        if isinstance(value, Incremental):
            found = {
                "cursor_path": value.cursor_path,
                "initial_value": value.initial_value,
                "on_cursor_value_missing": value.on_cursor_value_missing,
                "parameter": parameter,
            }
        elif isinstance(value, dict) and value.get("type") == "incremental":
            found = {**{key: one for key, one in value.items() if key != "type"}, "parameter": parameter}
    if not found:
        return None
    if "transform" in found:
        found["convert"] = found.pop("transform")
    _check_incremental(name, found)
    return found


def _check_incremental(name: str, found: Mapping[str, Any]) -> None:
    if found.get("end_value") is not None:
        raise ConfigurationError(
            f"The resource `{name}` has an `end_value`: how far a run reads is the run's to say. Take it out; to load one past "
            "window, give window_start and window_end in the run's form."
        )
    initial = found.get("initial_value")
    if isinstance(initial, int | float) and not isinstance(initial, bool) and 0 < abs(initial) < FIRST_INSTANT:
        raise ConfigurationError(
            f"The resource `{name}` is read from `{found['cursor_path']}` = {initial} on, which is no instant: a window is one of time. Take "
            "`incremental` out, so that everything is read, or name a field that says when a record changed."
        )
    if found.get("last_value_func") not in (None, max, "max"):
        raise ConfigurationError(
            f"The resource `{name}` has a `last_value_func` other than `max`: a window goes forward in time. Take it out."
        )


def _check_names(api: Api, resources: Mapping[str, DeclaredResource]) -> None:
    """What the graph was made of has to be what the configuration has."""
    named, declared = set(api.resource_names), set(resources)
    # A resource that nobody wants to have in a table may be read for its children alone.
    wanted = {name for name, one in resources.items() if one.merged.get("selected", True)}
    if named - declared or wanted - named:
        raise ConfigurationError(
            f"The API `{api.name}` names the resources {_listed(named)}, and its configuration has {_listed(declared)}. Name each in "
            f"both, in include/apis."
        )
    family_of = {name: family for family in api.families for name in family}
    for name in named:
        root = root_of(resources, name)
        if root in named and root not in family_of[name]:
            raise ConfigurationError(
                f"The resource `{name}` of the API `{api.name}` is read for each record of `{root}`: one task reads both. Name them "
                f'together, as ("{root}", "{name}"), in `resources` of the API.'
            )


def with_parents(resources: Mapping[str, DeclaredResource], names: Iterable[str]) -> set[str]:
    """`names`, and the resources that have to be read for them."""
    needed: set[str] = set()
    for name in names:
        line: str | None = name
        while line is not None:
            needed.add(line)
            line = resources[line].parent
    return needed


def root_of(resources: Mapping[str, DeclaredResource], name: str) -> str:
    """The resource at the top of the line of parents of `name`; `name` where it has none."""
    while (parent := resources[name].parent) is not None:
        name = parent
    return name


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"


def _name_of(resource: Any) -> str:
    if isinstance(resource, str):
        return resource
    return str(resource.name if isinstance(resource, DltResource) else resource.get("name"))


def _as_dict(resource: Any) -> Config | DltResource:
    if isinstance(resource, DltResource):
        return resource
    if isinstance(resource, str):
        return {"name": resource, "endpoint": {"path": resource}}
    endpoint = resource.get("endpoint") or {}
    return {**resource, "endpoint": {"path": endpoint} if isinstance(endpoint, str) else dict(endpoint)}
