"""What can be broken on purpose, with each double: a plain client that reads to the end sees it, and only it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.apis.asking import Client, Reply
from tests.apis.catalogues.ckan import Ckan
from tests.apis.catalogues.datacite import DataCite
from tests.apis.catalogues.dataverse import Dataverse
from tests.apis.catalogues.dataworld import DataWorld
from tests.apis.catalogues.figshare import Figshare
from tests.apis.catalogues.gbif import Gbif
from tests.apis.catalogues.huggingface import HuggingFace
from tests.apis.catalogues.kaggle import Kaggle
from tests.apis.catalogues.nasdaq import COLUMNS, Nasdaq
from tests.apis.catalogues.opendatasoft import OpenDataSoft
from tests.apis.catalogues.openml import OpenMl
from tests.apis.catalogues.socrata_catalogue import SocrataCatalogue
from tests.apis.catalogues.soda import Soda
from tests.apis.catalogues.stac import Stac
from tests.apis.catalogues.udata import Udata
from tests.apis.catalogues.worldbank import WorldBank
from tests.apis.catalogues.zenodo import Zenodo
from tests.apis.double import Double, at
from tests.apis.publishers import Publishers
from tests.apis.server import DoubleServer
from tests.apis.serving import After, Faults

RECORDS, PAGE = 60, 10
# More than the pages of a read, and fewer than a read without an end.
MOST_PAGES = 70


@dataclass(frozen=True)
class Reading:
    """How a catalogue is read: `first` with `{page}` or `{offset}` to fill in, or `following`: from an answer to the next target.

    `rows` and `total` are found in a body; `total` None: the catalogue has none.
    """

    double: type[Double]
    first: str
    rows: Callable[[Any], list[dict[str, Any]]]
    total: Callable[[Any], int] | None = None
    following: Callable[[Reply], str | None] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""


def same(body: Any) -> Any:
    return body


def arrays(body: Any) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in body["datatable"]["data"]]


def linked_in_a_header(reply: Reply) -> str | None:
    return reply.headers["Link"].partition(">")[0].removeprefix("<") if reply.headers["Link"] else None


def linked_in_the_body(reply: Reply) -> str | None:
    return next((link["href"] for link in reply.body["links"] if link["rel"] == "next"), None)


def by_a_cursor(target: str, of: Callable[[Any], str | None]) -> Callable[[Reply], str | None]:
    return lambda reply: f"{target}{of(reply.body)}" if of(reply.body) else None


NASDAQ = f"{Nasdaq.path}?api_key=key&qopts.per_page=10&qopts.cursor_id="
DATAWORLD = f"{DataWorld.path}?limit=10&next="
TOKEN = {"Authorization": "Bearer token"}

READINGS = [
    Reading(
        Ckan,
        f"{Ckan.path}?sort=id+asc&rows=10&start={{offset}}",
        lambda body: body["result"]["results"],
        lambda body: body["result"]["count"],
    ),
    Reading(
        OpenDataSoft,
        f"{OpenDataSoft.path}?limit=10&offset={{offset}}",
        lambda body: body["results"],
        lambda body: body["total_count"],
    ),
    Reading(
        SocrataCatalogue,
        f"{SocrataCatalogue.path}?limit=10&offset={{offset}}",
        lambda body: body["results"],
        lambda body: body["resultSetSize"],
    ),
    Reading(Soda, f"{Soda.path}?$order=:id&$limit=10&$offset={{offset}}", same),
    Reading(Udata, f"{Udata.path}?page_size=10&page={{page}}", lambda body: body["data"], lambda body: body["total"]),
    Reading(Gbif, f"{Gbif.path}?limit=10&offset={{offset}}", lambda body: body["results"], lambda body: body["count"]),
    Reading(
        Zenodo,
        f"{Zenodo.path}?size=10&page={{page}}",
        lambda body: body["hits"]["hits"],
        lambda body: body["hits"]["total"],
    ),
    Reading(
        Dataverse,
        f"{Dataverse.path}?q=*&type=dataset&per_page=10&start={{offset}}",
        lambda body: body["data"]["items"],
        lambda body: body["data"]["total_count"],
    ),
    Reading(HuggingFace, f"{HuggingFace.path}?limit=10", same, following=linked_in_a_header),
    Reading(Kaggle, f"{Kaggle.path}?sortBy=updated&page={{page}}", same, headers={"Authorization": "Bearer key"}),
    Reading(Nasdaq, NASDAQ, arrays, following=by_a_cursor(NASDAQ, lambda body: body["meta"]["next_cursor_id"])),
    Reading(
        DataCite,
        f"{DataCite.path}?page[size]=10&page[number]={{page}}",
        lambda body: body["data"],
        lambda body: body["meta"]["total"],
    ),
    Reading(
        DataCite,
        f"{DataCite.path}?page[size]=10&page[cursor]=1",
        lambda body: body["data"],
        lambda body: body["meta"]["total"],
        following=lambda reply: reply.body["links"].get("next"),
        name="DataCite by cursor",
    ),
    Reading(Figshare, f"{Figshare.path}?limit=10&offset={{offset}}", same),
    Reading(Figshare, f"{Figshare.path}?page_size=10&page={{page}}", same, name="Figshare by number"),
    Reading(OpenMl, "/data/list/limit/10/offset/{offset}", lambda body: body.get("data", {}).get("dataset", [])),
    Reading(
        DataWorld,
        DATAWORLD,
        lambda body: body["records"],
        following=by_a_cursor(DATAWORLD, lambda body: body.get("nextPageToken")),
        headers=TOKEN,
    ),
    Reading(
        Stac,
        Stac.path,
        lambda body: body["features"],
        lambda body: body["numberMatched"],
        following=linked_in_the_body,
    ),
    Reading(
        WorldBank,
        f"{WorldBank.path}?format=json&per_page=10&page={{page}}",
        lambda body: body[1],
        lambda body: body[0]["total"],
    ),
    Reading(
        Publishers,
        f"{Publishers.path}?limit=10&offset={{offset}}",
        lambda body: body["data"],
        lambda body: body["total"],
    ),
]


@dataclass
class Read:
    """What came of reading to the end: the pages, as the keys of their records, and the totals, one for each answer."""

    pages: list[list[Any]]
    totals: list[int]

    @property
    def keys(self) -> list[Any]:
        return [key for page in self.pages for key in page]


class Reader:
    def __init__(self, server: DoubleServer, client: Client, reading: Reading) -> None:
        self._server, self._client, self._reading = server, client, reading
        # Its pages are of one size, which nobody can ask for.
        self._own_size: dict[str, Any] = {"page_size": PAGE} if reading.double is Kaggle else {}

    @property
    def keys(self) -> list[Any]:
        """Of all records there are, in no order that matters."""
        return self._keys(self._double(Faults()).records)

    def read(self, faults: Faults) -> Read:
        self._server.play(self._double(faults))
        read = Read([], [])
        for reply in self._replies():
            rows = self._reading.rows(reply.body)
            read.pages.append(self._keys(rows))
            if self._reading.total:
                read.totals.append(self._reading.total(reply.body))
            if not rows:
                break
        return read

    def _double(self, faults: Faults) -> Double:
        return self._reading.double(count=RECORDS, faults=faults, **self._own_size)

    def _keys(self, records: list[dict[str, Any]]) -> list[Any]:
        return [at(record, self._reading.double.primary_key) for record in records]

    def _replies(self) -> Iterator[Reply]:
        target, offset = self._reading.first, 0
        for page in range(1, MOST_PAGES):
            # Not `format`: it would take the brackets of DataCite's parameters for its own.
            filled = target.replace("{page}", str(page)).replace("{offset}", str(offset))
            reply = self._client.get(filled, headers=self._reading.headers)
            yield reply
            if self._reading.following:
                following = self._reading.following(reply)
                if following is None:
                    return
                target = following
            else:
                offset += len(self._reading.rows(reply.body))
        raise AssertionError("The read has no end.")


@pytest.fixture(params=READINGS, ids=lambda reading: reading.name or reading.double.__name__)
def reader(request: pytest.FixtureRequest, server: DoubleServer, client: Client) -> Reader:
    return Reader(server, client, request.param)


def test_a_read_without_faults_is_whole(reader: Reader) -> None:
    read = reader.read(Faults())

    assert sorted(read.keys) == sorted(reader.keys)
    assert set(read.totals) <= {RECORDS}
    assert {len(page) for page in read.pages} <= {PAGE, 0}


def test_a_page_that_is_left_out_is_missing_and_counted_in_the_total(reader: Reader) -> None:
    whole = reader.read(Faults()).keys
    read = reader.read(Faults(left_out=range(20, 30)))

    assert read.keys == whole[:20] + whole[30:]
    assert set(read.totals) <= {RECORDS}


def test_a_page_that_is_repeated_comes_in_place_of_the_next(reader: Reader) -> None:
    whole = reader.read(Faults()).keys
    read = reader.read(Faults(repeated=range(20, 30)))

    assert read.keys == whole[:30] + whole[20:30] + whole[40:]
    assert set(read.totals) <= {RECORDS}


def test_the_last_page_can_be_repeated_as_far_as_there_is_a_place_for_it(reader: Reader) -> None:
    whole = reader.read(Faults()).keys
    read = reader.read(Faults(repeated=range(45, 55)))

    assert read.keys == whole[:55] + whole[45:50]


def test_the_total_can_change_between_pages(reader: Reader) -> None:
    read = reader.read(Faults(total=After(2, -5)))

    assert sorted(read.keys) == sorted(reader.keys)
    assert read.totals in ([], [RECORDS] * 2 + [RECORDS - 5] * (len(read.totals) - 2))


def test_pages_can_become_smaller_without_a_word(reader: Reader) -> None:
    read = reader.read(Faults(page_cap=After(2, 4)))

    assert [len(page) for page in read.pages[:4]] == [10, 10, 4, 4]
    by_number = "page={page}" in reader._reading.first or "page[number]" in reader._reading.first
    # A number counts pages of the new size: what was read comes again.
    assert (sorted(set(read.keys)) == sorted(read.keys)) is not by_number


def test_the_children_of_one_parent_can_be_broken(server: DoubleServer, client: Client) -> None:
    double = Publishers(faults=Faults(left_out=range(2), total=After(0, 1)), faulty_parent="publisher-5")
    server.play(double)

    def datasets(parent: str) -> Any:
        return client.get(f"{Publishers.path}/{parent}/datasets").body

    assert datasets("publisher-5") == {"data": double.children["publisher-5"][2:], "total": 6}
    assert datasets("publisher-6") == {"data": double.children["publisher-6"], "total": 6}
    assert client.get(Publishers.path).body["total"] == 50
