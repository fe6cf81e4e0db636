"""Figshare: its public articles, up to the offset that it ends at (1,000 to 9,000: its documents differ).

Connection `figshare_api`: none is needed; where there is one, its host is https://api.figshare.com.
With a token: the token as password, and Extra: {"auth": {"type": "api_key", "name": "access_token", "location": "query"}}
It names no total.
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://api.figshare.com"},
        "resources": [
            {
                "name": "articles",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/v2/articles",
                    "data_selector": "$",
                    "paginator": {"type": "offset", "limit": 100, "total_path": None},
                    "params": {"order": "published_date", "order_direction": "asc"},
                    # Its end is ours to see: the API knows a start only.
                    "incremental": {
                        "cursor_path": "modified_date",
                        "initial_value": "1970-01-01",
                        "start_param": "modified_since",
                    },
                },
            }
        ],
    }


FIGSHARE = Api("figshare", resources=("articles",), config=config)
