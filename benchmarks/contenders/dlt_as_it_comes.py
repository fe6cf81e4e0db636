"""dlt with only the configuration that is required: URL and destination (a DuckDB file or a PostgreSQL URL)."""

import sys
from typing import Any

import dlt
from dlt.sources.rest_api import rest_api_source


def source(url: str) -> Any:
    """The REST API source."""
    return rest_api_source(
        {
            "client": {
                "base_url": url,
                "auth": {"type": "api_key", "name": "api_key", "api_key": "key", "location": "query"},
                "paginator": {"type": "offset", "limit": 100},
            },
            "resources": [
                {
                    "name": "datasets",
                    "endpoint": "/v1/datasets",
                    "primary_key": "id",
                    "write_disposition": "merge",
                }
            ],
        }
    )


def pipeline(destination: str) -> dlt.Pipeline:
    """The pipeline into `destination`."""
    to_postgres = destination.startswith("postgresql://")
    target = dlt.destinations.postgres(destination) if to_postgres else dlt.destinations.duckdb(destination)
    return dlt.pipeline("datasets", destination=target, dataset_name="bench")


if __name__ == "__main__":
    url, destination = sys.argv[1:]
    pipeline(destination).run(source(url))
