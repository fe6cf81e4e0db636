"""udata: the catalogue of data.gouv.fr and its kin.

Connection `udata_api`: none is needed; where there is one, its host is https://www.data.gouv.fr.
With a key: the key as password, and Extra: {"auth": {"type": "api_key", "name": "X-API-KEY", "location": "header"}}
The number of datasets is compared with Extra: {"total_path": "total"}
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://www.data.gouv.fr"},
        "resources": [
            {
                "name": "datasets",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/1/datasets/",
                    "data_selector": "data",
                    "paginator": {"type": "page_number", "base_page": 1, "page_param": "page"},
                    # The oldest first: what is new does not move the others.
                    "params": {"page_size": 100, "sort": "created"},
                },
            }
        ],
    }


UDATA = Api("udata", resources=("datasets",), config=config)
