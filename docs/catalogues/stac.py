"""A STAC API: the items of its search.

Connection `stac_api`: the API's address, such as https://earth-search.aws.element84.com/v1; no key.
Where it counts, the number of items is compared with Extra: {"total_path": "numberMatched"}
Its filter `datetime` is when something was observed, and not when its item changed: it finds no changes.
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
                "name": "items",
                "primary_key": ["collection", "id"],
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/search",
                    "data_selector": "features",
                    "paginator": {"type": "json_link", "next_url_path": "links[?(@.rel=='next')].href"},
                    "params": {"limit": 100},
                },
            }
        ],
    }


STAC = Api("stac", resources=("items",), config=config)
