"""Hugging Face: the datasets of its hub.

Connection `huggingface_api`: none is needed; where there is one, its host is https://huggingface.co.
With a token: the token as password, and Extra: {"auth": "bearer"}
It names no total.
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://huggingface.co"},
        "resources": [
            {
                "name": "datasets",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/datasets",
                    "data_selector": "$",
                    "paginator": "header_link",
                    "params": {"limit": 100, "sort": "createdAt"},
                },
            }
        ],
    }


HUGGINGFACE = Api("huggingface", resources=("datasets",), config=config)
