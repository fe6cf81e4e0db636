"""A read is proven against servers that behave as public APIs do: one behaviour each, named after what it does."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from include.errors import PermanentError, ResponseShapeError
from include.extract.failures import RefusedRequest
from tests.support.api_server import Answer, ApiServer, Request, numbered
from tests.unit.conftest import Loader, innermost

Behaviour = Callable[[ApiServer, Request], Answer | None]


@pytest.fixture(scope="module")
def shared() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def server(shared: ApiServer) -> ApiServer:
    """The one server of this module, as new."""
    shared.reset()
    return shared


def ids(records: list[dict[str, Any]]) -> list[Any]:
    return [record["id"] for record in records]


def at(server: ApiServer, request: Request, offset: int) -> Answer:
    """The normal page at another offset than was asked for."""
    return server.page(Request(**{**vars(request), "offset": offset}))


def behaves(server: ApiServer, behaviour: Behaviour, count: int, total_at: str | None = "total") -> None:
    server.records, server.total_at = numbered(count), total_at
    server.script(lambda request: behaviour(server, request))


def refusal(loader: Loader, server: ApiServer, **options: Any) -> BaseException:
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read(server, **options)
    return innermost(caught.value)


# --- offsets between whole pages


def answers_on_a_grid(server: ApiServer, request: Request) -> Answer:
    return at(server, request, (request.offset or 0) // 100 * 100)


def refuses_an_offset_between_pages(server: ApiServer, request: Request) -> Answer | None:
    return Answer(400, {"error": "offset has to be a multiple of limit"}) if (request.offset or 0) % 100 else None


def answers_on_a_grid_of_two(server: ApiServer, request: Request) -> Answer:
    return at(server, request, (request.offset or 0) // 2 * 2)


def refuses_an_odd_offset(server: ApiServer, request: Request) -> Answer | None:
    return Answer(400) if (request.offset or 0) % 2 else None


def inserts_in_front_before_the_second_page(server: ApiServer, request: Request) -> None:
    if request.offset and server.records[0]["id"] == 0:
        server.records.insert(0, {"id": -1})


@pytest.mark.parametrize("behaviour", [answers_on_a_grid, refuses_an_offset_between_pages])
@pytest.mark.parametrize("total_at", ["total", None])
@pytest.mark.parametrize("count", [7, 99, 101, 250, 199, 350])
@pytest.mark.parametrize("parallel", [1, 8])
def test_an_api_of_whole_pages_is_recognised_at_the_second(
    loader: Loader, server: ApiServer, behaviour: Behaviour, total_at: str | None, count: int, parallel: int
) -> None:
    behaves(server, behaviour, count, total_at)
    assert ids(loader.read(server, max_parallel_requests=parallel)) == list(range(count))
    assert loader.progress.passes == 1
    # The question that shows it, one that confirms it, one that finds the end; without a total also what was asked ahead.
    beyond = 3 if total_at or parallel == 1 else 3 + parallel - 1
    assert server.count() <= -(-count // 100) + beyond
    assert "did not overlap" in loader.progress.notes.get("not_proven", "") or count <= 100


@pytest.mark.parametrize("count", [100, 200])
def test_an_api_of_whole_pages_without_a_total_is_read_where_the_last_page_is_full(
    loader: Loader, server: ApiServer, count: int
) -> None:
    behaves(server, answers_on_a_grid, count, None)
    assert ids(loader.read(server)) == list(range(count))


@pytest.mark.parametrize("behaviour", [answers_on_a_grid_of_two, refuses_an_odd_offset])
@pytest.mark.parametrize("count", [1, 2, 3, 6, 7])
def test_whole_pages_of_two_are_read_too(loader: Loader, server: ApiServer, behaviour: Behaviour, count: int) -> None:
    behaves(server, behaviour, count)
    assert ids(loader.read(server, page_size=2)) == list(range(count))
    behaves(server, behaviour, count, None)
    assert ids(loader.read(server, page_size=2, overlap=False)) == list(range(count))


def test_a_record_that_comes_in_front_of_pages_of_two_is_no_grid(loader: Loader, server: ApiServer) -> None:
    behaves(server, inserts_in_front_before_the_second_page, 7)
    assert sorted(ids(loader.read(server, page_size=2))) == [-1, *range(7)]


def test_an_api_that_ignores_offsets_is_refused_with_pages_of_two(loader: Loader, server: ApiServer) -> None:
    behaves(server, lambda server, request: at(server, request, 0), 7)
    assert "ignore `offset`" in str(refusal(loader, server, page_size=2))


@pytest.mark.parametrize("what", ["204", "the JSON null", "an empty object", "404"])
def test_emptiness_behind_a_short_page_is_the_end_without_a_total(loader: Loader, server: ApiServer, what: str) -> None:
    def whole_pages(server: ApiServer, request: Request) -> Answer:
        return BEYOND[what] if (request.offset or 0) >= 300 else answers_on_a_grid(server, request)

    behaves(server, whole_pages, 250, None)
    assert ids(loader.read(server)) == list(range(250))
    assert ids(loader.read(server, overlap=False)) == list(range(250))
    # Behind a full page it may as well be a largest offset.
    behaves(server, whole_pages, 300, None)
    assert isinstance(refusal(loader, server, overlap=False), PermanentError)


def test_an_error_behind_a_short_page_without_a_total_is_no_end(loader: Loader, server: ApiServer) -> None:
    def says_why_not(server: ApiServer, request: Request) -> Answer | None:
        return BEYOND["an error object"] if (request.offset or 0) >= 250 else None

    behaves(server, says_why_not, 250, None)
    assert isinstance(refusal(loader, server, overlap=False), ResponseShapeError)


def test_an_error_behind_a_full_page_without_a_total_is_no_end(loader: Loader, server: ApiServer) -> None:
    """Figshare: 422 beyond a largest offset, and no total."""
    behaves(server, lambda _, request: Answer(422) if (request.offset or 0) > 150 else None, 350, None)
    assert isinstance(refusal(loader, server), RefusedRequest)
    assert isinstance(refusal(loader, server, overlap=False), RefusedRequest)


# --- beyond the end


BEYOND: dict[str, Any] = {
    "404": Answer(404, {"error": "no such page"}),
    "416": Answer(416),
    "422": Answer(422, {"errors": ["offset too large"]}),
    "410": Answer(410),
    "an empty array": Answer(200, {"data": [], "total": 250}),
    "null": Answer(200, {"data": None, "total": 250}),
    "no array": Answer(200, {"total": 250}),
    "an error object": Answer(200, {"error": "nothing more"}),
    "HTML": Answer(200, "<html>nothing</html>"),
    "an empty object": Answer(200, {}),
    "the JSON null": Answer(200, "null"),
    "an empty array at the top": Answer(200, []),
    "204": Answer(204, ""),
}


@pytest.mark.parametrize("what", BEYOND)
def test_what_an_api_says_beyond_the_end_may_be_odd(loader: Loader, server: ApiServer, what: str) -> None:
    behaves(server, lambda _, request: BEYOND[what] if (request.offset or 0) >= 250 else None, 250)
    for options in ({"overlap": False}, {"overlap": True}, {"overlap": False, "max_parallel_requests": 4}):
        assert ids(loader.read(server, **options)) == list(range(250))


@pytest.mark.parametrize("what", [what for what in BEYOND if what not in ("an empty array", "null")])
def test_the_same_before_the_end_is_an_error(loader: Loader, server: ApiServer, what: str) -> None:
    behaves(server, lambda _, request: BEYOND[what] if (request.offset or 0) >= 200 else None, 250)
    failure = refusal(loader, server, overlap=False)
    assert isinstance(failure, PermanentError), failure
    # At once, for what came, and not in a later pass for what is missing.
    assert loader.progress.passes == 1


def test_a_500_beyond_the_end_is_the_end_where_all_is_read(
    loader: Loader, server: ApiServer, waits: list[float]
) -> None:
    behaves(server, lambda _, request: Answer(500) if (request.offset or 0) >= 250 else None, 250)
    assert ids(loader.read(server, overlap=False)) == list(range(250))


def repeats_its_last_page(server: ApiServer, request: Request) -> Answer:
    """DataCite, json-server 1: a page number beyond the end is clamped."""
    return at(server, request, min(request.offset or 0, (len(server.records) - 1) // 100 * 100))


@pytest.mark.parametrize("total_at", ["total", None])
def test_the_last_page_for_ever_is_an_end_after_new_pages(
    loader: Loader, server: ApiServer, total_at: str | None
) -> None:
    behaves(server, repeats_its_last_page, 250, total_at)
    assert ids(loader.read(server, overlap=False)) == list(range(250))


def test_the_last_page_for_ever_is_no_end_where_more_is_promised(loader: Loader, server: ApiServer) -> None:
    behaves(server, lambda server, request: at(server, request, min(request.offset or 0, 200)), 500)
    failure = refusal(loader, server, overlap=False)
    assert isinstance(failure, ResponseShapeError)
    assert "promises 500 records at `total` and gives 300" in str(failure)
    # Two passes, not three, and no four retries of them.
    assert server.count(offset=0) == 2


# --- totals


@pytest.mark.parametrize("total", [0, 1, 100, 200, 249])
def test_a_total_below_what_comes_is_no_count_and_said(loader: Loader, server: ApiServer, total: int) -> None:
    """Seen: `total: 200` for 1,200 records, 300 loaded, green."""
    behaves(server, lambda server, request: Answer(200, server.page(request).body | {"total": total}), 250)
    for parallel in (1, 8):
        assert ids(loader.read(server, max_parallel_requests=parallel)) == list(range(250))
        assert loader.progress.notes["total_is_no_count"] == f"promised {total}, read 250"


def test_a_total_may_be_in_a_header(loader: Loader, server: ApiServer) -> None:
    behaves(
        server,
        lambda server, request: Answer(200, server.page(request).body, {"x-total-count": "250"}),
        250,
        None,
    )
    assert len(loader.read(server, total_path="header:X-Total-Count")) == 250
    assert loader.progress.promised_rows == 250
    assert len(loader.read(server, total_path="header:X-Other")) == 250
    assert loader.progress.promised_rows is None


@pytest.mark.parametrize(
    "place",
    [
        *("count", "meta.total", "pagination.total_count", "page.totalElements", "TotalCount", "Meta.total-count"),
        *("result.count", "response.numFound", "hits.total.value", "recordsTotal", "@odata.count"),
    ],
)
@pytest.mark.parametrize("number", [500, 500.0, "500"])
def test_a_larger_total_by_another_name_is_heard_where_nobody_has_set_one(
    loader: Loader, server: ApiServer, place: str, number: Any
) -> None:
    *holder, name = ["@odata.count"] if place[0] == "@" else place.split(".")
    told: Any = {name: number}
    for outer in reversed(holder):
        told = {outer: told}
    behaves(server, lambda server, request: Answer(200, server.page(request).body | told), 250, None)
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    said = str(failure).replace('"', "")
    assert f"500 at `{place}`" in said
    assert "`total_path`" in said
    # An empty text says that it is none.
    assert len(loader.read(server, total_path="")) == 250
    # And what the sentence names is a path that can be set.
    (path,) = set(re.findall(r" at `([^`]*)`:", str(failure)))
    assert "promises 500 records" in str(refusal(loader, server, total_path=path))


def test_the_count_of_the_page_is_no_larger_total(loader: Loader, server: ApiServer) -> None:
    behaves(
        server,
        lambda server, request: Answer(200, (body := server.page(request).body) | {"count": len(body["data"])}),
        250,
        None,
    )
    assert len(loader.read(server)) == 250


# --- what the last answer says about more

MORE: dict[str, Any] = {
    "next": {"next": "https://api.example.org/v1/datasets?cursor=abc"},
    "next_url": {"next_url": "/v1/datasets?page=2"},
    "next_page": {"next_page": 2},
    "links.next": {"links": {"next": "/v1/datasets?page=2"}},
    "_links.next": {"_links": {"next": {"href": "/v1/datasets?page=2"}}},
    "links[rel=next]": {"links": [{"rel": "self", "href": "/"}, {"rel": "next", "href": "/2"}]},
    "meta.next_cursor_id": {"meta": {"next_cursor_id": "abc"}},
    "nextPageToken": {"nextPageToken": "abc"},
    "response_metadata.next_cursor": {"response_metadata": {"next_cursor": "abc"}},
    "has_more": {"has_more": True},
    "pagination.hasNext": {"pagination": {"hasNext": True}},
    "paging.next": {"paging": {"next": "/v1/datasets?after=abc"}},
    "pageInfo.hasNextPage": {"pageInfo": {"hasNextPage": True}},
    "result.has_more": {"result": {"has_more": "true"}},
    "Next-Page": {"Next-Page": 2},
    "next as an object": {"next": {"url": "/v1/datasets?page=2"}},
    "@odata.nextLink": {"@odata.nextLink": "/v1/datasets?$skiptoken=abc"},
}


@pytest.mark.parametrize("total", [True, "500 or so", "-1", "", 250.5, 250, "250", None, [500], "9" * 5000])
def test_what_is_no_larger_number_is_no_larger_total(loader: Loader, server: ApiServer, total: Any) -> None:
    behaves(server, lambda server, request: Answer(200, server.page(request).body | {"count": total}), 250, None)
    assert len(loader.read(server)) == 250


@pytest.mark.parametrize("place", MORE)
@pytest.mark.parametrize("total_at", ["total", None])
def test_an_end_is_refused_while_the_answer_says_that_there_is_more(
    loader: Loader, server: ApiServer, place: str, total_at: str | None
) -> None:
    behaves(server, lambda server, request: Answer(200, server.page(request).body | MORE[place]), 150, total_at)
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert f"`{place.removesuffix(' as an object')}`" in str(failure).replace('"', "")
    assert "api.example.org" not in str(failure)


@pytest.mark.parametrize(
    "parameters",
    [
        '; rel="next"',
        ";rel=next",
        '; rel="prev next"',
        '; REL="Next"',
        '; title="a=b, <c>"; rel="next"',
        "; a; rel=next",
    ],
)
def test_a_link_header_says_so_too(loader: Loader, server: ApiServer, parameters: str) -> None:
    link = {
        "Link": f'<https://api.example.org/>; rel="self", <https://api.example.org/v1/datasets?cursor=abc>{parameters}'
    }
    behaves(server, lambda server, request: Answer(200, server.page(request).body, link), 150)
    assert 'Link: rel="next"' in str(refusal(loader, server))


@pytest.mark.parametrize(
    "link", ['<http://x/2>; rel="last"', '<http://x/2>; rel="nextish"', "<>; rel=next", "next", '<<<"']
)
def test_a_link_header_to_elsewhere_says_nothing(loader: Loader, server: ApiServer, link: str) -> None:
    behaves(server, lambda server, request: Answer(200, server.page(request).body, {"Link": link}), 150)
    assert len(loader.read(server)) == 150


@pytest.mark.parametrize("none", [None, "", False, 0, {"href": None}, [], {}])
def test_an_answer_that_says_there_is_no_more_is_believed(loader: Loader, server: ApiServer, none: Any) -> None:
    told = {"next": none, "has_more": False, "links": {"next": none}, "meta": {"next_cursor": none}}
    behaves(server, lambda server, request: Answer(200, server.page(request).body | told), 150)
    assert len(loader.read(server)) == 150


def test_a_link_that_only_counts_on_says_nothing(loader: Loader, server: ApiServer) -> None:
    def counts_on(server: ApiServer, request: Request) -> Answer:
        link = f"{server.url}/v1/datasets?offset={(request.offset or 0) + 100}&limit=100"
        return Answer(200, server.page(request).body | {"next": link})

    behaves(server, counts_on, 150)
    assert len(loader.read(server)) == 150


def test_a_link_that_only_counts_on_hides_no_other(loader: Loader, server: ApiServer) -> None:
    def counts_on(server: ApiServer, request: Request) -> Answer:
        link = f"{server.url}/v1/datasets?offset={(request.offset or 0) + 100}&limit=100"
        elsewhere = {"Link": '<https://api.example.org/v1/datasets?cursor=abc>; rel="next"'}
        return Answer(200, server.page(request).body | {"next": link}, elsewhere)

    behaves(server, counts_on, 150)
    assert 'Link: rel="next"' in str(refusal(loader, server))


# --- keys


def test_several_fields_may_tell_records_apart_together(loader: Loader, server: ApiServer) -> None:
    server.records = [{"year": 2000 + number // 12, "month": number % 12} for number in range(250)]
    assert len(loader.read(server, primary_key=["year", "month"])) == 250
    assert loader.progress.rows == 250
    assert "The primary key does not tell records apart" in str(refusal(loader, server, primary_key="year"))


@pytest.mark.parametrize("key", ["meta.id", '["meta.id"]'])
def test_a_key_may_be_inside_an_object(loader: Loader, server: ApiServer, key: str) -> None:
    server.records = [{"meta": {"id": number}} for number in range(250)]
    loader.run(server, primary_key=key)
    loader.run(server, primary_key=key)
    assert loader.query("SELECT count(*), count(DISTINCT meta__id) FROM datasets") == [(250, 250)]
    server.records[7] = {"meta": {}}
    assert "primary key `meta.id` is nothing" in str(refusal(loader, server, primary_key=key))


def test_a_field_with_a_dot_in_its_own_name_is_no_key(loader: Loader, server: ApiServer) -> None:
    server.records = [{"a.b": 1}]
    assert "set the option `primary_key` to another one" in str(refusal(loader, server, primary_key="a.b"))


@pytest.mark.parametrize("key", ["user-id", "userId", "Meta.Id"])
def test_a_key_whose_column_has_another_name_is_merged_on_without_a_warning(
    loader: Loader, server: ApiServer, key: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # dlt's logger hands nothing on.
    monkeypatch.setattr(logging.getLogger("dlt"), "propagate", True)
    name, _, inner = key.partition(".")
    server.records = [{name: {inner: number} if inner else number} for number in range(150)]
    for _ in range(2):
        loader.run(server, primary_key=key)
    assert loader.query("SELECT count(*) FROM datasets") == [(150,)]
    assert "collides" not in caplog.text


def test_several_fields_are_merged_on(loader: Loader, server: ApiServer) -> None:
    server.records = [{"year": 2000 + number // 12, "month": number % 12, "v": 1} for number in range(150)]
    loader.run(server, primary_key=["year", "month"])
    server.records = [{**record, "v": 2} for record in server.records]
    loader.run(server, primary_key=["year", "month"])
    assert loader.query("SELECT count(*), min(v) FROM datasets") == [(150, 2)]


@pytest.mark.parametrize("selector", ["data[*]", "$.data[*]", "$.data", "data"])
def test_a_selector_may_name_the_array_or_its_records(loader: Loader, server: ApiServer, selector: str) -> None:
    for count in (0, 1, 150):
        server.records = numbered(count)
        assert ids(loader.read(server, data_selector=selector)) == list(range(count))


# --- the key of the API


def test_an_api_that_needs_no_key_gets_none(loader: Loader, server: ApiServer) -> None:
    """Feathers, Datasette, json-server: an unknown parameter is a filter, so that a key empties the answer."""
    behaves(server, lambda _, request: Answer(200, {"data": []}) if "api_key" in request.query else None, 150)
    assert loader.read(server) == []
    assert len(loader.read(server, auth="none", api_key=None)) == 150
    assert all("Authorization" not in request.headers for request in server.requests)


def test_a_bearer_token_goes_into_its_header(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(3)
    loader.read(server, auth="bearer", api_key="a-token")
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer a-token"}
    assert all("a-token" not in request.target for request in server.requests)
