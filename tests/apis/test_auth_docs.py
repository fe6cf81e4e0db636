"""Each example of docs/auth.md, run against a server that looks at what arrives; and where no secret may arrive."""

import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from dlt.common.configuration import configspec
from dlt.sources.helpers.rest_client.auth import APIKeyAuth

from include import redaction
from include.apis.api import Api
from include.configure.api_connection import api_values
from include.configure.provider import register_connections
from include.decide.failure import failure_of
from include.errors import ConfigurationError
from include.redaction import redact_log_records
from tests.support.api_loader import ApiLoader
from tests.support.api_server import Answer, ApiServer, Request
from tests.support.documents import as_connection, block, sections

EXAMPLES = {title: text for title, text in sections("auth.md").items() if title != "Where a secret goes"}
TOKEN = "f3tched-token/of+the=tests"
HOST = "https://api.example.org"
BASIC = b64encode(b"somebody:pa55word-of-yours").decode()

# What has to arrive, by the heading of the example.
ARRIVES: dict[str, Callable[[Request], bool]] = {
    "A key in the query": lambda asked: asked.query.get("api_key") == "k3y-of-yours",
    "A key in a header": lambda asked: asked.headers.get("X-Api-Key") == "k3y-of-yours",
    "A key in a cookie": lambda asked: SimpleCookie(asked.headers["Cookie"] or "")["session"].value == "k3y-of-yours",
    "A bearer token": lambda asked: asked.headers["Authorization"] == "Bearer t0ken-of-yours",
    "A prefix of its own": lambda asked: asked.headers["Authorization"] == "Token k3y-of-yours",
    "User and password": lambda asked: asked.headers["Authorization"] == f"Basic {BASIC}",
    "OAuth 2.0 client credentials": lambda asked: asked.headers["Authorization"] == f"Bearer {TOKEN}",
    "No key": lambda asked: not {"authorization", "cookie"} & {name.lower() for name in asked.headers} and not asked.query,
    "An object of your own": lambda asked: (asked.headers["X-User"], asked.headers["X-Key"]) == ("somebody", "k3y-of-yours"),
}  # fmt: skip
# Whatever of it is seen elsewhere is a leak: a part of each secret that no escaping changes.
SECRETS = {
    "A prefix of its own": ("k3y-of-yours",),
    "User and password": ("pa55word-of-yours", BASIC),
    "OAuth 2.0 client credentials": (
        *("s3cret-of-yours", TOKEN, quote(TOKEN, safe=""), quote(TOKEN)),
        b64encode(b"client-of-yours:s3cret-of-yours").decode(),
    ),
    "A bearer token": ("t0ken-of-yours",),
}
WITH_SECRETS = [title for title in EXAMPLES if title != "No key"]


def secrets_of(title: str) -> tuple[str, ...]:
    return SECRETS.get(title, ("k3y-of-yours",))


@pytest.fixture(autouse=True)
def _no_secret_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)
    monkeypatch.setattr(redaction, "_records_are_redacted", False)
    make_record = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(make_record)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ApiServer, ApiServer]]:
    with ApiServer() as here, ApiServer() as elsewhere:
        yield here, elsewhere


@pytest.fixture
def here(servers: tuple[ApiServer, ApiServer]) -> ApiServer:
    """The API, which also gives tokens."""
    servers[0].reset()
    return servers[0]


@pytest.fixture
def elsewhere(servers: tuple[ApiServer, ApiServer]) -> ApiServer:
    """Another host: `localhost`, where the API is `127.0.0.1`."""
    servers[1].reset()
    servers[1].script(lambda _: Answer(200, [{"id": 2}]))
    return servers[1]


@configspec
class Signed(APIKeyAuth):
    """Of somebody's own: its secret comes from no connection."""


