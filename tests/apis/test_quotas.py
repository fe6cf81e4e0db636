"""Catalogues that count down how often one may ask: none of the requests is refused."""

from pathlib import Path
from typing import Any

import pytest

from include.apis.api import Api
from tests.apis.catalogues.huggingface import HuggingFace
from tests.apis.catalogues.zenodo import Zenodo
from tests.apis.double import Double
from tests.apis.quota import Quota
from tests.apis.server import DoubleServer
from tests.support.api_loader import ApiLoader


@pytest.mark.parametrize(
    ("double", "endpoint"),
    [
        (
            HuggingFace(count=180, quota=Quota(6, 1)),
            {"data_selector": "$", "paginator": "header_link", "params": {"limit": 20}},
        ),
        (
            Zenodo(count=180, quota=Quota(6, 1)),
            {
                "data_selector": "hits.hits",
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page"},
                "params": {"size": 20},
            },
        ),
    ],
    ids=["huggingface", "zenodo"],
)
def test_no_request_is_refused(dlt_home: Path, server: DoubleServer, double: Double, endpoint: dict[str, Any]) -> None:
    def config() -> Any:
        return {"resources": [{"name": "records", "primary_key": "id", "endpoint": {"path": double.path, **endpoint}}]}

    server.play(double)
    loader = ApiLoader(dlt_home, Api("catalogue", ("records",), config)).connect(server.url, auth="none")
    assert len(loader.read()) == 180
    assert server.refused == []
    assert len(server.requests) >= 9
