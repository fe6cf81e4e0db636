"""`make check` finds by itself how servers that nobody here wrote page; what it prints is then used, and loads all of their records.

In: host, path and credential. Out: its lines, and the number of requests as the server counted them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.processes import demo_api
from include import check_api, redaction
from include.apis.api import Api
from include.apis.datasets import DATASETS
from include.extract.probe import asking
from include.extract.probe.asking import MOST_REQUESTS
from tests.apis.catalogues.ckan import Ckan
from tests.apis.catalogues.dataworld import DataWorld
from tests.apis.catalogues.huggingface import HuggingFace
from tests.apis.catalogues.udata import Udata
from tests.apis.double import Double
from tests.apis.server import DoubleServer
from tests.apis.servers.content import CREDENTIALS, RECORDS
from tests.apis.servers.started import Servers
from tests.support.api_loader import ApiLoader
from tests.support.api_server import Answer, ApiServer, Request
from tests.support.clock import RecordingClock


@dataclass
class Forwarding(ApiServer):
    """Hands each request on to the server at `to`, and counts it."""

    to: str = ""

    def page(self, request: Request) -> Answer:
        answer = requests.request(
            request.method,
            self.to + request.target,
            headers=dict(request.headers),
            data=request.body,
            allow_redirects=False,
            timeout=30,
        )
        kept = {name: value for name, value in answer.headers.items() if name in ("Link", "X-Total-Count", "Location")}
        return Answer(answer.status_code, answer.content, kept)


@dataclass(frozen=True)
class Probed:
    """`secret`, `login`: the fields of the connection. `finds`: what stands in the lines."""

    family: str
    path: str
    finds: tuple[str, ...]
    secret: str | None = None
    login: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    password_begins: str = ""


OAUTH2 = {
    "type": "oauth2_client_credentials",
    "access_token_url": "{url}/oauth/token/",
    "access_token_request_data": {"scope": "read"},
}
PROBED = {
    "limit-offset": Probed(
        "django",
        "/drf/limit-offset/",
        (
            "is asked for; accepted as the header `Authorization: Token …`",
            "are at `results`; 20 in the first answer",
            "is at `count`: 237; the last record is where it says",
            "50 records a page, of 1000 that were asked for: a larger size is cut without a word",
            "by offset, as `offset`, the size as `limit`",
            "was the same in two reads",
            "may be `id`, ",
            "may be said by `modified`, as found in 50 records",
            "the start as `modified__gte` is counted in; its end as `modified__lt` is left out",
        ),
        CREDENTIALS["token"],
        password_begins="Token ",
    ),
    "page number": Probed(
        "django",
        "/drf/pages/",
        (
            "accepted by `http_basic`",
            "by page number from 1, as `page`, the size as `page_size`",
            "is at `count`: 237; the last",
        ),
        CREDENTIALS["password"],
        CREDENTIALS["login"],
    ),
    "cursor": Probed(
        "django",
        "/drf/cursor/",
        ("is not asked for", "by a link in `next`, the size as `page_size`", "none was found; the end is where"),
    ),
    "ninja": Probed(
        "django",
        "/ninja/articles",
        ("accepted as the header `X-API-Key`", "by offset, as `offset`, the size as `limit`", "are at `items`; 50 in"),
        CREDENTIALS["api_key"],
    ),
    "JSON:API": Probed(
        "django",
        "/jsonapi/articles/",
        (
            "by page number from 1, as `page[number]`, the size as `page[size]`",
            "is at `meta.pagination.count`: 237",
            "may be said by `attributes.modified`",
            "the start as `filter[modified.gte]` is counted in; its end as `filter[modified.lt]` is left out",
        ),
    ),
    "OAuth2": Probed(
        "django",
        "/oauth/articles/",
        ("accepted by `oauth2_client_credentials`", "by page number from 1, as `page`, the size as `page_size`"),
        CREDENTIALS["client_secret"],
        CREDENTIALS["client_id"],
        {"auth": OAUTH2},
    ),
    "Datasette": Probed(
        "datasette",
        "/library/articles.json",
        (
            "by a link in `next_url`",
            "is at `filtered_table_rows_count`: 237",
            "the start as `modified__gte` is counted in",
        ),
        extra={"params": {"_shape": "objects", "_json": ["author", "tags"]}},
    ),
    "json-server 0.17": Probed(
        "json-server-0.17",
        "/articles",
        (
            "by page number from 1, as `_page`, the size as `_limit`",
            "is at `header:X-Total-Count`: 237",
            "the start as `modified_gte` is counted in; its end as `modified_lte` is counted in",
        ),
    ),
    "json-server 1": Probed(
        "json-server-1",
        "/articles",
        (
            "are at `data`; 237 in the first answer",
            "by page number from 1, as `_page`, the size as `_per_page`",
            "is at `items`: 237; the last record is where it says",
            "the start as `modified_gte` is counted in; its end as `modified_lte` is counted in",
        ),
    ),
}


@contextmanager
def connected(monkeypatch: pytest.MonkeyPatch, conn_id: str, url: str, **fields: Any) -> Iterator[None]:
    """An Airflow connection, as the environment has it."""
    said = {"conn_type": "http", "host": url, **{name: value for name, value in fields.items() if value}}
    with monkeypatch.context() as patch:
        patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(said))
        yield


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code, and all that was printed."""
    code = check_api.main(arguments)
    output = capsys.readouterr()
    return code, output.out + output.err