class Example:
    """One section of the page, told that the API is `server`."""

    def __init__(self, title: str, home: Path, server: ApiServer) -> None:
        self.title, self.server = title, server
        namespace: dict[str, Any] = {}
        exec(block(EXAMPLES[title], "python").replace(HOST, server.url), namespace)  # the page's own
        self._config = namespace["SHELF"].config
        self.fields = json.loads(block(EXAMPLES[title], "json").replace(HOST, server.url))
        self.home = home

    def loader(self, other_hosts: tuple[str, ...] = (), resources: Any = ("books",), **endpoint: Any) -> ApiLoader:
        """Loads the declaration; with another endpoint, or with children, where a test says so."""

        def config() -> Any:
            config = self._config()
            (books,) = config["resources"]
            books["endpoint"] |= endpoint
            if resources != ("books",):
                pages = {"path": "{resources.books.pages}", "paginator": "single_page"}
                config["resources"].append({"name": "pages", "write_disposition": "replace", "endpoint": pages})
            return config

        api = Api("shelf", resources=resources, config=config, other_hosts=other_hosts)
        loader = ApiLoader(self.home, api)
        register_connections(api, api_values(as_connection("shelf_api", self.fields)), None)
        return loader

    def serve(self, answer: Callable[[Request], Answer]) -> None:
        """The API asks for the credentials, and then gives what `answer` says."""

        def guarded(request: Request) -> Answer:
            if request.path == "/oauth/token":
                return token_for(request)
            if not self.arrives(request):
                return Answer(401, {"error": "who are you?"})
            return answer(request)

        self.server.script(guarded)

    def arrives(self, request: Request) -> bool:
        try:
            return ARRIVES[self.title](request)
        except KeyError:
            return False


def token_for(request: Request) -> Answer:
    """RFC 6749, 4.4.2."""
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    expected = {
        "grant_type": "client_credentials",
        "client_id": "client-of-yours",
        "client_secret": "s3cret-of-yours",
        "scope": "books:read",
    }
    if request.method != "POST" or form != expected:
        return Answer(400, {"error": "invalid_client"})
    return Answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})


@pytest.fixture
def example(request: pytest.FixtureRequest, dlt_home: Path, here: ApiServer) -> Example:
    return Example(request.param, dlt_home, here)


def each(titles: list[str]) -> Any:
    return pytest.mark.parametrize("example", titles, indirect=True)


def test_each_kind_of_dlts_has_its_section() -> None:
    assert list(ARRIVES) == list(EXAMPLES)


# --- what arrives


@each(list(EXAMPLES))
def test_what_the_page_says_arrives(example: Example) -> None:
    example.serve(lambda _: Answer(200, [{"id": 1}]))
    assert [record["id"] for record in example.loader().read()] == [1]


def test_a_password_that_nobody_would_send_is_refused(dlt_home: Path, here: ApiServer) -> None:
    example = Example("No key", dlt_home, here)
    example.fields["password"] = "k3y-of-yours"
    with pytest.raises(Exception, match="has a password, and neither the declaration nor the option `auth` says"):
        example.loader().read()
    assert here.requests == []


def test_a_token_that_is_refused_is_fetched_again_once(dlt_home: Path, here: ApiServer) -> None:
    example = Example("OAuth 2.0 client credentials", dlt_home, here)
    tokens = iter(["first-token", "second-token", "third-token"])

    def answer(request: Request) -> Answer:
        if request.path == "/oauth/token":
            return Answer(200, {"access_token": next(tokens)})
        good = request.headers["Authorization"] == "Bearer second-token"
        return Answer(200, [{"id": 1}]) if good else Answer(401)

    here.script(answer)
    assert example.loader().read()
    assert [request.path for request in here.requests] == ["/oauth/token", "/books"] * 2


def test_what_dlt_would_not_take_is_refused(dlt_home: Path, here: ApiServer) -> None:
    from requests.auth import HTTPDigestAuth

    def config() -> Any:
        return {"client": {"auth": HTTPDigestAuth("somebody", "pa55word")}, "resources": ["books"]}

    api = Api("shelf", resources=("books",), config=config)
    with pytest.raises(ConfigurationError, match="class `HTTPDigestAuth`, which dlt's REST source does not take"):
        ApiLoader(dlt_home, api).connect(here.url).read()


