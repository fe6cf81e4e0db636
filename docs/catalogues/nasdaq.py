"""One table of Nasdaq Data Link, whose rows are arrays.

Connection `nasdaq_api`: https://data.nasdaq.com as host, the key as password.
Set `path` and `primary_key` to those of the table. It names no total.
"""

import json
from typing import TYPE_CHECKING, Any

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig
    from requests import Response


def rows_as_objects(response: "Response", *_: Any, **__: Any) -> "Response":
    """Each row with the names of its columns."""
    if response.ok:
        body = response.json()
        table = body["datatable"]
        names = [column["name"] for column in table["columns"]]
        table["data"] = [dict(zip(names, row, strict=True)) for row in table["data"]]
        response._content = json.dumps(body).encode()  # noqa: SLF001  # as dlt's documentation does it
    return response


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {
            "base_url": "https://data.nasdaq.com",
            "auth": {"type": "api_key", "name": "api_key", "location": "query"},
        },
        "resources": [
            {
                "name": "rows",
                "primary_key": "code",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/v3/datatables/CITY/DATASETS.json",
                    "data_selector": "datatable.data",
                    "paginator": {
                        "type": "cursor",
                        "cursor_path": "meta.next_cursor_id",
                        "cursor_param": "qopts.cursor_id",
                    },
                    "params": {"qopts.per_page": 1000},
                    "response_actions": [rows_as_objects],
                },
            }
        ],
    }


NASDAQ = Api("nasdaq", resources=("rows",), config=config)
