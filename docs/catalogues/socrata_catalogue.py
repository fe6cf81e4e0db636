"""The catalogue of Socrata, which is read by scrolling: its offsets end at 10,000.

Connection `socrata_catalogue_api`: none is needed; where there is one, its host is https://api.us.socrata.com.
With a token: the token as password, and Extra: {"auth": {"type": "api_key", "name": "X-App-Token", "location": "header"}}
The number of datasets is compared with Extra: {"total_path": "resultSetSize"}
"""

from typing import TYPE_CHECKING, Any

from dlt.sources.helpers.rest_client.paginators import BasePaginator

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig
    from requests import Request, Response


class ScrollPaginator(BasePaginator):
    """Asks for what follows the last id. Without one the order would be that of relevance."""

    last_id = "0"

    def init_request(self, request: "Request") -> None:
        self.last_id = "0"
        self.update_request(request)

    def update_state(self, response: "Response", data: list[Any] | None = None) -> None:
        self._has_next_page = bool(data)
        self.last_id = data[-1]["resource"]["id"] if data else self.last_id

    def update_request(self, request: "Request") -> None:
        request.params = {**(request.params or {}), "scroll_id": self.last_id}


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://api.us.socrata.com"},
        "resources": [
            {
                "name": "assets",
                "primary_key": "resource.id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/catalog/v1",
                    "data_selector": "results",
                    "paginator": ScrollPaginator(),
                    "params": {"limit": 100},
                },
            }
        ],
    }


SOCRATA_CATALOGUE = Api("socrata_catalogue", resources=("assets",), config=config)