def test_a_secret_of_an_object_of_ones_own_is_redacted(dlt_home: Path, here: ApiServer) -> None:
    config = {"client": {"auth": Signed(name="X-Signed", api_key="private-k3y-of-yours")}, "resources": ["books"]}
    api: Any = Api("shelf", resources=("books",), config=lambda: config)  # type: ignore[arg-type, return-value]
    ApiLoader(dlt_home, api).connect(here.url).source()
    assert redaction.redact("the private-k3y-of-yours is") == "the *** is"


# --- where nothing of it may be


class Told(logging.Handler):
    """Everything that is logged, at every level, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@each(WITH_SECRETS)
def test_no_spelling_of_it_is_told(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    # The worst setting that a user may choose, and an API that repeats what it was sent.
    monkeypatch.setenv("RUNTIME__HTTP_SHOW_ERROR_BODY", "true")
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "1")
    told, root = Told(), logging.getLogger()
    level = root.level
    root.addHandler(told)
    root.setLevel(logging.DEBUG)
    redact_log_records()

    def echo(request: Request) -> Answer:
        secrets = " ".join(secrets_of(example.title))
        return Answer(422, {"error": f"{request.target} {json.dumps(dict(request.headers))} {secrets}"})

    example.serve(echo)
    try:
        with pytest.raises(Exception, match="422") as caught:
            example.loader().read()
    finally:
        root.removeHandler(told)
        root.setLevel(level)
    texts = [*told.texts, str(failure_of(caught.value)), "".join(traceback.format_exception(caught.value))]
    # The whole of the answer is there, without them.
    assert any("Accept-Encoding" in text for text in texts)
    assert [text for text in texts for secret in secrets_of(example.title) if secret in text] == []


def leaked(example: Example, server: ApiServer) -> list[str]:
    """What of the secrets has come to `server`."""
    came = [f"{request.target} {dict(request.headers)} {request.body!r}" for request in server.requests]
    return [text for text in came for secret in secrets_of(example.title) if secret in text]


@each(WITH_SECRETS)
def test_no_redirect_takes_it_elsewhere(example: Example, elsewhere: ApiServer) -> None:
    there = f"http://localhost:{elsewhere.port}/books"
    example.serve(lambda _: Answer(302, headers={"Location": there}))
    with pytest.raises(Exception, match="was redirected to another host, localhost"):
        example.loader(other_hosts=("localhost",)).read()
    assert elsewhere.requests == []


@each(WITH_SECRETS)
def test_no_next_link_takes_it_elsewhere(example: Example, elsewhere: ApiServer) -> None:
    there = f"http://localhost:{elsewhere.port}/books"
    example.serve(lambda _: Answer(200, [{"id": 1}], {"Link": f'<{there}>; rel="next"'}))
    with pytest.raises(Exception, match="leads to another host, localhost"):
        example.loader(paginator="header_link").read()
    assert elsewhere.requests == []
    # Where the declaration names the host, without it.
    read = example.loader(other_hosts=("localhost",), paginator="header_link").read()
    assert [record["id"] for record in read] == [1, 2]
    assert elsewhere.requests
    assert leaked(example, elsewhere) == []


@each(WITH_SECRETS)
def test_no_address_of_a_child_takes_it_elsewhere(example: Example, elsewhere: ApiServer) -> None:
    there = f"http://localhost:{elsewhere.port}/pages"
    example.serve(lambda _: Answer(200, [{"id": 1, "pages": there}]))
    family = (("books", "pages"),)
    with pytest.raises(Exception, match="leads to another host, localhost"):
        example.loader(resources=family).read()
    assert elsewhere.requests == []
    assert example.loader(other_hosts=("localhost",), resources=family).read()
    assert elsewhere.requests
    assert leaked(example, elsewhere) == []
