"""DataCite: its DOIs, by cursor: page numbers end at record 10,000.

Connection `datacite_api`: none is needed; where there is one, its host is https://api.datacite.org.
The number of DOIs is compared with Extra: {"total_path": "meta.total"}
"""

from typing import TYPE_CHECKING

from include.apis.api import Api

if TYPE_CHECKING:
    from dlt.sources.rest_api import RESTAPIConfig


def config() -> "RESTAPIConfig":
    """The configuration in dlt's words."""
    return {
        "client": {"base_url": "https://api.datacite.org"},
        "resources": [
            {
                "name": "dois",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/dois",
                    "data_selector": "data",
                    "paginator": {"type": "json_link", "next_url_path": "links.next"},
                    "params": {
                        "page[cursor]": 1,
                        "page[size]": 100,
                        "query": "updated:[{incremental.start_value} TO {incremental.end_value}]",
                    },
                    "incremental": {"cursor_path": "attributes.updated", "initial_value": "1970-01-01T00:00:00Z"},
                },
            }
        ],
    }


DATACITE = Api("datacite", resources=("dois",), config=config)
