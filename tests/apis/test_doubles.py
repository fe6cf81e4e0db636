"""Each double behaves as its catalogue is known to: one behaviour each, seen over HTTP."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.apis.asking import Client, Reply
from tests.apis.catalogues.ckan import Ckan
from tests.apis.catalogues.datacite import DataCite
from tests.apis.catalogues.dataverse import Dataverse
from tests.apis.catalogues.dataworld import DataWorld
from tests.apis.catalogues.figshare import SEARCH, Figshare
from tests.apis.catalogues.gbif import Gbif
from tests.apis.catalogues.huggingface import HuggingFace
from tests.apis.catalogues.kaggle import Kaggle
from tests.apis.catalogues.nasdaq import COLUMNS, Nasdaq
from tests.apis.catalogues.opendatasoft import EXPORT, OpenDataSoft
from tests.apis.catalogues.openml import OpenMl
from tests.apis.catalogues.socrata_catalogue import SocrataCatalogue
from tests.apis.catalogues.soda import Soda
from tests.apis.catalogues.stac import Stac
from tests.apis.catalogues.udata import Udata
from tests.apis.catalogues.worldbank import WorldBank
from tests.apis.catalogues.zenodo import Zenodo
from tests.apis.double import Double, at
from tests.apis.publishers import Publishers
from tests.apis.quota import Quota
from tests.apis.server import DoubleServer
from tests.support.api_server import Answer, Request

Play = Callable[[Double], Callable[..., Reply]]
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def play(server: DoubleServer, client: Client) -> Play:
    """Plays a double; what comes back asks for its collection: `ask(limit=10)`, `ask({"$limit": 10})`."""

    def play(double: Double) -> Callable[..., Reply]:
        server.play(double)

        # `query` has no name: DataCite's query has one of that name.
        def ask(query: dict[str, Any] | None = None, /, headers: dict[str, str] | None = None, **more: Any) -> Reply:
            return client.get(double.path, {**(query or {}), **more}, headers)

        return ask

    return play


def keys(double: Double, records: list[dict[str, Any]]) -> list[Any]:
    return [at(record, double.primary_key) for record in records]


def moments(double: Double, records: list[dict[str, Any]] | None = None) -> list[str]:
    assert double.modified
    return [at(record, double.modified) for record in (double.records if records is None else records)]


def two_moments(double: Double) -> tuple[str, str]:
    """Two at which records of `double` changed, with others before, between and after them."""
    known = sorted(set(moments(double)))
    return known[len(known) // 3], known[len(known) // 2]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- what all have in common

ALL: list[type[Double]] = [
    Ckan,
    OpenDataSoft,
    SocrataCatalogue,
    Soda,
    Udata,
    Gbif,
    Zenodo,
    Dataverse,
    HuggingFace,
    Kaggle,
    Nasdaq,
    DataCite,
    Figshare,
    OpenMl,
    DataWorld,
    Stac,
    WorldBank,
    Publishers,
]


@pytest.mark.parametrize("double", ALL, ids=lambda double: double.__name__)
def test_records_are_the_same_each_time_and_told_apart_by_their_key(double: type[Double]) -> None:
    first, second = double(count=60), double(count=60)

    assert first.records == second.records
    assert len(set(keys(first, first.records))) == 60
    assert first.modified is None or len(set(moments(first))) == 30, "two changed at each moment"


@pytest.mark.parametrize(
    ("double", "cap"),
    [
        (OpenDataSoft(), "position_cap"),
        (SocrataCatalogue(), "position_cap"),
        (Gbif(), "offset_cap"),
        (Zenodo(), "record_cap"),
        (DataCite(), "record_cap"),
        (Figshare(), "offset_cap"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Double) else value,
)
def test_a_collection_is_larger_than_the_cap_on_its_positions(double: Double, cap: str) -> None:
    assert len(double.records) > getattr(double, cap)


def test_requests_and_refused_ones_are_counted_on_a_connection_that_stays_open(
    server: DoubleServer, client: Client
) -> None:
    client.get(Publishers.path, {"limit": 2})
    assert client.get("/v1/nothing").status == 404

    assert [request.path for request in server.requests] == [Publishers.path, "/v1/nothing"]
    assert [request.path for request in server.refused] == ["/v1/nothing"]
    assert server.requests[0].client_port == server.requests[1].client_port
    server.play(Publishers())
    assert server.requests == server.refused == []


def test_a_script_comes_before_the_double(server: DoubleServer, client: Client) -> None:
    server.script(lambda request: Answer(503) if server.count() == 1 else None)

    assert [client.get(Publishers.path).status for _ in range(2)] == [503, 200]
    assert len(server.refused) == 1


# --- CKAN


def test_ckan_gives_fewer_rows_than_asked_for_where_the_site_caps(play: Play) -> None:
    ask = play(Ckan())

    assert len(ask().body["result"]["results"]) == 10
    result = ask(rows=1000).body["result"]
    assert (len(result["results"]), result["count"]) == (100, 250)


def test_ckan_sorts_by_score_at_first_which_is_no_order(play: Play) -> None:
    ask = play(Ckan())

    first, second = (keys(Ckan(), ask(rows=100).body["result"]["results"]) for _ in range(2))
    assert first != second
    first, second = (keys(Ckan(), ask(rows=100, sort="id asc").body["result"]["results"]) for _ in range(2))
    assert first == second == sorted(first)


def test_ckan_says_200_with_success_false(play: Play) -> None:
    reply = play(Ckan())(fq="nonsense")

    assert reply.status == 200
    assert reply.body["success"] is False
    assert "nonsense" in reply.body["error"]["message"]


def test_ckan_asks_for_a_key_in_a_header_that_a_site_may_rename(play: Play) -> None:
    ask = play(Ckan(key="secret", key_header="X-CKAN-API-Key"))

    assert ask(headers={"Authorization": "secret"}).status == 403
    assert ask(headers={"X-CKAN-API-Key": "secret"}).body["success"] is True


# --- OpenDataSoft


def test_opendatasoft_refuses_positions_from_its_cap_on(play: Play) -> None:
    ask = play(OpenDataSoft())

    assert len(ask().body["results"]) == 10
    assert ask(offset=899, limit=100).body["total_count"] == 1200
    reply = ask(offset=900, limit=100)
    assert (reply.status, reply.body["error_code"]) == (400, "InvalidRESTParameterError")
    assert ask(limit=101).status == 400


def test_opendatasoft_exports_without_a_cap(play: Play, client: Client) -> None:
    double = OpenDataSoft()
    play(double)

    assert client.get(EXPORT).body == double.records


def test_opendatasoft_says_in_the_body_of_a_429_when_to_come_again(play: Play) -> None:
    ask = play(OpenDataSoft(quota=Quota(2, 60), clock=lambda: NOON))

    assert [ask().status for _ in range(2)] == [200, 200]
    reply = ask()
    assert (reply.status, reply.body["reset_time"]) == (429, "2025-06-01T12:01:00+00:00")
    assert "Retry-After" not in reply.headers


def test_opendatasoft_takes_its_key_in_the_query(play: Play) -> None:
    ask = play(OpenDataSoft(key="secret"))

    assert ask().status == 401
    assert ask(apikey="secret").status == 200


def test_opendatasoft_finds_changes_with_and_without_each_end(play: Play) -> None:
    double = OpenDataSoft()
    ask = play(double)
    start, end = two_moments(double)

    def found(where: str) -> list[str]:
        body = ask(where=where, limit=100, order_by="modified desc").body
        assert body["total_count"] >= len(body["results"])
        return moments(double, body["results"])

    half_open = found(f"modified>=date'{start}' AND modified<date'{end}'")
    assert half_open == sorted(half_open, reverse=True)
    assert end not in half_open
    assert found(f"modified<=date'{end}'")[0] == end
    counts = [ask(where=f"modified{sign}date'{start}'", limit=1).body["total_count"] for sign in (">=", ">", "<", "<=")]
    assert (counts[0] - counts[1], counts[3] - counts[2], counts[0] + counts[2]) == (2, 2, 1200)


# --- Socrata


def test_socrata_refuses_an_offset_beyond_its_cap_and_scrolls_through_all(play: Play) -> None:
    double = SocrataCatalogue()
    ask = play(double)

    assert ask(offset=900, limit=100).body["resultSetSize"] == 1200
    assert ask(offset=901, limit=100).status == 400
    read, last = [], ""
    while page := keys(double, ask(scroll_id=last, limit=500).body["results"]):
        read += page
        last = page[-1]
    assert sorted(read) == sorted(keys(double, double.records))


def test_socrata_gives_the_first_page_again_to_who_scrolls_with_an_offset(play: Play) -> None:
    ask = play(SocrataCatalogue())

    assert ask(scroll_id="100", limit=5).body == ask(scroll_id="", limit=5).body


@pytest.mark.parametrize("double", [SocrataCatalogue, Soda])
def test_socrata_wants_a_right_token_or_none(play: Play, double: type[Double]) -> None:
    ask = play(double(key="secret"))

    assert ask(headers={"X-App-Token": "wrong"}).status == 403
    assert ask(headers={"X-App-Token": "secret"}).status == ask().status == 200


def test_soda_is_unordered_without_an_order(play: Play) -> None:
    double = Soda()
    ask = play(double)

    assert ask().body != ask().body
    assert ask({"$order": ":id", "$offset": 200}).body == double.records[200:]


def test_soda_gives_an_array_of_its_own_size_and_lowers_a_limit(play: Play) -> None:
    ask = play(Soda(limit_cap=150))

    assert len(ask({"$order": ":id"}).body) == 100
    assert len(ask({"$order": ":id", "$limit": 50000}).body) == 150
    assert ask({"$order": ":id", "$offset": 250}).body == []


# --- udata


def test_udata_has_no_next_page_at_the_end(play: Play, client: Client) -> None:
    double = Udata(count=45)
    ask = play(double)
    body, read = ask().body, []
    while True:
        read += body["data"]
        if body["next_page"] is None:
            break
        body = client.get(body["next_page"]).body

    assert body["page"] == 3
    assert len(body["data"]) == 5
    assert sorted(keys(double, read)) == sorted(keys(double, double.records))


def test_udata_shifts_its_pages_with_an_insert(play: Play) -> None:
    double = Udata(count=45)
    ask = play(double)
    first = ask(page=1).body
    added = double.insert()
    second = ask(page=2).body

    assert second["data"][0] == first["data"][-1]
    assert second["total"] == first["total"] + 1
    assert ask(page=1).body["data"][0] == added


def test_udata_knows_only_buckets_of_changes(play: Play) -> None:
    double = Udata()
    ask = play(double)

    counts = [ask(last_update_range=name).body["total"] for name in ("last_30_days", "last_12_months")]
    assert counts == [sum(moment >= "2025-12-02" for moment in moments(double)), 250]
    assert 0 < counts[0] < counts[1]
    assert ask(last_update_range="2025-01-01").status == 400


def test_udata_wants_a_right_key_or_none(play: Play) -> None:
    ask = play(Udata(key="secret"))

    assert ask(headers={"X-API-KEY": "wrong"}).status == 401
    assert ask(headers={"X-API-KEY": "secret"}).status == ask().status == 200


# --- GBIF


def test_gbif_lowers_a_limit_without_a_word(play: Play) -> None:
    ask = play(Gbif())

    assert ask().body["limit"] == 20
    reply = ask(limit=5000)
    assert (reply.status, len(reply.body["results"]), reply.body["count"]) == (200, 100, 1200)


def test_gbif_refuses_an_offset_from_its_cap_on(play: Play) -> None:
    ask = play(Gbif())

    assert ask(offset=999).status == 200
    assert ask(offset=1000).status == 400


def test_gbif_says_when_the_records_end(play: Play) -> None:
    ask = play(Gbif(count=40))

    assert [ask(offset=offset).body["endOfRecords"] for offset in (0, 20)] == [False, True]


def test_gbif_is_busy_and_says_only_sometimes_for_how_long(play: Play) -> None:
    ask = play(Gbif(busy_each=2))

    replies = [ask() for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 429, 200, 503]
    assert [reply.headers["Retry-After"] for reply in replies] == [None, "1", None, None]


# --- Zenodo


def test_zenodo_has_larger_pages_for_a_token(play: Play) -> None:
    ask = play(Zenodo())

    assert len(ask().body["hits"]["hits"]) == 25
    assert ask(size=26).status == 400
    assert len(ask(headers=bearer("token"), size=100).body["hits"]["hits"]) == 100
    assert ask(headers=bearer("token"), size=101).status == 400
    assert ask(headers=bearer("wrong")).status == 401


def test_zenodo_ends_at_a_record(play: Play) -> None:
    ask = play(Zenodo())

    assert ask(page=40, size=25).body["hits"]["total"] == 1200
    assert ask(page=41, size=25).status == 400


def test_zenodo_sorts_the_most_recent_first(play: Play) -> None:
    double = Zenodo()
    recent = moments(double, play(double)(sort="mostrecent").body["hits"]["hits"])

    assert recent == sorted(moments(double), reverse=True)[:25]


def test_zenodo_counts_searches_down_and_refuses_those_above(play: Play) -> None:
    ask = play(Zenodo(quota=Quota(30, 60), clock=lambda: NOON))

    replies = [ask(size=1) for _ in range(31)]
    assert [reply.status for reply in replies] == [200] * 30 + [429]
    assert [reply.headers["X-RateLimit-Remaining"] for reply in replies[28:]] == ["1", "0", "0"]
    assert {reply.headers["X-RateLimit-Reset"] for reply in replies} == {str(int(NOON) + 60)}


# --- Dataverse


def test_dataverse_mixes_in_other_kinds(play: Play) -> None:
    double = Dataverse()
    ask = play(double)

    mixed = ask(q="*", per_page=100).body["data"]
    assert {item["type"] for item in mixed["items"]} == {"dataset", "file"}
    datasets = ask(q="*", per_page=100, type="dataset").body["data"]
    assert {item["type"] for item in datasets["items"]} == {"dataset"}
    assert (mixed["total_count"], datasets["total_count"]) == (312, 250)


def test_dataverse_refuses_a_page_that_is_too_large(play: Play) -> None:
    ask = play(Dataverse())

    assert len(ask(q="*").body["data"]["items"]) == 10
    reply = ask(q="*", per_page=101)
    assert (reply.status, reply.body["status"]) == (400, "ERROR")


def test_dataverse_sorts_by_date(play: Play) -> None:
    double = Dataverse()
    ask = play(double)

    for order in ("asc", "desc"):
        items = ask(q="*", type="dataset", sort="date", order=order).body["data"]["items"]
        assert moments(double, items) == sorted(moments(double), reverse=order == "desc")[:10]


def test_dataverse_takes_its_key_in_a_header_or_in_the_query(play: Play) -> None:
    ask = play(Dataverse(key="secret"))

    assert ask(q="*").status == 401
    assert ask(q="*", key="secret").status == ask(headers={"X-Dataverse-key": "secret"}, q="*").status == 200


# --- Hugging Face


def test_huggingface_links_to_the_next_page_in_a_header(play: Play, client: Client) -> None:
    double = HuggingFace()
    reply = play(double)(limit=100, sort="createdAt")
    read = reply.body
    assert reply.headers["Link"].endswith('; rel="next"')
    while reply.headers["Link"]:
        reply = client.get(reply.headers["Link"].partition(">")[0].removeprefix("<"))
        read += reply.body

    assert read == double.records[::-1], "the newest first, over all pages"


def test_huggingface_counts_requests_down_in_each_answer(play: Play) -> None:
    double = HuggingFace(clock=lambda: NOON)
    ask = play(double)

    assert [ask(limit=1).headers["RateLimit"] for _ in range(2)] == ['"api";r=499;t=300', '"api";r=498;t=300']
    assert ask(limit=1).headers["RateLimit-Policy"] == '"fixed window";"api";q=500;w=300'


def test_huggingface_refuses_requests_above_its_limit_until_the_next_window(play: Play) -> None:
    now = NOON
    ask = play(HuggingFace(quota=Quota(2, 300), clock=lambda: now))
    statuses = [ask(limit=1).status for _ in range(2)]
    now += 299.5
    reply = ask(limit=1)
    now += 0.5

    assert [*statuses, reply.status, ask(limit=1).status] == [200, 200, 429, 200]
    assert reply.headers["RateLimit"] == '"api";r=0;t=1'


@pytest.mark.parametrize("double", [HuggingFace, DataCite])
def test_a_bearer_token_may_be_missing_but_not_wrong(play: Play, double: type[Double]) -> None:
    ask = play(double(key="secret"))

    assert ask(headers=bearer("wrong")).status == 401
    assert ask(headers=bearer("secret")).status == ask().status == 200


# --- Kaggle


def test_kaggle_moves_its_default_order_while_one_reads(play: Play) -> None:
    double = Kaggle()
    ask = play(double)

    first, second = (ask(headers=bearer("key"), page=page).body for page in (1, 2))
    assert (len(first), second[0]) == (20, first[-1])
    first, second = (ask(headers=bearer("key"), page=page, sortBy="updated").body for page in (1, 2))
    assert moments(double, first + second) == sorted(moments(double), reverse=True)[:40]


@pytest.mark.parametrize("wrapped", [False, True])
def test_kaggle_gives_an_array_or_datasets(play: Play, wrapped: bool) -> None:
    body = play(Kaggle(wrapped=wrapped))(headers=bearer("key"), page=13).body

    assert len(body["datasets"] if wrapped else body) == 10


def test_kaggle_asks_for_user_and_key(play: Play) -> None:
    ask = play(Kaggle(user="zofia", key="secret"))

    basic = base64.b64encode(b"zofia:secret").decode()
    assert ask(headers={"Authorization": f"Basic {basic}"}).status == ask(headers=bearer("secret")).status == 200
    assert ask().status == ask(headers=bearer("wrong")).status == 401


# --- Nasdaq Data Link


def test_nasdaq_sends_arrays_and_their_names_and_goes_on_by_a_cursor(play: Play) -> None:
    double = Nasdaq()
    ask = play(double)
    body = ask(api_key="key").body
    rows, sizes = list(body["datatable"]["data"]), [len(body["datatable"]["data"])]
    while cursor := body["meta"]["next_cursor_id"]:
        body = ask({"qopts.cursor_id": cursor}, headers={"x-api-token": "key"}).body
        rows += body["datatable"]["data"]
        sizes.append(len(body["datatable"]["data"]))

    assert sizes == [1000, 1000, 500]
    assert [column["name"] for column in body["datatable"]["columns"]] == list(COLUMNS)
    assert [dict(zip(COLUMNS, row, strict=True)) for row in rows] == double.records


def test_nasdaq_refuses_more_rows_than_its_limit(play: Play) -> None:
    ask = play(Nasdaq())

    assert ask({"qopts.per_page": 1001, "api_key": "key"}).status == 422
    assert ask().status == 400, "no key"


def test_nasdaq_takes_one_call_at_a_time_of_a_free_key(server: DoubleServer) -> None:
    server.play(Nasdaq(count=10, latency_seconds=0.1))

    def ask(_: int) -> int:
        with Client(server.port) as client:
            return client.get(Nasdaq.path, {"api_key": "key"}).status

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(ask, range(2))) == [200, 429]


def test_nasdaq_refuses_calls_above_300_in_10_seconds(play: Play) -> None:
    double = Nasdaq(count=1, clock=lambda: NOON)
    assert double.quota == Quota(300, 10)
    double.quota = Quota(3, 10)
    ask = play(double)

    assert [ask(api_key="key").status for _ in range(4)] == [200, 200, 200, 429]


# --- DataCite


def test_datacite_gives_the_same_page_again_beyond_its_cap(play: Play) -> None:
    ask = play(DataCite())

    def page(number: int) -> Any:
        return ask({"page[number]": number, "page[size]": 100}).body

    assert page(9)["data"] != page(10)["data"] == page(11)["data"] == page(12)["data"]
    assert page(11)["meta"]["total"] == 1200, "which is not capped"


def test_datacite_goes_beyond_the_cap_by_a_cursor(play: Play, client: Client) -> None:
    double = DataCite()
    body = play(double)({"page[cursor]": 1, "page[size]": 1000}).body
    read = body["data"]
    while following := body["links"].get("next"):
        body = client.get(following).body
        assert len(body["data"]) == 100
        read += body["data"]

    assert read == double.records


def test_datacite_sorts_by_what_changed(play: Play) -> None:
    double = DataCite()
    ask = play(double)

    for sort in ("updated", "-updated"):
        assert moments(double, ask(sort=sort).body["data"]) == sorted(moments(double), reverse=sort[0] == "-")[:25]


# --- Figshare


def test_figshare_refuses_offsets_beyond_its_cap_however_one_pages(play: Play) -> None:
    ask = play(Figshare())

    assert ask(offset=1000, limit=100).status == ask(page=11, page_size=100).status == 200
    assert ask(offset=1001, limit=100).status == ask(page=12, page_size=100).status == 422


def test_figshare_pages_by_number_as_by_offset(play: Play) -> None:
    ask = play(Figshare())

    assert ask(page=3, page_size=20).body == ask(offset=40, limit=20).body
    assert len(ask().body) == 10
    assert ask(page_size=101).status == 422


def test_figshare_searches_by_post_with_the_paging_in_the_body(play: Play, client: Client) -> None:
    double = Figshare()
    ask = play(double)

    reply = client.post(SEARCH, {"page": 2, "page_size": 30})
    assert reply.body == ask(page=2, page_size=30).body
    assert [record["published_date"] for record in reply.body] == [
        r["published_date"] for r in double.records[-31:-61:-1]
    ]
    assert client.get(SEARCH).status == 405


def test_figshare_finds_what_changed_since(play: Play, client: Client) -> None:
    double = Figshare(count=100)
    play(double)
    start, _ = two_moments(double)

    expected = {
        key for key, moment in zip(keys(double, double.records), moments(double), strict=True) if moment >= start
    }
    found = client.post(SEARCH, {"modified_since": start, "limit": 100}).body
    assert set(keys(double, found)) == expected
    assert 0 < len(expected) < 100


def test_figshare_takes_a_token_in_a_header_or_in_the_query(play: Play) -> None:
    ask = play(Figshare(key="secret"))

    assert ask(headers={"Authorization": "token secret"}).status == ask(access_token="secret").status == 200
    assert ask(headers={"Authorization": "token wrong"}).status == ask(access_token="wrong").status == 403


# --- OpenML


def test_openml_pages_in_the_path(server: DoubleServer, client: Client) -> None:
    double = OpenMl()
    server.play(double)

    assert client.get("/data/list/limit/20/offset/240").body == {"data": {"dataset": double.records[240:]}}
    ids = keys(double, double.records)
    assert ids != sorted(ids)


def test_openml_has_an_error_beyond_the_end(server: DoubleServer, client: Client) -> None:
    server.play(OpenMl())

    reply = client.get("/data/list/limit/20/offset/250")
    assert (reply.status, reply.body["error"]["code"]) == (412, "372")


def test_openml_takes_its_key_in_the_query(play: Play) -> None:
    ask = play(OpenMl(key="secret"))

    assert ask(api_key="secret").status == 200
    assert ask().body["error"]["code"] != "372", "which would be an end"


# --- data.world


def test_dataworld_goes_on_by_a_token_in_the_body(play: Play) -> None:
    double = DataWorld()
    ask = play(double)
    body = ask(headers=bearer("token"), limit=50, sort="-updated").body
    read = body["records"]
    while following := body.get("nextPageToken"):
        body = ask(headers=bearer("token"), limit=50, sort="-updated", next=following).body
        read += body["records"]

    assert moments(double, read) == sorted(moments(double), reverse=True)
    assert ask().status == 401


# --- STAC


def test_stac_links_to_the_next_page(play: Play, client: Client) -> None:
    double = Stac(count=25)
    body = play(double)().body
    read = body["features"]
    while following := [link for link in body["links"] if link["rel"] == "next"]:
        body = client.get(following[0]["href"]).body
        read += body["features"]

    assert read == double.records
    assert len(body["features"]) == 5, "pages of 10"


def test_stac_carries_a_body_in_the_next_link_of_a_post(server: DoubleServer, client: Client) -> None:
    double = Stac(count=25)
    server.play(double)
    body = client.post(Stac.path, {"limit": 20}).body
    following = body["links"][-1]

    assert (following["rel"], following["method"], following["body"]["limit"]) == ("next", "POST", 20)
    assert client.post(following["href"], following["body"]).body["features"] == double.records[20:]


@pytest.mark.parametrize("counts", [True, False])
def test_stac_may_have_a_total(play: Play, counts: bool) -> None:
    assert play(Stac(counts=counts))().body.get("numberMatched") == (250 if counts else None)


def test_stac_filters_by_when_something_was_observed_and_not_changed(play: Play) -> None:
    double = Stac()
    ask = play(double)
    observed = [record["properties"]["datetime"] for record in double.records]

    assert ask(datetime=f"{observed[10]}/{observed[20]}", limit=100).body["features"] == double.records[10:21]
    assert ask(datetime=f"../{observed[20]}", limit=100).body["features"] == double.records[:21]
    assert ask(datetime=f"{min(moments(double))}/..").body["numberMatched"] == 0, "all changed after they were observed"


# --- World Bank


def test_worldbank_gives_xml_unless_asked_for_json(play: Play) -> None:
    ask = play(WorldBank())

    reply = ask()
    assert reply.headers["Content-Type"].startswith("application/xml")
    assert ElementTree.fromstring(reply.text).attrib["total"] == "250"
    assert ask(format="json").headers["Content-Type"] == "application/json"


def test_worldbank_gives_an_array_of_what_is_known_and_the_rows(play: Play) -> None:
    double = WorldBank()
    meta, rows = play(double)(format="json", page=2).body

    assert meta == {"page": 2, "pages": 5, "per_page": "50", "total": 250}
    assert rows == double.records[50:100]


# --- windows of those that have them


@pytest.mark.parametrize(
    ("double", "window", "total"),
    [
        (Ckan(), {"fq": "metadata_modified:[{} TO {}]"}, lambda body: body["result"]["count"]),
        (Gbif(), {"modifiedDate": "{},{}"}, lambda body: body["count"]),
        (Zenodo(), {"q": "updated:[{} TO {}]"}, lambda body: body["hits"]["total"]),
        (
            Dataverse(),
            {"q": "*", "type": "dataset", "fq": "dateSort:[{} TO {}]"},
            lambda body: body["data"]["total_count"],
        ),
        (DataCite(), {"query": "updated:[{} TO {}]"}, lambda body: body["meta"]["total"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Double) else "",
)
def test_a_window_includes_both_ends(
    play: Play, double: Double, window: dict[str, str], total: Callable[[Any], int]
) -> None:
    ask = play(double)
    start, end = two_moments(double)

    def found(start: str, end: str) -> int:
        return total(ask({name: value.format(start, end) for name, value in window.items()}).body)

    assert found(start, end) == sum(start <= moment <= end for moment in moments(double)) > 4
    assert found(start, start) == 2
    assert found(start, "*") + found("*", start) == len(double.records) + 2


def test_a_brace_excludes_its_end(play: Play) -> None:
    double = DataCite()
    ask = play(double)
    start, end = two_moments(double)

    counts = [ask(query=f"updated:{a}{start} TO {end}{b}").body["meta"]["total"] for a, b in ("[]", "[}", "{]", "{}")]
    assert counts == [counts[0], counts[0] - 2, counts[0] - 2, counts[0] - 4]


def test_a_day_as_an_end_is_all_of_it(play: Play) -> None:
    double = Zenodo()
    total = play(double)(q="updated:[2025-03-01 TO 2025-03-02]").body["hits"]["total"]

    assert total == sum("2025-03-01" <= moment < "2025-03-03" for moment in moments(double))
    assert total > 0


# --- parents and children


def test_publishers_have_datasets_and_some_have_none(server: DoubleServer, client: Client) -> None:
    double = Publishers(limit_cap=4)
    server.play(double)

    assert client.get(Publishers.path, {"offset": 48}).body == {"data": double.records[48:], "total": 50}
    assert client.get(f"{Publishers.path}/publisher-7/datasets").body == {"data": [], "total": 0}
    first, second = (
        client.get(f"{Publishers.path}/publisher-6/datasets", {"offset": offset}).body for offset in (0, 4)
    )
    assert first["data"] + second["data"] == double.children["publisher-6"]
    assert (len(first["data"]), first["total"]) == (4, 6)


def test_a_publisher_that_vanished_is_in_the_list_and_has_no_place(server: DoubleServer, client: Client) -> None:
    double = Publishers(key="secret")
    double.vanished.add("publisher-3")
    server.play(double)

    assert client.get(Publishers.path).status == 401
    assert len(client.get(Publishers.path, {"api_key": "secret"}).body["data"]) == 50
    assert client.get(f"{Publishers.path}/publisher-3/datasets", {"api_key": "secret"}).status == 404
    assert client.get(f"{Publishers.path}/publisher-4/datasets", {"api_key": "secret"}).status == 200


def test_latency_passes_before_each_answer(server: DoubleServer, client: Client) -> None:
    server.play(Publishers(latency_seconds=0.05))
    answered: list[float] = []
    server.script(lambda request: answered.append(request.at_seconds))

    client.get(Publishers.path)
    client.get(Publishers.path)
    assert answered[1] - answered[0] >= 0.05


def test_requests_can_come_side_by_side(server: DoubleServer) -> None:
    double = Publishers(latency_seconds=0.05)
    server.play(double)
    seen: list[int] = []

    def respond(request: Request, serving: Any) -> Answer:
        seen.append(serving.side_by_side)
        return Answer(200, {})

    double.respond = respond  # type: ignore[method-assign]

    def ask(_: int) -> None:
        with Client(server.port) as client:
            client.get(Publishers.path)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(4)))
    assert max(seen) > 1
