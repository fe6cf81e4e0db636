"""data.world: one's own datasets.

Connection `dataworld_api`: https://api.data.world as host, the token as password.
It names no total.
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://api.data.world", "auth": {"type": "bearer"}},
        "resources": [
            {
                "name": "datasets",
                "primary_key": ["owner", "id"],
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/v0/user/datasets/own",
                    "data_selector": "records",
                    "paginator": {"type": "cursor", "cursor_path": "nextPageToken", "cursor_param": "next"},
                    "params": {"limit": 50, "sort": "created"},
                },
            }
        ],
    }


DATAWORLD = Api("dataworld", resources=("datasets",), config=config)