def pasted(output: str) -> tuple[Api, dict[str, Any]]:
    """The declaration and the extra that were printed, as a person would paste them."""
    printed = output.partition("To declare it, in include/apis/")[2].partition(":\n\n")[2]
    code = printed.partition("\nTo add ")[0].partition("\nFound how")[0]
    rest = printed.partition("\nTo add ")[2]
    names: dict[str, Any] = {}
    exec(code, names)
    return next(value for value in names.values() if isinstance(value, Api)), extra_in(rest)


def extra_in(output: str) -> dict[str, Any]:
    extra: dict[str, Any] = json.loads(output.partition(":\n\n")[2].partition("\n\nFound")[0] or "{}")
    return extra


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redaction is one per process."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next request."""
    monkeypatch.setattr(asking, "REQUESTS_PER_SECOND", 1000)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", PROBED)
def test_what_it_prints_loads_everything(
    servers: Servers,
    dlt_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    probed = PROBED[name]
    with Forwarding(to=servers[probed.family].url) as server:
        given = json.loads(json.dumps(probed.extra).replace("{url}", server.url))
        extra = {"path": probed.path, **given}
        with connected(monkeypatch, "library_api", server.url, password=probed.secret, login=probed.login, extra=extra):
            code, output = checked(capsys, "library_api")
        asked = len(server.requests)
        assert code == 0, output
        assert 5 < asked <= MOST_REQUESTS
        assert f"{'Requests':<10} {asked} of {MOST_REQUESTS}" in output
        assert {request.method for request in server.requests if request.path != "/oauth/token/"} == {"GET"}
        for part in probed.finds:
            assert part in output
        assert_nothing_is_told(output, [probed.secret])
        api, more = pasted(output)
        loader = ApiLoader(dlt_home, api)
        password = probed.secret and probed.password_begins + probed.secret
        loader.connect(server.url, password, probed.login, **given, **more).run()
        (resource,) = api.resource_names
        assert loader.query(f"SELECT id::INTEGER FROM {resource} ORDER BY 1") == [(one["id"],) for one in RECORDS]


def assert_nothing_is_told(output: str, secrets: list[str | None]) -> None:
    """No secret, and no value of a record."""
    for told in (*filter(None, secrets), *(one["name"] for one in (record["author"] for record in RECORDS[:3]))):
        assert told not in output
    assert "Article" not in output
    assert "2026-" not in output


@pytest.mark.usefixtures("hurried")
def test_a_wrong_key_is_told(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dlt_home: Path
) -> None:
    with Forwarding(to=servers["django"].url) as server:
        extra = {"path": "/drf/limit-offset/"}
        with connected(monkeypatch, "library_api", server.url, password="wr0ng-and-secret", extra=extra):
            code, output = checked(capsys, "library_api")
        assert (code, len(server.requests) <= 6) == (1, True)
    assert "is asked for, and was refused in each way that was tried" in output
    assert "401" in output.splitlines()[-1]
    assert_nothing_is_told(output, ["wr0ng-and-secret"])


def test_the_demo_is_found_as_it_is_declared(
    dlt_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no more than host and key; the extra that is printed says the same as the declaration. No five requests in a second are six."""
    with demo_api() as demo, Forwarding(to=demo.base_url) as server:
        with connected(monkeypatch, "datasets_api", server.url, password=demo.key):
            code, output = checked(capsys)
        assert code == 0, output
        asked = [request.at_seconds for request in server.requests]
        assert len(asked) <= MOST_REQUESTS
        assert asked[5] - asked[0] >= 0.9
        assert "accepted as the query parameter `api_key`" in output
        assert f"is at `total`: {demo.records}; the last record is where it says" in output
        assert "the start as `updated_since` is counted in; its end as `updated_before` is left out" in output
        assert demo.key not in output
        assert extra_in(output) == {
            "auth": "api_key",
            "api_key_location": "query",
            "api_key_param": "api_key",
            "data_selector": "data",
            "paginator": "offset",
            "offset_param": "offset",
            "limit_param": "limit",
            "page_size": 100,
            "total_path": "total",
            "primary_key": "id",
            "cursor_path": "updated_at",
            "start_param": "updated_since",
            "end_param": "updated_before",
        }
        loader = ApiLoader(dlt_home, DATASETS).connect(server.url, demo.key, **extra_in(output)).run()
        assert loader.query("SELECT count(*), count(DISTINCT id) FROM datasets") == [(demo.records, demo.records)]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("double", "finds"),
    [
        (
            DataWorld(count=250, key="k3y-of-the-tests"),
            ("by `bearer`", "by a cursor in `nextPageToken`, sent as `next`, the size as `limit`"),
        ),
        (
            Udata(count=250),
            ("by page number from 1, as `page`, the size as `page_size`", "is at `total`: 250; the last"),
        ),
        (
            HuggingFace(count=250),
            ("by a link in the header `Link`, the size as `limit`", "`_id`", 'RateLimit: "api";r='),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_catalogue_is_found_and_loaded(
    dlt_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    double: Double,
    finds: tuple[str, ...],
) -> None:
    with DoubleServer(double) as server:
        with connected(monkeypatch, "library_api", server.url, password=double.key, extra={"path": double.path}):
            code, output = checked(capsys, "library_api")
        assert (code, len(server.requests) <= MOST_REQUESTS) == (0, True), output
        for part in finds:
            assert part in output
        api, more = pasted(output)
        (resource,) = api.resource_names
        loader = ApiLoader(dlt_home, api).connect(server.url, double.key, **more).run()
        assert loader.query(f"SELECT count(*) FROM {resource}") == [(250,)]


@pytest.mark.usefixtures("hurried")
def test_what_cannot_be_found_out_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dlt_home: Path
) -> None:
    """An order that is another each time hides how pages are asked for; no request too many goes out for that."""
    with DoubleServer(Ckan(count=250)) as server:
        with connected(monkeypatch, "library_api", server.url):
            code, output = checked(capsys, "library_api", "--path", Ckan.path)
        assert (code, len(server.requests) <= MOST_REQUESTS) == (1, True), output
    assert "Order      was another in the second read" in output
    assert "Found how" not in output
    assert "set a parameter that sorts first" in output.splitlines()[-1]


@pytest.mark.usefixtures("hurried")
def test_tries_count_as_requests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dlt_home: Path
) -> None:
    """Each question is refused for a moment, then led elsewhere, then answered: three requests of those that may be asked."""

    def respond(request: Request) -> Answer | None:
        turn = len(server.requests) % 3
        return {1: Answer(503), 2: Answer(302, headers={"Location": request.target})}.get(turn)

    monkeypatch.setattr(asking, "SYSTEM_CLOCK", RecordingClock())
    with DoubleServer(Ckan(count=250)) as server:
        server.script(respond)
        with connected(monkeypatch, "library_api", server.url):
            code, output = checked(capsys, "library_api", "--path", Ckan.path)
        assert (code, len(server.requests)) == (1, MOST_REQUESTS), output
    assert "Requests   20 of 20" in output


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"data": []}, "The list of records at `data` is empty"),
        ({"rows": [[1, "s3cret value"]]}, "Its lists hold no objects"),
        ({"links": {}}, "The answer holds no list of records."),
        ("<html>s3cret value</html>", "not whole, valid JSON"),
    ],
)
def test_nothing_to_look_at_is_said_in_the_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dlt_home: Path, body: Any, said: str
) -> None:
    with ApiServer() as server, connected(monkeypatch, "library_api", server.url):
        server.script(lambda _: Answer(200, body))
        code, output = checked(capsys, "library_api")
        assert (code, len(server.requests)) == (1, 1)
    assert said in output.splitlines()[-1]
    assert "s3cret" not in output


@pytest.mark.parametrize(
    ("conn_id", "said"), [("nobody_api", "`nobody_api` does not exist"), ("Nobody", "is called `<api>_api`")]
)
def test_a_connection_that_is_not_there_is_said(
    capsys: pytest.CaptureFixture[str], dlt_home: Path, conn_id: str, said: str
) -> None:
    code, output = checked(capsys, conn_id)
    assert (code, said in output.splitlines()[-1]) == (1, True), output
