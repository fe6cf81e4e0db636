"""Zenodo, and any other InvenioRDM: its records, up to the one that its pages end at (10,000).

Connection `zenodo_api`: none is needed; where there is one, its host is https://zenodo.org. 30 searches a minute: Extra: {"requests_per_second": 0.5}
With a token, which makes pages of 100 possible: the token as password, and Extra: {"auth": "bearer", "params": {"size": 100}}
The number of records is compared with Extra: {"total_path": "hits.total"}
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://zenodo.org"},
        "resources": [
            {
                "name": "records",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/records",
                    "data_selector": "hits.hits",
                    "paginator": {"type": "page_number", "base_page": 1, "page_param": "page"},
                    "params": {
                        "size": 25,
                        "sort": "-mostrecent",
                        "q": 'updated:["{incremental.start_value}" TO "{incremental.end_value}"]',
                    },
                    "incremental": {"cursor_path": "updated", "initial_value": "1970-01-01T00:00:00+00:00"},
                },
            }
        ],
    }


ZENODO = Api("zenodo", resources=("records",), config=config)
