"""CKAN's `package_search`: the datasets of one site, such as data.gov.uk or open.canada.ca.

Connection `ckan_api`: the site's address, such as https://data.gov.uk; no key.
With a key: the key as password, and Extra: {"auth": {"type": "api_key", "name": "Authorization", "location": "header"}}
A site may rename that header, and may give fewer than 100 rows a page: the run says so, and what to set.
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
                "name": "packages",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "/api/3/action/package_search",
                    "data_selector": "result.results",
                    "paginator": {
                        "type": "offset",
                        "limit": 100,
                        "offset_param": "start",
                        "limit_param": "rows",
                        "total_path": "result.count",
                    },
                    "params": {
                        # By score, as it comes, the order is another from request to request.
                        "sort": "id asc",
                        "fq": "metadata_modified:[{incremental.start_value} TO {incremental.end_value}]",
                    },
                    "incremental": {"cursor_path": "metadata_modified", "initial_value": "1970-01-01T00:00:00Z"},
                },
            }
        ],
    }


CKAN = Api("ckan", resources=("packages",), config=config)
