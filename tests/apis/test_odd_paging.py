"""APIs that page in odd ways: the end is where it is, a read has an end, and what cannot be is said in a sentence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from dlt.sources.helpers.rest_client import paginators as of_dlt

from include.apis.api import Api
from include.errors import PermanentError
from include.extract.paginators import following
from tests.apis.double import token
from tests.apis.paged import Paged
from tests.apis.serving import Serving
from tests.apis.test_paging import BY_CURSOR, BY_HEADER_CURSOR, BY_LINK, BY_NUMBER, BY_OFFSET, Reader, declared, reader
from tests.support.api_server import Answer, Request

__all__ = ["reader"]

ALL = list(range(60))
Change = Callable[[Request, Answer], Answer]


@dataclass
class Odd(Paged):
    """Gives what `change` makes of the usual answer."""

    change: Change = field(default=lambda _, answer: answer)

    def respond(self, request: Request, serving: Serving) -> Answer:
        return self.change(request, super().respond(request, serving))


def fields(**changed: Any) -> Change:
    """Other fields in each body; a callable is given the request and the body, and None from it is no field."""

    def change(request: Request, answer: Answer) -> Answer:
        made = {name: value(request, answer.body) if callable(value) else value for name, value in changed.items()}
        return Answer(200, {**answer.body, **made}, answer.headers)

    return change


def at_the_end(**changed: Any) -> Change:
    """Other fields in the last body alone."""
    names = ("next", "next_cursor")
    return lambda request, answer: (
        answer if any(name in answer.body for name in names) else fields(**changed)(request, answer)
    )


def headers_at_the_end(**changed: str) -> Change:
    return lambda _, answer: (
        answer
        if answer.headers
        else Answer(200, answer.body, {name.replace("_", "-"): value for name, value in changed.items()})
    )


def link_as(change: Callable[[str], Any]) -> Change:
    """The next link, written in another way."""
    return lambda _, answer: (
        Answer(200, {**answer.body, "next": change(answer.body["next"])}) if "next" in answer.body else answer
    )


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


def beyond(status: int, body: Any = None, first: int = 0) -> Change:
    """Another answer for pages beyond the sixth."""
    return lambda request, answer: (
        Answer(status, {"error": "no"} if body is None else body)
        if int(request.query.get("page", first)) >= 6 + first or int(request.query.get("offset", 0)) >= 60
        else answer
    )


def clamped(first: int) -> Change:
    """Page numbers beyond either end are taken for that end."""

    def change(request: Request, answer: Answer) -> Answer:
        page = max(first, min(int(request.query["page"]), first + 5)) - first
        return Answer(200, {**answer.body, "data": [Paged.record(at) for at in range(page * 10, page * 10 + 10)]})

    return change


@dataclass(frozen=True)
class Case:
    """`pages_by`: the kind of the double. `endpoint`: what the declaration has beside the paginator."""

    name: str
    paginator: Any
    pages_by: str
    change: Change = field(default=lambda _, answer: answer)
    total: str | None = None
    first_page: int = 0
    count: int = 60
    endpoint: dict[str, Any] = field(default_factory=dict)

    def read(self, reader: Reader, **extra: Any) -> list[int]:
        double = Odd(
            kind=self.pages_by, total=self.total, first_page=self.first_page, count=self.count, change=self.change
        )
        return reader.read(declared(self.paginator, **self.endpoint), double, **extra)


FROM_ONE = {**BY_NUMBER, "base_page": 1}
PAGES = {**BY_NUMBER, "total_path": "pages"}
NO_TOTAL = {**BY_OFFSET, "total_path": None}
MORE = "more"


def is_not_last(_: Request, body: Any) -> bool:
    return bool(body["data"]) and body["data"][-1]["id"] < 59


WHOLE = [
    Case("next is null", BY_LINK, "json_link", at_the_end(next=None)),
    Case("next is an empty text", BY_LINK, "json_link", at_the_end(next="")),
    Case("next is false", BY_LINK, "json_link", at_the_end(next=False)),
    Case("next is a path", BY_LINK, "json_link", link_as(path_of)),
    Case("next is a query", BY_LINK, "json_link", link_as(lambda link: "?" + link.split("?")[1])),
    Case("next is a relative path", BY_LINK, "json_link", link_as(lambda link: path_of(link)[1:])),
    Case(
        "next is in an object, as declared",
        {**BY_LINK, "next_url_path": "next.href"},
        "json_link",
        link_as(lambda link: {"href": link}),
    ),
    Case("the cursor is null", BY_CURSOR, "cursor", at_the_end(next_cursor=None)),
    Case("the cursor is an empty text", BY_CURSOR, "cursor", at_the_end(next_cursor="")),
    Case("the cursor is 0", BY_CURSOR, "cursor", at_the_end(next_cursor=0)),
    Case(
        "more is false, with a cursor beside it",
        {**BY_CURSOR, "has_more_path": MORE},
        "cursor",
        fields(more=is_not_last, next_cursor=lambda _, body: body.get("next_cursor", token(60))),
    ),
    Case(
        "an empty page in the middle, with a cursor",
        BY_CURSOR,
        "cursor",
        lambda request, answer: (
            answer if "cursor" in request.query else Answer(200, {"data": [], "next_cursor": token(0)})
        ),
    ),
    Case("the header Link is empty", "header_link", "header_link", headers_at_the_end(Link="")),
    Case("the header Link has others", "header_link", "header_link", headers_at_the_end(Link='</items>; rel="prev"')),
    Case("the cursor's header is empty", BY_HEADER_CURSOR, "header_cursor", headers_at_the_end(X_Next="")),
    Case("pages are clamped", BY_NUMBER, "page_number", clamped(0)),
    Case("pages from 1 are clamped", FROM_ONE, "page_number", clamped(1), first_page=1),
    Case("404 beyond the end", BY_NUMBER, "page_number", beyond(404)),
    Case("400 beyond the promised pages", PAGES, "page_number", beyond(400), "pages"),
    Case("no array beyond the promised pages", PAGES, "page_number", beyond(200, {"data": []}), "pages"),
    Case("an empty collection of no pages", PAGES, "page_number", total="pages", count=0),
    Case("more is false, by number", {**BY_NUMBER, "has_more_path": MORE}, "page_number", fields(more=is_not_last)),
    Case("404 beyond the last offset", NO_TOTAL, "offset", beyond(404)),
    Case("null beyond the last offset", NO_TOTAL, "offset", beyond(200, {"data": None})),
    Case("more is false, by offset", {**NO_TOTAL, "has_more_path": MORE}, "offset", fields(more=is_not_last)),
    Case(
        "a list at the top",
        BY_NUMBER,
        "page_number",
        lambda _, answer: Answer(200, answer.body["data"]),
        endpoint={"data_selector": "$"},
    ),
    Case(
        "a list at the top, and no selector",
        BY_NUMBER,
        "page_number",
        lambda _, answer: Answer(200, answer.body["data"]),
        endpoint={"data_selector": None},
    ),
    Case(
        "offsets in a body",
        {**BY_OFFSET, "offset_body_path": "offset", "limit_body_path": "limit"},
        "offset",
        total="records",
        endpoint={"method": "POST", "json": {"query": "*"}},
    ),
    Case(
        "page numbers in a body",
        {"type": "page_number", "base_page": 0, "page_body_path": "page"},
        "page_number",
        endpoint={"method": "POST"},
    ),
    Case(
        "cursors in a body",
        {"type": "cursor", "cursor_path": "next_cursor", "cursor_body_path": "cursor"},
        "cursor",
        endpoint={"method": "POST", "json": {"query": "*"}},
    ),
    Case("dlt's object of offsets", of_dlt.OffsetPaginator(limit=10), "offset", total="records"),
    Case("dlt's object of numbers", of_dlt.PageNumberPaginator(base_page=0, total_path=None), "page_number"),
    Case("dlt's object of cursors", of_dlt.JSONResponseCursorPaginator("next_cursor", "cursor"), "cursor"),
    Case("dlt's object of links", of_dlt.JSONLinkPaginator("next"), "json_link", at_the_end(next="")),
    Case("dlt's object of links in a header", of_dlt.HeaderLinkPaginator(), "header_link"),
    Case("dlt's object of cursors in a header", of_dlt.HeaderCursorPaginator("X-Next", "cursor"), "header_cursor"),
    Case("dlt's object of one page", of_dlt.SinglePagePaginator(), "single_page"),
    Case("links in a header, guessed", "auto", "header_link"),
    Case("cursors, guessed", "auto", "cursor"),
]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_it_is_read_whole(case: Case, reader: Reader) -> None:
    assert case.read(reader) == ALL[: case.count], reader.failure
    # The end is found, and not tried for again and again.
    assert len(reader.server.requests) <= 17


RED = [
    (Case("next is the page itself", BY_LINK, "json_link", at_the_end(next="#")), "was read already"),
    (Case("next is an object", BY_LINK, "json_link", link_as(lambda link: {"href": link})), "has an object at `next`"),
    (Case("next is a number", BY_LINK, "json_link", link_as(lambda _: 2)), "has a number at `next`"),
    (Case("next is on another host", BY_LINK, "json_link", link_as(lambda _: "http://127.0.0.9/")), "another host"),
    (
        Case(
            "the cursor stays the same",
            BY_CURSOR,
            "cursor",
            at_the_end(next_cursor=lambda request, _: request.query["cursor"]),
        ),
        "was read already",
    ),
    (
        Case("Link names the page itself", "header_link", "header_link", headers_at_the_end(Link='<#>; rel="next"')),
        "was read already",
    ),
    (Case("more is not there", {**BY_CURSOR, "has_more_path": MORE}, "cursor"), "paginator `cursor` looks for"),
    (
        Case("more is always true", {**BY_NUMBER, "has_more_path": MORE}, "page_number", fields(more=True)),
        "there are more",
    ),
    (Case("pages from 1, not 0, are clamped", BY_NUMBER, "page_number", clamped(1)), "or `base_page` to 1"),
    (Case("pages from 0, not 1", FROM_ONE, "page_number", total="records"), "the last answer has 60 at `total`"),
    (Case("400 behind a full page", BY_NUMBER, "page_number", beyond(400)), "answered 400"),
    (
        Case(
            "an empty page before the promised end",
            PAGES,
            "page_number",
            lambda request, answer: Answer(200, {"data": [], "pages": 6}) if request.query["page"] == "3" else answer,
            "pages",
        ),
        "the API promises 6 pages",
    ),
    (Case("one page of many", "single_page", "offset", total="records"), "the last answer has 60 at `total`"),
    (Case("one page, and a next one", "single_page", "json_link"), "there are more"),
    (Case("one page, and a next one in a header", "single_page", "header_link"), "there are more"),
    (Case("one page is guessed, of many", "auto", "offset", total="records"), "the last answer has 60 at `total`"),
]


@pytest.mark.parametrize(("case", "sentence"), RED, ids=lambda one: one.name if isinstance(one, Case) else "")
def test_it_is_said_what_is_wrong(case: Case, sentence: str, reader: Reader) -> None:
    case.read(reader)

    assert isinstance(reader.failure, PermanentError)
    assert sentence in str(reader.failure)


def test_a_cursor_that_never_ends_does(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAGES_WITHOUT_NEWS", 20)
    asked = iter(range(100, 10**6))
    endless = Case("", BY_CURSOR, "cursor", lambda *_: Answer(200, {"data": [], "next_cursor": token(next(asked))}))

    endless.read(reader)

    assert "the last of 20 in a row that bring no new record" in str(reader.failure)
    assert len(reader.server.requests) == 20


@pytest.mark.parametrize(("paginator", "count"), [("single_page", 10), ("single_page", 7), ("auto", 7)])
def test_one_page_without_a_word_of_others_is_noted(reader: Reader, paginator: str, count: int) -> None:
    got = Case("", paginator, "offset", count=count).read(reader)

    assert got == list(range(count))
    assert "one page was read" in reader.loader.progress["items"].notes["not_proven"]


def test_one_page_of_a_usual_size_that_nobody_has_declared_is_refused(reader: Reader) -> None:
    assert Case("", "auto", "offset").read(reader) == []

    assert isinstance(reader.failure, PermanentError)
    assert "answered with 10 records, a usual size of a page" in str(reader.failure)


def test_a_search_sends_its_body(reader: Reader) -> None:
    paginator = {**BY_OFFSET, "offset_body_path": "page.from", "limit_body_path": "page.size"}
    api = declared(paginator, method="POST", json={"query": "Łódź"})

    reader.read(api, Odd(change=lambda _, answer: Answer(200, {"data": [], "total": 0})))

    (request,) = reader.server.requests
    assert (request.method, request.headers["Content-Type"]) == ("POST", "application/json")
    assert request.body.decode() in (
        '{"query": "\\u0141\\u00f3d\\u017a", "page": {"from": 0, "size": 10}}',
        '{"query": "Łódź", "page": {"from": 0, "size": 10}}',
    )
    assert "Expect" not in request.headers


ENDPOINT = {"data_selector": "data", "paginator": BY_NUMBER}
CONFIGS: dict[str, dict[str, Any]] = {
    "a resource is a name": {
        "client": {"paginator": BY_NUMBER},
        "resource_defaults": {"primary_key": "id", "endpoint": {"data_selector": "data"}},
        "resources": ["items"],
    },
    "an endpoint is a path": {
        "client": {},
        "resource_defaults": {"endpoint": ENDPOINT},
        "resources": [{"name": "items", "primary_key": "id", "endpoint": "items"}],
    },
    "defaults are overruled": {
        "client": {"paginator": "single_page"},
        "resource_defaults": {"primary_key": "title", "endpoint": {"data_selector": "nowhere"}},
        "resources": [{"name": "items", "primary_key": "id", "endpoint": {"path": "items", **ENDPOINT}}],
    },
    "nothing but a path": {
        "client": {},
        "resources": [{"name": "items", "write_disposition": "replace", "endpoint": {"paginator": BY_NUMBER}}],
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_is_read_as_dlt_reads_it(name: str, reader: Reader) -> None:
    api = Api("paged", resources=("items",), config=lambda: CONFIGS[name])  # type: ignore[arg-type,return-value]

    assert reader.read(api, Paged(kind="page_number", total=None)) == ALL, reader.failure
