"""The World Bank's API, version 2: its indicators.

Connection `worldbank_api`: none is needed; where there is one, its host is https://api.worldbank.org.
The number of indicators is compared with Extra: {"total_path": "$[0].total"}
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://api.worldbank.org"},
        "resources": [
            {
                "name": "indicators",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/v2/indicator",
                    # An answer is an array of two: what is known of the rows, and the rows.
                    "data_selector": "$[1]",
                    "paginator": {
                        "type": "page_number",
                        "base_page": 1,
                        "page_param": "page",
                        "total_path": "$[0].pages",
                    },
                    "params": {"format": "json", "per_page": 1000},
                },
            }
        ],
    }


WORLDBANK = Api("worldbank", resources=("indicators",), config=config)
