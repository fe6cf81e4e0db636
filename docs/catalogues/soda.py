"""One table behind Socrata's SODA 2.0.

Connection `soda_api`: the portal's address, such as https://data.cityofnewyork.us; no key.
With a token: the token as password, and Extra: {"auth": {"type": "api_key", "name": "X-App-Token", "location": "header"}}
Set `path` and `primary_key` to those of the table. SODA names no total.
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
                "name": "rows",
                "primary_key": "unique_key",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/resource/abcd-1234.json",
                    "data_selector": "$",
                    "paginator": {
                        "type": "offset",
                        "limit": 1000,
                        "offset_param": "$offset",
                        "limit_param": "$limit",
                        "total_path": None,
                    },
                    # Without an order the rows come in another one from request to request.
                    "params": {"$order": ":id"},
                },
            }
        ],
    }


SODA = Api("soda", resources=("rows",), config=config)
