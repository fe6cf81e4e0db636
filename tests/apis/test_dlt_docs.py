"""The kinds of configuration that dlt's pages about its REST API source show, each loaded here and by plain dlt: the same rows.

The configurations are written anew; the API behind them is `library` below. What is refused here has a sentence, and a test.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator
from dlt.sources.rest_api import rest_api_source
from requests import Response

from include.apis.api import Api
from include.decide.failure import failure_of
from include.decide.window import LoadWindow
from include.errors import ConfigurationError
from tests.support.api_loader import ApiLoader
from tests.support.api_server import Answer, ApiServer, Request

BOOKS, PAGE = 27, 10
Config = dict[str, Any]


def book(number: int) -> dict[str, Any]:
    day = f"2026-11-{number % 20 + 1:02}"
    return {
        "id": number,
        "title": f"book {number}",
        "updated_at": f"{day}T00:00:00Z",
        "author": {"id": number % 3, "name": f"author {number % 3}"},
        "tags": [{"tag": f"t{number}"}],
        "secret_number": f"isbn-{number}",
    }


ALL = [book(number) for number in range(BOOKS)]


def library(request: Request) -> Answer:  # one line for each kind of page
    """Books, each kind of paging at a path of its own; authors with books and, of author 2, nothing."""
    asked: dict[str, Any] = json.loads(request.body) if request.body else dict(request.query)
    host = f"http://{request.headers['Host']}"
    first = int(asked.get("offset", asked.get("after", 0)) or 0)
    match request.path.strip("/").split("/"):
        case ["offsets"]:
            size = int(asked.get("limit", PAGE))
            return Answer(200, {"data": ALL[first : first + size], "total": BOOKS})
        case ["numbers"]:
            first = (int(asked.get("page", 1)) - 1) * PAGE
            return Answer(200, {"data": ALL[first : first + PAGE], "pages": -(-BOOKS // PAGE)})
        case ["cursors"]:
            following = str(first + PAGE) if first + PAGE < BOOKS else None
            return Answer(200, {"data": ALL[first : first + PAGE], "next": following})
        case ["links"]:
            following = f"{host}/links?after={first + PAGE}" if first + PAGE < BOOKS else None
            return Answer(200, {"data": ALL[first : first + PAGE], "paging": {"next": following}})
        case ["header-links"]:
            link = {"Link": f'<{host}/header-links?after={first + PAGE}>; rel="next"'} if first + PAGE < BOOKS else {}
            return Answer(200, ALL[first : first + PAGE], link)
        case ["header-cursors"]:
            more = {"X-Next": str(first + PAGE)} if first + PAGE < BOOKS else {}
            return Answer(200, ALL[first : first + PAGE], more)
        case ["books"]:
            found = [one for one in ALL if _asked_for(one, asked)]
            return Answer(200, {"data": found})
        case ["books", number]:
            return Answer(200, book(int(number)))
        case ["authors"]:
            return Answer(
                200, [{"id": number, "name": f"author {number}", "slug": f"a{number}"} for number in range(4)]
            )
        case ["authors", number, "books"]:
            if number == "3":
                return Answer(404, {"error": "gone"})
            return Answer(200, [one for one in ALL if one["author"]["id"] == int(number)])
        case ["of"]:
            wanted = asked.get("author", request.headers.get("X-Author"))
            return Answer(200, [one for one in ALL if str(one["author"]["id"]) == str(wanted)])
        case ["search"]:
            assert request.method == "POST"
            size, first = asked["page"]["size"], asked["page"]["from"]
            return Answer(200, {"hits": ALL[first : first + size], "total": BOOKS})
        case ["broken"]:
            return Answer(200, "{'data': [{'id': 1}]}".replace("'", '"').replace("1", "1,"))
        case ["status"]:
            return Answer(404, {"error": "No books here"})
    return Answer(404, {"error": "nothing"})


def _asked_for(one: dict[str, Any], asked: dict[str, Any]) -> bool:
    return asked.get("since", "") <= one["updated_at"] and ("until" not in asked or one["updated_at"] < asked["until"])


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def server(shared_server: ApiServer) -> ApiServer:
    shared_server.reset()
    shared_server.script(library)
    return shared_server


# --- both ways


Rows = dict[str, list[tuple[Any, ...]]]


def api_of(config: Config, *families: Any) -> Api:
    names = [one["name"] if isinstance(one, dict) else getattr(one, "name", one) for one in config["resources"]]
    return Api("library", resources=families or tuple(names), config=lambda: _copy(config))  # type: ignore[arg-type, return-value]


def _copy(value: Any) -> Any:
    """Functions and objects stay what they are."""
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return list(map(_copy, value)) if isinstance(value, list) else value


def here(home: Path, config: Config, server: ApiServer, *families: Any, **windows: LoadWindow) -> Rows:
    loader = ApiLoader(home, api_of(config, *families)).connect(server.url).run(windows)
    return rows_of(loader.database, "library_raw")


def by_dlt(home: Path, config: Config, server: ApiServer) -> Rows:
    database = home / "by_dlt.duckdb"
    config = _copy(config)
    config["client"] = {"base_url": server.url, **config.get("client", {})}
    source = rest_api_source(config, name="library")  # type: ignore[arg-type]
    pipelines = str(home / "plain")
    pipeline = dlt.pipeline(
        "plain", destination=dlt.destinations.duckdb(str(database)), dataset_name="plain", pipelines_dir=pipelines
    )
    pipeline.run(source)
    return rows_of(database, "plain")


def rows_of(database: Path, schema: str) -> Rows:
    """Of each table of data, its columns but those of dlt and of ours, and its rows, in some order."""
    with duckdb.connect(str(database), read_only=True) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ? "
            "AND column_name NOT LIKE '\\_dlt%' ESCAPE '\\' AND table_name NOT LIKE '\\_dlt%' ESCAPE '\\' "
            "AND column_name NOT IN ('_run_id', '_loaded_at', '_row_hash') ORDER BY 1, 2",
            [schema],
        ).fetchall()
        tables: dict[str, list[str]] = {}
        for table, column in columns:
            tables.setdefault(table, []).append(column)
        return {
            table: [tuple(names), *sorted(connection.execute(_select(schema, table, names)).fetchall(), key=repr)]
            for table, names in tables.items()
        }


def _select(schema: str, table: str, names: list[str]) -> str:
    # As text, for instants that one side has as text: their types are not what is compared.
    return f'SELECT {", ".join(f"""CAST("{name}" AS VARCHAR)""" for name in names)} FROM "{schema}"."{table}"'


def resource(path: str, selector: str | None = "data", **more: Any) -> Config:
    endpoint = {"path": path, **({"data_selector": selector} if selector else {}), **more.pop("endpoint", {})}
    return {"name": "books", "primary_key": "id", "write_disposition": "replace", "endpoint": endpoint, **more}


def one(given: Any, **more: Any) -> Config:
    return {"resources": [given], **more}


AUTHORS = {
    "name": "authors",
    "endpoint": {"path": "authors", "paginator": "single_page"},
    "write_disposition": "replace",
}


def family(path: str, child: Config | None = None, **endpoint: Any) -> Config:
    given = {"path": path, "paginator": "single_page", "response_actions": [{"status_code": 404, "action": "ignore"}]}
    books = {"name": "books", "endpoint": {**given, **endpoint}, "write_disposition": "replace", **(child or {})}
    return {"resources": [AUTHORS, books]}


def shout(response: Response, *_: Any, **__: Any) -> Response:
    body = response.json()
    for record in body["data"]:
        record["title"] = record["title"].upper()
    response._content = json.dumps(body).encode()
    return response


def twice(record: Config) -> Iterator[Config]:
    yield {"id": record["id"], "half": 1}
    yield {"id": record["id"] + 1000, "half": 2}


SINGLE = {"paginator": "single_page"}
CASES: dict[str, Config] = {
    # paging
    "offset": one(resource("offsets", endpoint={"paginator": {"type": "offset", "limit": 10}})),
    "offset of the client": one(
        resource("offsets"), client={"paginator": {"type": "offset", "limit": 7, "total_path": "total"}}
    ),
    "offset, without a total": one(
        resource(
            "offsets",
            endpoint={"paginator": {"type": "offset", "limit": 10, "total_path": None, "stop_after_empty_page": True}},
        )
    ),
    "page_number": one(
        resource("numbers", endpoint={"paginator": {"type": "page_number", "base_page": 1, "total_path": "pages"}})
    ),
    "page_number, until an empty page": one(
        resource("numbers", endpoint={"paginator": {"type": "page_number", "base_page": 1, "total_path": None}})
    ),
    "cursor": one(
        resource("cursors", endpoint={"paginator": {"type": "cursor", "cursor_path": "next", "cursor_param": "after"}})
    ),
    "json_link": one(resource("links", endpoint={"paginator": {"type": "json_link", "next_url_path": "paging.next"}})),
    "a paginator object": one(
        resource("links", endpoint={"paginator": JSONLinkPaginator(next_url_path="paging.next")})
    ),
    "header_link": one(resource("header-links", None, endpoint={"paginator": "header_link"})),
    "header_cursor": one(
        resource(
            "header-cursors",
            None,
            endpoint={"paginator": {"type": "header_cursor", "cursor_key": "X-Next", "cursor_param": "after"}},
        )
    ),
    "auto": one(resource("header-links", None, endpoint={"paginator": "auto"})),
    "POST with JSON paging": one(
        resource(
            "search",
            "hits",
            endpoint={
                "method": "POST",
                "json": {"page": {"from": 0, "size": 10}, "query": "all"},
                "paginator": {
                    "type": "offset",
                    "limit": 10,
                    "offset_body_path": "page.from",
                    "limit_body_path": "page.size",
                },
            },
        )
    ),
    # what is short
    "a name alone": one("books"),
    "a path alone": one({"name": "things", "endpoint": "books"}),
    "a single entity": one({"name": "book", "endpoint": "books/7"}),
    "parameters": one(resource("of", None, endpoint={"params": {"author": 0}, **SINGLE})),
    "headers": one(resource("of", None, endpoint={"headers": {"X-Author": "1"}, **SINGLE})),
    "headers of the client": one(resource("of", None, endpoint=SINGLE), client={"headers": {"X-Author": "2"}}),
    # parents
    "a parent in the path": family("authors/{resources.authors.id}/books"),
    "a parent with resolve": family(
        "authors/{author_id}/books",
        params={"author_id": {"type": "resolve", "resource": "authors", "field": "id"}},
    ),
    "a parent in the parameters": family("of", params={"author": "{resources.authors.id}"}),
    "a parent in JSON": family("of", method="POST", json={"author": "{resources.authors.id}"}),
    "a parent in the headers": family("of", headers={"X-Author": "{resources.authors.id}"}),
    "a single entity of each parent": family("books/{resources.authors.id}"),
    "fields of the parent": family(
        "authors/{resources.authors.id}/books", {"include_from_parent": ["name", "slug"], "primary_key": "id"}
    ),
    "a parent that nobody selects": {
        "resources": [{**AUTHORS, "selected": False}, family("authors/{resources.authors.id}/books")["resources"][1]]
    },
    # what becomes of the answers
    "an answer that is ignored": one(
        resource("status", endpoint={"response_actions": [{"status_code": 404, "action": "ignore"}], **SINGLE})
    ),
    "a hook that changes the answer": one(
        resource("books", endpoint={"response_actions": [{"status_code": 200, "action": [shout]}], **SINGLE})
    ),
    "a hook of its own": one(resource("books", endpoint={"response_actions": [shout], **SINGLE})),
    "filter": one(resource("books", endpoint=SINGLE, processing_steps=[{"filter": lambda record: record["id"] < 5}])),
    "map": one(
        resource(
            "books",
            endpoint=SINGLE,
            processing_steps=[
                {"map": lambda record: {name: value for name, value in record.items() if name != "secret_number"}}
            ],
        )
    ),
    "yield_map": one(resource("books", endpoint=SINGLE, processing_steps=[{"yield_map": twice}])),
    # tables
    "resource_defaults": {
        "resource_defaults": {"primary_key": "id", "write_disposition": "merge", "endpoint": SINGLE},
        "resources": [{"name": "books", "endpoint": {"path": "books", "data_selector": "data"}}, "authors"],
    },
    "columns": one(
        resource("books", endpoint=SINGLE, columns={"secret_number": {"data_type": "text", "nullable": True}})
    ),
    "max_table_nesting": one(resource("books", endpoint=SINGLE, max_table_nesting=0)),
    "table_name": one(resource("books", endpoint=SINGLE, table_name="volumes")),
    "write_disposition as an object": one(
        resource("books", endpoint=SINGLE, write_disposition={"disposition": "merge", "strategy": "delete-insert"})
    ),
    "append without a key": one(
        {**resource("books", endpoint=SINGLE), "write_disposition": "append", "primary_key": None}
    ),
    # by time
    "start_param": one(
        resource(
            "books",
            endpoint={
                "incremental": {
                    "start_param": "since",
                    "cursor_path": "updated_at",
                    "initial_value": "2026-11-05T00:00:00Z",
                },
                **SINGLE,
            },
        )
    ),
    "a placeholder": one(
        resource(
            "books",
            endpoint={
                "params": {"since": "{incremental.start_value}"},
                "incremental": {"cursor_path": "updated_at", "initial_value": "2026-11-05T00:00:00Z"},
                **SINGLE,
            },
        )
    ),
    "convert": one(
        resource(
            "books",
            endpoint={
                "incremental": {
                    "start_param": "since",
                    "cursor_path": "updated_at",
                    "initial_value": "2026-11-05T00:00:00Z",
                    "convert": lambda value: str(value)[:10],
                },
                **SINGLE,
            },
        )
    ),
    "incremental in a parameter": one(
        resource(
            "books",
            endpoint={
                "params": {
                    "since": {
                        "type": "incremental",
                        "cursor_path": "updated_at",
                        "initial_value": "2026-11-05T00:00:00Z",
                    }
                },
                **SINGLE,
            },
        )
    ),
    "dlt.sources.incremental": one(
        resource(
            "books",
            endpoint={
                "params": {"since": dlt.sources.incremental("updated_at", initial_value="2026-11-05T00:00:00Z")},
                **SINGLE,
            },
        )
    ),
}
FAMILIES: dict[str, tuple[Any, ...]] = {
    name: (("authors", "books"),) for name, config in CASES.items() if "parent" in name
} | {"a parent that nobody selects": ("books",)}


# Of which whole loads are compared; of the others, for which tables are the same as for these, what is read.
LOADED = [
    *(
        "page_number",
        "POST with JSON paging",
        "fields of the parent",
        "a parent that nobody selects",
        "yield_map",
        "start_param",
    ),
    *("resource_defaults", "columns", "max_table_nesting", "table_name", "write_disposition as an object"),
    *("append without a key", "an answer that is ignored"),
]


@pytest.mark.parametrize("case", LOADED)
def test_the_rows_are_those_of_plain_dlt(case: str, dlt_home: Path, server: ApiServer) -> None:
    found = here(dlt_home, CASES[case], server, *FAMILIES.get(case, ()))
    expected = by_dlt(dlt_home, CASES[case], server)
    assert {name: len(rows) for name, rows in found.items()} == {name: len(rows) for name, rows in expected.items()}
    assert found == expected


@pytest.mark.parametrize("case", [case for case in CASES if case not in LOADED])
def test_the_records_are_those_of_plain_dlt(case: str, dlt_home: Path, server: ApiServer) -> None:
    config = _copy(CASES[case])
    found = ApiLoader(dlt_home, api_of(config, *FAMILIES.get(case, ()))).connect(server.url).read()
    config["client"] = {"base_url": server.url, **config.get("client", {})}
    expected = list(rest_api_source(config, name="library"))
    assert expected or case == "an answer that is ignored"
    assert sorted(map(_text, found)) == sorted(map(_text, expected))


def _text(record: Any) -> str:
    # Stamps of ours, in the mode `append`.
    if isinstance(record, dict):
        record = {name: value for name, value in record.items() if name not in ("_run_id", "_loaded_at")}
    return json.dumps(record, sort_keys=True, default=str)


# --- a resource that somebody has made


def made(**hints: Any) -> Any:
    @dlt.resource(name="made", **hints)
    def records() -> Iterator[Any]:
        yield ALL[:20]
        yield from ALL[20:]

    return records


@pytest.mark.parametrize(
    "hints",
    [
        {"write_disposition": "replace"},
        {"write_disposition": "merge", "primary_key": "id", "table_name": "volumes"},
        {"write_disposition": "append"},
        {"write_disposition": "replace", "max_table_nesting": 0},
    ],
    ids=lambda hints: ", ".join(hints),
)
def test_a_resource_that_somebody_has_made_is_loaded(hints: Any, dlt_home: Path, server: ApiServer) -> None:
    assert here(dlt_home, one(made(**hints)), server) == by_dlt(dlt_home, one(made(**hints)), server)


def test_a_resource_that_somebody_has_made_can_be_a_parent(dlt_home: Path, server: ApiServer) -> None:
    def config() -> Config:
        # Plain dlt takes lists only.
        authors = dlt.resource([[{"id": 0}, {"id": 2}]], name="authors", write_disposition="replace")
        return {"resources": [authors, family("authors/{resources.authors.id}/books")["resources"][1]]}

    assert here(dlt_home, config(), server, ("authors", "books")) == by_dlt(dlt_home, config(), server)


def test_nothing_is_proven_of_it(dlt_home: Path, server: ApiServer) -> None:
    loader = ApiLoader(dlt_home, api_of(one(made(write_disposition="replace")))).connect(server.url)
    assert len(loader.read()) == BOOKS
    progress = loader.progress["made"]
    assert (progress.rows, "made by the declaration itself" in progress.notes["not_proven"]) == (BOOKS, True)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([1, 2], "gives int objects in place of records"),
        ([{"id": 1, "n": 1}, {"id": 1, "n": 2}], "does not tell records apart"),
    ],
)
def test_what_it_may_not_give_is_a_sentence(
    records: list[Any], sentence: str, dlt_home: Path, server: ApiServer
) -> None:
    given = dlt.resource(records, name="made", write_disposition="merge", primary_key="id")
    with pytest.raises(Exception, match="made") as caught:
        ApiLoader(dlt_home, api_of(one(given))).connect(server.url).read()
    assert sentence in str(failure_of(caught.value))


# --- windows


WINDOW = LoadWindow(datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
BY_TIME = {"cursor_path": "updated_at", "initial_value": "2026-11-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ({"incremental": {"start_param": "since", "end_param": "until", **BY_TIME}}, ["2026-11-04T23:59:59Z", "2026-11-08T00:00:00Z"]),
        ({"incremental": {"start_param": "since", "convert": lambda value: value[:10], **BY_TIME}}, ["2026-11-04", None]),
        ({"params": {"since": "{incremental.start_value}"}, "incremental": BY_TIME}, ["2026-11-04T23:59:59Z", None]),
        ({"params": {"since": {"type": "incremental", **BY_TIME}}}, ["2026-11-04T23:59:59Z", None]),
    ],
    ids=["start and end", "convert", "placeholder", "in a parameter"],
)  # fmt: skip
def test_a_window_is_dlts_incremental_of_that_run(
    endpoint: Config, asked: list[str | None], dlt_home: Path, server: ApiServer
) -> None:
    config = one(resource("books", endpoint={**endpoint, **SINGLE}, write_disposition="merge"))
    found = ApiLoader(dlt_home, api_of(config)).connect(server.url).read({"books": WINDOW})
    days = {record["updated_at"][:10] for record in found}
    assert days == {"2026-11-05", "2026-11-06", "2026-11-07"}
    (request,) = server.requests
    assert [request.query.get("since"), request.query.get("until")] == asked


# --- what is refused


REFUSED: dict[str, tuple[Callable[[], Config], str]] = {
    "upsert": (
        lambda: one(resource("books", write_disposition={"disposition": "merge", "strategy": "upsert"})),
        "the write disposition `upsert`",
    ),
    "merge without a key": (
        lambda: one({**resource("books", endpoint=SINGLE), "write_disposition": "merge", "primary_key": None}),
        "primary_key",
    ),
    "a table for each record": (
        lambda: one(resource("books", table_name=lambda record: record["title"])),
        "`table_name` that is a function",
    ),
    "an end of one's own": (
        lambda: one(resource("books", endpoint={"incremental": {**BY_TIME, "end_value": "2026-11-02T00:00:00Z"}})),
        "has an `end_value`",
    ),
    "another order": (
        lambda: one(resource("books", endpoint={"incremental": {**BY_TIME, "last_value_func": min}})),
        "`last_value_func` other than `max`",
    ),
    "a kind of paging that is none": (
        lambda: one(resource("books", endpoint={"paginator": {"type": "by_magic"}})),
        "`by_magic`, which is none",
    ),
    "a processing step that is none": (
        lambda: one(resource("books", endpoint=SINGLE, processing_steps=[{"sort": "id"}])),
        "a processing step `sort`",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_before_the_first_request(case: str, dlt_home: Path, server: ApiServer) -> None:
    config, sentence = REFUSED[case]
    with pytest.raises(ConfigurationError) as caught:
        ApiLoader(dlt_home, api_of(config())).connect(server.url).source()
    assert sentence in str(caught.value)
    assert server.requests == []


def test_a_next_link_in_a_circle_is_a_sentence(dlt_home: Path, server: ApiServer) -> None:
    server.script(
        lambda request: Answer(
            200, {"data": [book(server.count())], "paging": {"next": "/links?after=1" if server.count() < 9 else None}}
        )
    )
    config = one(resource("links", endpoint={"paginator": {"type": "json_link", "next_url_path": "paging.next"}}))
    with pytest.raises(Exception, match="names a next page that was read already"):
        ApiLoader(dlt_home, api_of(config)).connect(server.url).read()
