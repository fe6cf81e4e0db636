"""Kaggle: its list of datasets.

Connection `kaggle_api`: https://www.kaggle.com as host, the user as login, the key as password.
It names no total, and its pages have a size of their own.
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://www.kaggle.com", "auth": {"type": "http_basic"}},
        "resources": [
            {
                "name": "datasets",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/v1/datasets/list",
                    "data_selector": "$",
                    "paginator": {"type": "page_number", "base_page": 1, "page_param": "page"},
                    # The usual order, the hottest first, moves while one reads.
                    "params": {"sortBy": "updated"},
                },
            }
        ],
    }


KAGGLE = Api("kaggle", resources=("datasets",), config=config)
