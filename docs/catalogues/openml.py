"""OpenML: its list of datasets, whose paging is in the path.

Connection `openml_api`: none is needed; where there is one, its host is https://www.openml.org/api/v1/json.
With a key: the key as password, and Extra: {"auth": {"type": "api_key", "name": "api_key", "location": "query"}}
It names no total.
"""

from typing import TYPE_CHECKING

from dlt.sources.helpers.rest_client.paginators import OffsetPaginator

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig
    from requests import Request


class PathPaginator(OffsetPaginator):
    """Offset and limit as parts of the path."""

    def update_request(self, request: "Request") -> None:
        collection, _, _ = str(request.url).partition("/limit/")
        request.url = f"{collection}/limit/{self.limit}/offset/{self.current_value}"


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://www.openml.org/api/v1/json"},
        "resources": [
            {
                "name": "datasets",
                "primary_key": "did",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/data/list",
                    "data_selector": "data.dataset",
                    "paginator": PathPaginator(limit=1000, total_path=None),
                    # Beyond the end it has no empty list but an error, "No results".
                    "response_actions": [{"status_code": 412, "content": '"372"', "action": "ignore"}],
                },
            }
        ],
    }


OPENML = Api("openml", resources=("datasets",), config=config)
