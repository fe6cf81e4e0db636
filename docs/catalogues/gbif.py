"""The registry of GBIF: its datasets, up to the offset that it ends at (10,000).

Connection `gbif_api`: none is needed; where there is one, its host is https://api.gbif.org.
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://api.gbif.org"},
        "resources": [
            {
                "name": "datasets",
                "primary_key": "key",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/v1/dataset",
                    "data_selector": "results",
                    "paginator": {"type": "offset", "limit": 100, "total_path": "count"},
                    "params": {"modifiedDate": "{incremental.start_value},{incremental.end_value}"},
                    "incremental": {"cursor_path": "modified", "initial_value": "1970-01-01T00:00:00Z"},
                },
            }
        ],
    }


GBIF = Api("gbif", resources=("datasets",), config=config)
