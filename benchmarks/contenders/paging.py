"""One kind of paging, by this project or by dlt as it comes: `python -m benchmarks.contenders.paging WHO KIND URL DUCKDB_FILE`."""

import sys
from typing import Any

import dlt

DEFAULTS: dict[str, Any] = {"primary_key": "id", "write_disposition": "merge", "endpoint": {"data_selector": "data"}}
OFFSET = {"type": "offset", "limit": 100}
RESOURCES: dict[str, list[Any]] = {
    "offset": [{"name": "datasets", "endpoint": {"path": "/v1/datasets", "paginator": OFFSET}}],
    "page_number": [
        {
            "name": "datasets",
            "endpoint": {"path": "/v1/pages", "paginator": {"type": "page_number", "base_page": 1, "total_path": None}},
        }
    ],
    "json_link": [
        {
            "name": "datasets",
            "endpoint": {"path": "/v1/links", "paginator": {"type": "json_link", "next_url_path": "next"}},
        }
    ],
    "children": [
        {"name": "parents", "endpoint": {"path": "/v1/parents", "paginator": OFFSET}},
        {
            "name": "datasets",
            "endpoint": {"path": "/v1/parents/{resources.parents.id}/datasets", "paginator": OFFSET},
        },
    ],
}


def config(kind: str, url: str) -> Any:
    """dlt's configuration, for both."""
    return {"client": {"base_url": url}, "resource_defaults": DEFAULTS, "resources": RESOURCES[kind]}


def by_dlt(kind: str, url: str) -> tuple[Any, Any]:
    """Source and destination of dlt as it comes."""
    from dlt.sources.rest_api import rest_api_source

    return rest_api_source(config(kind, url), name="bench"), dlt.destinations.duckdb(sys.argv[4])


def by_this_project(kind: str, url: str) -> tuple[Any, Any]:
    """Source and destination as the task has them."""
    from include.apis.api import Api
    from include.configure.declaration import read_declaration
    from include.configure.resolution import options_of
    from include.decide.sync_mode import SYNC_MODES
    from include.extract.read import ResourceRead
    from include.extract.source import api_source
    from include.load.destinations.duckdb.client import lean_duckdb

    family = tuple(one["name"] for one in RESOURCES[kind])
    declaration = read_declaration(Api("bench", (family,), lambda: config(kind, url)))
    reads = {name: ResourceRead(one, SYNC_MODES[one.sync_mode]) for name, one in options_of(declaration).items()}
    source = api_source(declaration, reads)
    for name in reads:
        source.resources[name].apply_hints(file_format="parquet")
    return source, lean_duckdb({"database": sys.argv[4]})


if __name__ == "__main__":
    who, kind, url, _ = sys.argv[1:]
    source, destination = (by_dlt if who == "dlt" else by_this_project)(kind, url)
    dlt.pipeline("bench", destination=destination, dataset_name="bench").run(source)
