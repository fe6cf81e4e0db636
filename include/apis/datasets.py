"""The datasets API: one collection, paged by offset, with a key in the query.

Any part of it can be set anew for a deployment: in the connection `datasets_api`, in the environment, or in `dags/.dlt/config.toml`.
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        # The address is that of the connection `datasets_api`, the key its password.
        "client": {"auth": {"type": "api_key", "name": "api_key", "location": "query"}},
        "resources": [
            {
                "name": "datasets",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/v1/datasets",
                    "data_selector": "data",
                    "paginator": {"type": "offset", "limit": 100, "total_path": "total"},
                },
            }
        ],
    }


DATASETS = Api("datasets", resources=("datasets",), config=config)
