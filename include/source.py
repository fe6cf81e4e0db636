"""One API collection as a dlt source: resource, options and window -> `rest_api_source`.

In: a catalogue entry, the run's parameters and window. Out: a `DltSource` that runs anywhere dlt runs, also in a
Python shell: `dlt.pipeline("datasets", destination="duckdb").run(api_source(DATASETS, options))`.
"""

from typing import Any

from dlt.common.schema.typing import TWriteDispositionConfig
from dlt.extract import DltSource
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source

from include.http_client import open_session
from include.options import SourceOptions
from include.pagination import ReadProgress, WholeReadPaginator
from include.redaction import register
from include.resources import Resource

# One level of nesting is the record itself: its objects and lists then stay JSON.
NESTING_OF_JSON = 0


def api_source(
    resource: Resource,
    options: SourceOptions,
    write_disposition: TWriteDispositionConfig = "merge",
    progress: ReadProgress | None = None,
) -> DltSource:
    """The source `resource.name` with one resource of that name. Sends nothing before it is extracted.

    `progress` is filled while it is extracted; None: nobody wants to know. Extraction raises what
    `http_client.ApiAdapter.send` and `pagination.WholeReadPaginator` raise, wrapped by dlt.
    """
    register(options.api_key)
    source = rest_api_source(
        rest_config(resource, options, write_disposition, progress or ReadProgress()),
        name=resource.name,
        section=resource.name,
        max_table_nesting=NESTING_OF_JSON if options.nested == "json" else None,
        # Child rows know their root row in every mode, so that a table can change from one mode to another.
        root_key=True,
    )
    return source


def rest_config(
    resource: Resource,
    options: SourceOptions,
    write_disposition: TWriteDispositionConfig,
    progress: ReadProgress,
) -> RESTAPIConfig:
    """The declarative configuration: client, authentication, endpoint, pagination."""
    params: dict[str, Any] = dict(options.params)
    return {
        "client": {
            "base_url": options.base_url,
            "auth": {
                "type": "api_key",
                "name": options.api_key_param,
                "api_key": options.api_key,
                "location": options.api_key_location,
            },
            "session": open_session(max_connections=options.max_parallel_requests),
        },
        "resource_defaults": {"primary_key": options.primary_key, "write_disposition": write_disposition},
        "resources": [
            {
                "name": resource.name,
                "endpoint": {
                    "path": options.path,
                    "params": params,
                    "data_selector": options.data_selector,
                    "paginator": WholeReadPaginator(options, progress),
                },
            }
        ],
    }
