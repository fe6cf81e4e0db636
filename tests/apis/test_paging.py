"""Each kind of paging against one API that is broken on purpose; and what docs/paging.md says of it.

In: a declaration with the paginator, a double with a fault. Out: `whole` (all records, whatever the fault), `red` (nothing is loaded), or
`not seen`: green, and records are missing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from include.apis.api import Api
from include.errors import causes
from tests.apis.paged import Paged
from tests.apis.server import DoubleServer
from tests.apis.serving import After, Faults
from tests.support.api_loader import ApiLoader

PAGE_OF_DOCS = Path(__file__).parents[2] / "docs" / "paging.md"
BY_NUMBER = {"type": "page_number", "base_page": 0, "page_param": "page"}
BY_OFFSET = {"type": "offset", "limit": 10}
BY_CURSOR = {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"}
BY_LINK = {"type": "json_link", "next_url_path": "next"}
BY_HEADER_CURSOR = {"type": "header_cursor", "cursor_key": "X-Next", "cursor_param": "cursor"}


class OwnPaginator(JSONResponseCursorPaginator):
    """Somebody's own."""


@dataclass(frozen=True)
class Kind:
    """A row of the table: what is declared, and how the API pages. `extra`: of the connection."""

    name: str
    paginator: Any
    pages_by: str
    total: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


TOTAL = {"total_path": "total"}
KINDS = [
    Kind("`offset`, with a total", BY_OFFSET, "offset", "records"),
    Kind("`offset`, without", {**BY_OFFSET, "total_path": None}, "offset"),
    Kind("`offset` with `overlap` off and a total", BY_OFFSET, "offset", "records", {"overlap": False}),
    Kind("`offset` with `overlap` off, without", {**BY_OFFSET, "total_path": None}, "offset", None, {"overlap": False}),
    Kind("`page_number`, with a total", BY_NUMBER, "page_number", "records", TOTAL),
    Kind("`page_number`, with a number of pages", {**BY_NUMBER, "total_path": "pages"}, "page_number", "pages"),
    Kind("`page_number`, without", BY_NUMBER, "page_number"),
    Kind("`cursor`, with a total", BY_CURSOR, "cursor", "records", TOTAL),
    Kind("`cursor`, without", BY_CURSOR, "cursor"),
    Kind("`json_link`, with a total", BY_LINK, "json_link", "records", TOTAL),
    Kind("`json_link`, without", BY_LINK, "json_link"),
    Kind("`header_link`, with a total", "header_link", "header_link", "records", TOTAL),
    Kind("`header_link`, without", "header_link", "header_link"),
    Kind("`header_cursor`, with a total", BY_HEADER_CURSOR, "header_cursor", "records", TOTAL),
    Kind("`header_cursor`, without", BY_HEADER_CURSOR, "header_cursor"),
    Kind("`single_page`, with a total", "single_page", "single_page", "records", TOTAL),
    Kind("`single_page`, without", "single_page", "single_page"),
    Kind("`auto`, with a total", "auto", "json_link", "records", TOTAL),
    Kind("`auto`, without", "auto", "json_link"),
    Kind("an object of your own, with a total", OwnPaginator("next_cursor", "cursor"), "cursor", "records", TOTAL),
    Kind("an object of your own, without", OwnPaginator("next_cursor", "cursor"), "cursor"),
]
FAULTS = {
    "a page is left out": Faults(left_out=range(20, 30)),
    "a page comes again": Faults(repeated=range(20, 30)),
    "the total grows": Faults(total=After(2, 5)),
    "the total shrinks": Faults(total=After(2, -5)),
    "pages become smaller": Faults(page_cap=After(2, 4)),
}


def declared(paginator: Any, **endpoint: Any) -> Api:
    """An API of one resource."""
    return Api(
        "paged",
        resources=("items",),
        config=lambda: {
            "client": {},
            "resources": [
                {
                    "name": "items",
                    "primary_key": "id",
                    "endpoint": {"path": "items", "data_selector": "data", "paginator": paginator, **endpoint},
                }
            ],
        },
    )


class Reader:
    """Reads a double through a declaration. `failure`: the innermost error of the last read; None: it was green."""

    def __init__(self, home: Path, server: DoubleServer) -> None:
        self.home, self.server = home, server
        self.failure: BaseException | None = None

    def read(self, api: Api, double: Paged, **extra: Any) -> list[int]:
        """The keys of the records that would be loaded, in order."""
        self.server.play(double)
        self.loader = ApiLoader(self.home, api).connect(self.server.url, **extra)
        self.failure = None
        try:
            records = self.loader.read()
        except Exception as error:
            *_, self.failure = causes(error)
            return []
        return sorted(record["id"] for record in records)


@pytest.fixture
def reader(dlt_home: Path, server: DoubleServer) -> Reader:
    return Reader(dlt_home, server)


def outcome(reader: Reader, kind: Kind, faults: Faults) -> str:
    double = Paged(kind=kind.pages_by, total=kind.total, faults=faults)
    got = reader.read(declared(kind.paginator), double, **kind.extra)
    if reader.failure is not None:
        return "red"
    return "whole" if got == list(range(60)) else "not seen"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_found(reader: Reader, kind: Kind) -> None:
    for fault, faults in FAULTS.items():
        print(
            kind.name,
            "|",
            fault,
            "|",
            outcome(reader, kind, faults),
            "|",
            len(reader.server.requests),
            "|",
            type(reader.failure).__name__,
            str(reader.failure)[:200],
        )
    got = reader.read(
        declared(kind.paginator), Paged(kind=kind.pages_by, total=kind.total), **kind.extra, max_parallel_requests=1
    )
    print(len(reader.server.requests), reader.failure)
    assert got == list(range(60))
