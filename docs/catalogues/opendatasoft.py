"""OpenDataSoft Explore 2.1: the catalogue of one portal, up to the position that its offsets end at (10,000).

Connection `opendatasoft_api`: the portal's address, such as https://public.opendatasoft.com; no key.
With a key: the key as password, and Extra: {"auth": {"type": "api_key", "name": "apikey", "location": "query"}}
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        # The address is that of the connection.
        "client": {},
        "resources": [
            {
                "name": "datasets",
                "primary_key": "dataset_id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/explore/v2.1/catalog/datasets",
                    "data_selector": "results",
                    "paginator": {"type": "offset", "limit": 100, "total_path": "total_count"},
                    "params": {
                        "order_by": "dataset_id",
                        "where": "modified>=date'{incremental.start_value}' AND modified<=date'{incremental.end_value}'",
                    },
                    "incremental": {
                        "cursor_path": "metas.default.modified",
                        "initial_value": "1970-01-01T00:00:00Z",
                    },
                },
            }
        ],
    }


OPENDATASOFT = Api("opendatasoft", resources=("datasets",), config=config)
