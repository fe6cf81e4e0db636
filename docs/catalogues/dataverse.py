"""The search of a Dataverse: its datasets.

Connection `dataverse_api`: the installation's address, such as https://dataverse.harvard.edu; no key.
With a key: the key as password, and Extra: {"auth": {"type": "api_key", "name": "X-Dataverse-key", "location": "header"}}
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
                "primary_key": "global_id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/search",
                    "data_selector": "data.items",
                    "paginator": {
                        "type": "offset",
                        "limit": 100,
                        "offset_param": "start",
                        "limit_param": "per_page",
                        "total_path": "data.total_count",
                    },
                    "params": {
                        "q": "*",
                        # Without it files and dataverses are mixed in.
                        "type": "dataset",
                        "sort": "name",
                        "order": "asc",
                        "fq": "dateSort:[{incremental.start_value} TO {incremental.end_value}]",
                    },
                    "incremental": {"cursor_path": "updatedAt", "initial_value": "1970-01-01T00:00:00Z"},
                },
            }
        ],
    }


DATAVERSE = Api("dataverse", resources=("datasets",), config=config)
