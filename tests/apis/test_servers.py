"""Each real server is loaded whole by a declaration in dlt's words: all its records, their ids and what is nested in them.

In: what the docstrings of `tests/apis/servers` say of each. Out: the rows of a DuckDB file, beside the records that the server holds.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pendulum
import pytest
import requests

from include.apis.api import Api
from include.configure.resolution import resolve_options
from include.decide.run import AirflowRun
from include.decide.sync_mode import SYNC_MODES
from include.decide.window import LoadWindow
from include.errors import causes
from include.extract import oauth2
from include.extract.read import ResourceRead
from include.report.announcement import announce
from include.report.history import LoadReport
from tests.apis.servers.content import CREDENTIALS, IN_WINDOW, RECORDS, WINDOW
from tests.apis.servers.started import Servers
from tests.support.api_loader import ApiLoader

Record = dict[str, Any]

BASIC = {"login": CREDENTIALS["login"], "password": CREDENTIALS["password"]}
CLIENT = {"login": CREDENTIALS["client_id"], "password": CREDENTIALS["client_secret"]}
# In the place that django-ninja, and many others, look at.
KEY = {"type": "api_key", "name": "X-API-Key", "location": "header"}
# dlt's name of a key in a header is any; the prefix is a part of the key.
TOKEN = {"type": "api_key", "name": "Authorization", "location": "header"}
OAUTH2 = {
    "type": "oauth2_client_credentials",
    "access_token_url": "{base_url}/oauth/token/",
    "access_token_request_data": {"scope": "read"},
}


def incremental(start_param: str, end_param: str, cursor_path: str = "modified") -> dict[str, str]:
    """dlt's own, with the names that a server filters by."""
    return {"cursor_path": cursor_path, "start_param": start_param, "end_param": end_param}


DJANGO_WINDOW = incremental("modified__gte", "modified__lt")


@dataclass(frozen=True)
class Served:
    """A collection of a server, as a person declares it. `below`: where in a record its fields are."""

    family: str
    path: str
    records: str | None
    paginator: dict[str, Any]
    params: dict[str, Any] = field(default_factory=dict)
    incremental: dict[str, str] | None = None
    auth: dict[str, Any] | None = None
    connection: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    below: str = ""

    def api(self, url: str, windowed: bool = False, **resource: Any) -> Api:
        """The declaration, of the server at `url`."""
        auth = self.auth and {
            name: value.format(base_url=url) if isinstance(value, str) else value for name, value in self.auth.items()
        }
        client = {"auth": auth} if auth else {}
        endpoint: dict[str, Any] = {"path": self.path, "paginator": self.paginator, "params": self.params}
        if self.records:
            endpoint["data_selector"] = self.records
        if windowed:
            endpoint["incremental"] = self.incremental
        declared = {
            "name": "articles",
            "primary_key": "id",
            "write_disposition": "merge",
            "endpoint": endpoint,
            **resource,
        }

        def config() -> Any:
            return {"client": client, "resources": [declared]}

        return Api("library", resources=("articles",), config=config)

    def loader(self, servers: Servers, dlt_home: Path, windowed: bool = False, **resource: Any) -> ApiLoader:
        """Connected, with nothing loaded yet."""
        url = servers[self.family].url
        loader = ApiLoader(dlt_home, self.api(url, windowed, **resource))
        return loader.connect(url, **self.connection, **self.extra)


def by_page(name: str, total: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"type": "page_number", "base_page": 1, "page_param": name, "total_path": total, **fields}


