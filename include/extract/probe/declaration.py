"""What was found as a file of `include/apis/`, in dlt's words.

In: `Findings`. Out: Python to paste. It names no address and no secret: those are the connection's.
"""

import re
from pprint import pformat
from textwrap import indent
from typing import Any

from include.extract.probe.findings import Findings

_FILE = '''"""The API {name}."""

from include.apis.api import Api


def config():
    """The configuration in dlt's words."""
    return (
{config}
    )


{constant} = Api("{name}", resources=("{resource}",), config=config)'''


def declaration_of(name: str, path: str, findings: Findings) -> str:
    """The file for the API `name`, with one resource, which is called by the end of its `path`."""
    resource = (
        re.sub(r"\W+", "_", path.partition("?")[0].strip("/").rpartition("/")[2].partition(".")[0]).lower() or name
    )
    config = {**_client(findings.auth or {}), "resources": [_resource(resource, path, findings)]}
    written = indent(pformat(config, width=100, sort_dicts=False), " " * 8)
    return _FILE.format(name=name, constant=name.upper(), resource=resource, config=written)


def _client(auth: dict[str, Any]) -> dict[str, Any]:
    match auth.get("auth"):
        case "api_key":
            place = {"name": auth["api_key_param"], "location": auth["api_key_location"]}
            return {"client": {"auth": {"type": "api_key", **place}}}
        case "bearer" | "http_basic" as kind:
            return {"client": {"auth": {"type": kind}}}
    return {}


def _resource(name: str, path: str, findings: Findings) -> dict[str, Any]:
    options = findings.options
    key = {"primary_key": options["primary_key"]} if options["primary_key"] else {}
    endpoint = {"path": path, "data_selector": options["data_selector"], **_paging(options), **_incremental(options)}
    return {"name": name, **key, "write_disposition": "merge" if key else "replace", "endpoint": endpoint}


def _paging(options: dict[str, Any]) -> dict[str, Any]:
    paginator, params = options["paginator"], dict(options.get("params") or {})
    if paginator == "offset":
        words = {"limit": "page_size", "offset_param": "offset_param", "limit_param": "limit_param"}
        fields = {word: options[option] for word, option in words.items() if option in options}
        return {"paginator": {"type": "offset", **fields, "total_path": options["total_path"] or None}}
    if options.get("limit_param") and "page_size" in options:
        params[options["limit_param"]] = options["page_size"]
    return {"paginator": paginator, **({"params": params} if params else {})}


def _incremental(options: dict[str, Any]) -> dict[str, Any]:
    if "cursor_path" not in options:
        return {}
    words = ("cursor_path", "start_param", "end_param")
    return {"incremental": {word: options[word] for word in words if word in options}}
