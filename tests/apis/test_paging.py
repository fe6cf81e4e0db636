"""Each kind of paging against one API that is broken on purpose; and what docs/paging.md says of it.

In: a declaration with the paginator, a double with a fault. Out: `whole` (all records, whatever the fault), `red` (nothing is loaded),
`noted` or `not seen` (green, and records are missing; of the first the report has something to say).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from include.apis.api import Api
from include.configure.paginator_config import KINDS as KIND_NAMES
from include.errors import PermanentError, causes
from include.extract.completeness import CollectionMoved
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
IN_ANY_ORDER = ("a page is left out", "a page comes again")
NOT_THERE = "-"


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
                    "endpoint": {
                        name: value
                        for name, value in {
                            "path": "items",
                            "data_selector": "data",
                            "paginator": paginator,
                            **endpoint,
                        }.items()
                        if value is not None
                    },
                }
            ],
        },
    )


class Reader:
    """Reads a double through a declaration. `failure`: the innermost error of the last read; None: it was green."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.failure: BaseException | None = None

    def read(self, api: Api, double: Paged, **extra: Any) -> list[int]:
        """The keys of the records that would be loaded, in order."""
        self.failure = None
        # A server of its own: what the read before had still under way would be counted as of this one.
        with DoubleServer(double) as self.server:
            self.loader = ApiLoader(self.home, api).connect(self.server.url, **extra)
            try:
                records = self.loader.read()
            except Exception as error:
                *_, self.failure = causes(error)
                return []
        return sorted(record["id"] for record in records)


@pytest.fixture
def reader(dlt_home: Path) -> Reader:
    return Reader(dlt_home)


def outcome(reader: Reader, kind: Kind, fault: str) -> str:
    """What became of a read, as the table says it."""
    if (kind.total is None and "total" in fault) or (kind.pages_by == "single_page" and fault not in IN_ANY_ORDER):
        return NOT_THERE
    double = Paged(kind=kind.pages_by, total=kind.total, faults=FAULTS[fault])
    # What begins after so many requests begins at another page each time where they are sent side by side.
    parallel = 8 if fault in IN_ANY_ORDER else 1
    got = reader.read(declared(kind.paginator), double, **kind.extra, max_parallel_requests=parallel)
    if reader.failure is not None:
        assert isinstance(reader.failure, PermanentError | CollectionMoved), reader.failure
        assert str(reader.failure).endswith("."), "a sentence"
        return "red"
    if got == list(range(60)):
        return "whole"
    return "noted" if "records_listed_twice" in reader.loader.progress["items"].notes else "not seen"


def table() -> dict[str, list[str]]:
    """The table of the page: the cells of each row, by the first one."""
    rows = [line.strip("| ").split("|") for line in PAGE_OF_DOCS.read_text().splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in cells] for first, *cells in rows}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_the_table_says_is_what_is_found(reader: Reader, kind: Kind) -> None:
    found = [outcome(reader, kind, fault) for fault in FAULTS]
    whole = Paged(kind=kind.pages_by, total=kind.total)
    assert reader.read(declared(kind.paginator), whole, **kind.extra, max_parallel_requests=1) == list(range(60))
    found.append(str(len(reader.server.requests)))

    assert found == table().get(kind.name), "| " + " | ".join([kind.name, *found]) + " |"


def test_the_table_has_a_row_for_each_kind() -> None:
    head, _, *rows = table().items()
    assert head == ("paginator", [*FAULTS, "requests for 6 pages"])
    assert [name for name, _ in rows] == [kind.name for kind in KINDS]


def examples() -> dict[str, str]:
    """The example of each section, by its heading."""
    sections = re.split(r"^## ", PAGE_OF_DOCS.read_text(), flags=re.MULTILINE)
    found = {}
    for section in sections:
        if block := re.search(r"```python\n(.*?)```", section, re.DOTALL):
            found[section.partition("\n")[0].strip("`")] = block[1]
    return found


@pytest.mark.parametrize("kind", [*KIND_NAMES, "own"])
def test_the_example_of_a_kind_reads_everything(reader: Reader, kind: str) -> None:
    shown: dict[str, Any] = {}
    exec(examples()[kind], shown)
    pages_by = {"auto": "json_link", "own": "cursor"}.get(kind, kind)
    double = Paged(kind=pages_by, total=None if "header" in kind else "records", first_page=1)

    got = reader.read(
        Api("paged", resources=("items",), config=lambda: {"client": {}, "resources": [shown["RESOURCE"]]}), double
    )

    assert got == list(range(60)), reader.failure