SERVED = {
    "limit-offset, Token": Served(
        "django",
        "/drf/limit-offset/",
        "results",
        {"type": "offset", "limit": 50, "total_path": "count"},
        incremental=DJANGO_WINDOW,
        auth=TOKEN,
        connection={"password": f"Token {CREDENTIALS['token']}"},
    ),
    "page number, Basic": Served(
        "django",
        "/drf/pages/",
        "results",
        by_page("page"),
        {"page_size": 50},
        DJANGO_WINDOW,
        {"type": "http_basic"},
        BASIC,
        {"total_path": "count"},
    ),
    "cursor": Served(
        "django",
        "/drf/cursor/",
        "results",
        {"type": "json_link", "next_url_path": "next"},
        {"page_size": 50},
        DJANGO_WINDOW,
    ),
    "ninja, X-API-Key": Served(
        "django",
        "/ninja/articles",
        "items",
        {"type": "offset", "limit": 50, "total_path": "count"},
        incremental=DJANGO_WINDOW,
        auth=KEY,
        connection={"password": CREDENTIALS["api_key"]},
    ),
    "JSON:API, page number": Served(
        "django",
        "/jsonapi/articles/",
        "data",
        by_page("page[number]"),
        {"page[size]": 50},
        incremental("filter[modified.gte]", "filter[modified.lt]", "attributes.modified"),
        extra={"total_path": "meta.pagination.count"},
        below="attributes",
    ),
    "JSON:API, links": Served(
        "django",
        "/jsonapi/articles/",
        "data",
        {"type": "json_link", "next_url_path": "links.next"},
        {"page[size]": 50},
        incremental("filter[modified.gte]", "filter[modified.lt]", "attributes.modified"),
        extra={"total_path": "meta.pagination.count"},
        below="attributes",
    ),
    "OAuth2": Served(
        "django",
        "/oauth/articles/",
        "results",
        by_page("page"),
        {"page_size": 50},
        auth=OAUTH2,
        connection=CLIENT,
        extra={"total_path": "count"},
    ),
    "OAuth2, secret as Basic": Served(
        "django",
        "/oauth/articles/",
        "results",
        {"type": "json_link", "next_url_path": "next"},
        auth={**OAUTH2, "token_endpoint_auth_method": "client_secret_basic"},
        connection=CLIENT,
        extra={"total_path": "count"},
    ),
    "Datasette, links": Served(
        "datasette",
        "/library/articles.json",
        "rows",
        {"type": "json_link", "next_url_path": "next_url"},
        {"_shape": "objects", "_json": ["author", "tags"], "_size": 50},
        DJANGO_WINDOW,
        extra={"total_path": "filtered_table_rows_count"},
    ),
    "Datasette, links in a header": Served(
        "datasette",
        "/library/articles.json",
        "$",
        {"type": "header_link"},
        {"_shape": "array", "_json": ["author", "tags"], "_size": 50},
        DJANGO_WINDOW,
    ),
    "Datasette, cursor": Served(
        "datasette",
        "/library/articles.json",
        "rows",
        {"type": "cursor", "cursor_path": "next", "cursor_param": "_next"},
        {"_shape": "objects", "_json": ["author", "tags"], "_size": 50},
        DJANGO_WINDOW,
        extra={"total_path": "filtered_table_rows_count"},
    ),
    "json-server 0.17, page number": Served(
        "json-server-0.17",
        "/articles",
        "$",
        by_page("_page"),
        {"_limit": 50},
        incremental("modified_gte", "modified_lte"),
        extra={"total_path": "header:X-Total-Count"},
    ),
    "json-server 0.17, offset": Served(
        "json-server-0.17",
        "/articles",
        "$",
        {
            "type": "offset",
            "limit": 50,
            "offset_param": "_start",
            "limit_param": "_limit",
            "total_path": "header:X-Total-Count",
        },
        incremental=incremental("modified_gte", "modified_lte"),
    ),
    "json-server 0.17, links": Served(
        "json-server-0.17",
        "/articles",
        None,
        {"type": "header_link"},
        {"_page": 1, "_limit": 50},
        incremental("modified_gte", "modified_lte"),
    ),
    "json-server 1": Served(
        "json-server-1",
        "/articles",
        "data",
        by_page("_page", "pages"),
        {"_per_page": 50},
        incremental("modified:gte", "modified:lt"),
        extra={"total_path": "items"},
    ),
}
WITH_A_FILTER = [name for name, served in SERVED.items() if served.incremental]


def rows_of(loader: ApiLoader, below: str = "") -> tuple[list[Any], list[Any]]:
    """Of the table: id, title and score, a field of what is nested in each record, and the reviewer; and its list of tags, in order."""
    prefix = f"{below}__" if below else ""
    columns = ", ".join(f"{prefix}{name}" for name in ("title", "score", "author__name", "reviewer"))
    records = loader.query(f"SELECT id::INTEGER, {columns} FROM articles ORDER BY 1")
    tags = loader.query(
        f"SELECT a.id::INTEGER, t.value FROM articles a JOIN articles__{prefix}tags t ON t._dlt_parent_id = a._dlt_id "
        "ORDER BY 1, t._dlt_list_idx"
    )
    return records, tags


def expected(records: list[Record]) -> tuple[list[Any], list[Any]]:
    """As `rows_of`, of the records that the server holds."""
    of_each = [(one["id"], one["title"], one["score"], one["author"]["name"], one["reviewer"]) for one in records]
    return of_each, [(one["id"], tag) for one in records for tag in one["tags"]]


@pytest.mark.parametrize("name", SERVED)
def test_everything_is_loaded(servers: Servers, dlt_home: Path, name: str) -> None:
    served = SERVED[name]
    loader = served.loader(servers, dlt_home).run()
    assert rows_of(loader, served.below) == expected(RECORDS)
    progress = loader.progress["articles"]
    assert progress.passes == 1
    total_is_known = served.paginator["type"] == "offset" or served.extra
    assert progress.promised_rows == (len(RECORDS) if total_is_known else None)


