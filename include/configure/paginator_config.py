"""dlt's configuration of a paginator in the words of the project's options.

In: a name, an object of the configuration, or a paginator object of dlt's. Out: values of options: `paginator` is the kind with what
is its alone; what has an option of its own (`page_size`, `offset_param`, …) stands there.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dlt.sources.helpers.rest_client.paginators import (
    BasePaginator,
    HeaderCursorPaginator,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    SinglePagePaginator,
)

from include.errors import ConfigurationError

KINDS = ("offset", "page_number", "cursor", "json_link", "header_link", "header_cursor", "single_page", "auto")
# dlt's older name.
_RENAMED = {"json_response": "json_link"}
# The options that stand for a field of dlt's configuration of offsets.
_OF_OFFSET = {"limit": "page_size", "offset_param": "offset_param", "limit_param": "limit_param"}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "offset": (
        *_OF_OFFSET,
        *("total_path", "maximum_offset", "offset", "offset_body_path", "limit_body_path"),
        *("has_more_path", "stop_after_empty_page"),
    ),
    "page_number": (
        *("base_page", "page", "page_param", "total_path", "maximum_page"),
        *("stop_after_empty_page", "has_more_path", "page_body_path"),
    ),
    "cursor": ("cursor_path", "cursor_param", "cursor_body_path", "stop_after_empty_page", "has_more_path"),
    "json_link": ("next_url_path",),
    "header_link": ("links_next_key",),
    "header_cursor": ("cursor_key", "cursor_param"),
    "single_page": (),
    "auto": (),
}


def paginator_options(given: Any) -> dict[str, Any]:
    """The options that say what `given` says. Raises ConfigurationError (permanent)."""
    if isinstance(given, BasePaginator):
        given = _config_of(given)
        if isinstance(given, BasePaginator):
            # Somebody's own: what it does is its own.
            return {"paginator": given, "total_path": None}
    if isinstance(given, str) and given.lstrip().startswith("{"):
        # As the environment has to write an object.
        with suppress(ValueError):
            given = json.loads(given)
    config = {"type": given} if isinstance(given, str) else dict(given or {})
    kind = _RENAMED.get(str(config.get("type")), config.pop("type", "auto"))
    if kind not in KINDS:
        raise ConfigurationError(
            f"The option `paginator` has the type `{kind}`, which is none: {', '.join(f'`{one}`' for one in KINDS)}."
        )
    if unknown := set(config) - set(_FIELDS[kind]):
        raise ConfigurationError(
            f"The option `paginator` has the fields {', '.join(f'`{name}`' for name in sorted(unknown))}, which the type `{kind}` does "
            f"not know. It knows {', '.join(f'`{name}`' for name in _FIELDS[kind]) or 'none'}."
        )
    return _options(kind, config)


def _options(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if kind == "offset":
        options = {option: config.pop(name) for name, option in _OF_OFFSET.items() if config.get(name) is not None}
        if "total_path" in config:
            options["total_path"] = config.pop("total_path")
        if config.get("maximum_offset") is not None:
            options["maximum_offset"] = config.pop("maximum_offset")
    elif kind == "page_number":
        # dlt's total is one of pages there; its size of a page is a fixed parameter of the endpoint.
        options = {"total_path": None, "limit_param": None}
    else:
        options = {"total_path": None}
    config = {name: value for name, value in config.items() if value is not None}
    return {"paginator": {"type": kind, **config}, **options}


def _config_of(paginator: BasePaginator) -> Any:
    """The configuration that would make an object of dlt's own classes; the object itself where it is of another class."""
    config = _fields_of(paginator)
    if config is None:
        return paginator
    # Paths are compiled in the object.
    return {
        name: str(value) if name.endswith("_path") and value is not None else value for name, value in config.items()
    }


def _fields_of(paginator: BasePaginator) -> dict[str, Any] | None:
    match paginator:
        case OffsetPaginator() if type(paginator) is OffsetPaginator:
            return {
                "type": "offset",
                "limit": paginator.limit,
                "offset": paginator.initial_value or None,
                "offset_param": paginator.param_name,
                "offset_body_path": paginator.param_body_path,
                "limit_param": paginator.limit_param,
                "limit_body_path": paginator.limit_body_path,
                "total_path": paginator.total_path,
                "maximum_offset": paginator.maximum_value,
                "has_more_path": paginator.has_more_path,
            }
        case PageNumberPaginator() if type(paginator) is PageNumberPaginator:
            return {
                "type": "page_number",
                "base_page": paginator.base_index,
                "page": paginator.initial_value,
                "page_param": paginator.param_name,
                "page_body_path": paginator.param_body_path,
                "total_path": paginator.total_path,
                "maximum_page": paginator.maximum_value,
                "has_more_path": paginator.has_more_path,
            }
        case JSONResponseCursorPaginator() if type(paginator) is JSONResponseCursorPaginator:
            return {
                "type": "cursor",
                "cursor_path": paginator.cursor_path,
                "cursor_param": paginator.cursor_param,
                "cursor_body_path": paginator.cursor_body_path,
                "stop_after_empty_page": paginator.stop_after_empty_page or None,
                "has_more_path": paginator.has_more_path,
            }
        case HeaderCursorPaginator() if type(paginator) is HeaderCursorPaginator:
            return {
                "type": "header_cursor",
                "cursor_key": paginator.cursor_key,
                "cursor_param": paginator.cursor_param,
            }
        case HeaderLinkPaginator() if type(paginator) is HeaderLinkPaginator:
            return {"type": "header_link", "links_next_key": paginator.links_next_key}
        case JSONLinkPaginator() if type(paginator).__module__ == JSONLinkPaginator.__module__:
            return {"type": "json_link", "next_url_path": paginator.next_url_path}
        case SinglePagePaginator() if type(paginator) is SinglePagePaginator:
            return {"type": "single_page"}
    return None
