"""The demo's second API: publishers by page number, the datasets of each of them, and all datasets; one key in the query."""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words; address and key come from the connection `demo_catalogue_api`."""
    return {
        "client": {"auth": {"type": "api_key", "name": "api_key", "location": "query"}},
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge", "endpoint": {"data_selector": "data"}},
        "resources": [
            {"name": "datasets", "endpoint": {"path": "/v1/datasets", "paginator": {"type": "offset", "limit": 100}}},
            {
                "name": "publishers",
                "endpoint": {
                    "path": "/v1/publishers",
                    "params": {"page_size": 20},
                    "data_selector": "publishers",
                    "paginator": {"type": "page_number", "base_page": 1, "total_path": "pages"},
                },
            },
            {
                "name": "publisher_datasets",
                "include_from_parent": ["name"],
                "endpoint": {
                    "path": "/v1/publishers/{resources.publishers.id}/datasets",
                    "paginator": {"type": "offset", "limit": 100},
                },
            },
        ],
    }


CATALOGUE = Api("demo_catalogue", resources=("datasets", ("publishers", "publisher_datasets")), config=config)