@pytest.mark.parametrize("name", WITH_A_FILTER)
def test_a_window_is_loaded(servers: Servers, dlt_home: Path, name: str) -> None:
    """Half-open, also where the server takes both of its ends."""
    served = SERVED[name]
    start, end = (pendulum.parse(text) for text in WINDOW)
    window = LoadWindow(start, end)  # type: ignore[arg-type]
    loader = served.loader(servers, dlt_home, windowed=True).run({"articles": window})
    assert rows_of(loader, served.below) == expected(IN_WINDOW)
    # The server was asked for no more than that, and what it adds at the end of the window.
    at_the_end = [one for one in RECORDS if one["modified"] == WINDOW[1]]
    assert len(loader.progress["articles"].outside_window) in (0, len(at_the_end))


@pytest.mark.parametrize(("size", "parallel"), [(20, 1), (8, 8)], ids=["one by one", "in parallel"])
def test_a_token_that_is_taken_back_half_way_is_renewed_once(
    servers: Servers, dlt_home: Path, monkeypatch: pytest.MonkeyPatch, size: int, parallel: int
) -> None:
    url = servers["django"].url
    tokens: list[str] = []
    monkeypatch.setattr(oauth2, "register", tokens.append)

    def revoke_once(record: Record) -> Record:
        if record["id"] == size + 1 and len(tokens) == 1:
            answer = requests.post(
                f"{url}/oauth/revoke_token/", {"token": tokens[0]}, auth=tuple(CLIENT.values()), timeout=30
            )
            answer.raise_for_status()
        return record

    served = SERVED["OAuth2"]
    loader = served.loader(servers, dlt_home, processing_steps=[{"map": revoke_once}])
    extra = {**served.extra, "max_parallel_requests": parallel, "params": {"page_size": size}}
    loader.connect(url, **CLIENT, **extra)
    assert rows_of(loader.run()) == expected(RECORDS)
    # Pages that were asked for together share the new one.
    assert len(tokens) == 2


@pytest.mark.parametrize("name", ["limit-offset, Token", "page number, Basic", "ninja, X-API-Key", "OAuth2"])
def test_a_wrong_credential_is_told_and_not_repeated(servers: Servers, dlt_home: Path, name: str) -> None:
    served = SERVED[name]
    loader = served.loader(servers, dlt_home)
    loader.connect(servers["django"].url, "wr0ng-and-secret", served.connection.get("login"), **served.extra)
    with pytest.raises(Exception, match="401") as raised:
        loader.run()
    texts = " ".join(str(one) for one in causes(raised.value))
    assert "password" in texts
    assert "wr0ng-and-secret" not in texts


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("Datasette, links", {"params": {"_shape": "objects", "pagesize": 50}}),
        ("Datasette, links", {"auth": {"type": "api_key", "name": "api_key", "location": "query"}}),
        ("json-server 1", {"params": {"_per_page": 50, "limit": 50}}),
    ],
    ids=["Datasette, a misspelt parameter", "Datasette, a key that nobody asked for", "json-server 1"],
)
def test_a_first_load_of_nothing_warns(
    servers: Servers, dlt_home: Path, caplog: pytest.LogCaptureFixture, name: str, extra: dict[str, Any]
) -> None:
    """The server takes what it does not know for a filter: 200, no record, and a total that agrees."""
    served = SERVED[name]
    loader = served.loader(servers, dlt_home)
    loader.connect(servers[served.family].url, "a-key" if "auth" in extra else None, **{**served.extra, **extra}).run()
    report = report_of(loader)
    assert (report.read_rows, report.promised_rows) == (0, 0)
    with caplog.at_level(logging.WARNING):
        announce(report, [])
    assert "The API gave no record at all, and no earlier load has any." in caplog.text


def report_of(loader: ApiLoader, **run: Any) -> LoadReport:
    """What a task would report of the load."""
    nothing: Mapping[str, Any] = dict.fromkeys(
        ("data_interval_start", "data_interval_end", "window_start", "window_end", "sync_mode")
    )
    now = datetime.now(UTC)
    airflow_run = AirflowRun("library", "run", "articles", -1, 1, "manual", now, **nothing)
    options = resolve_options(loader.api)
    read = ResourceRead(options, SYNC_MODES[options.sync_mode], progress=loader.progress["articles"])
    return LoadReport.of(
        *("articles", airflow_run, read, str(options.base_url), now, now, "load", 0, "duckdb"),
        counts={},
    )
