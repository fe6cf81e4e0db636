"""Each server gives all its records to a plain client that pages as the server says; and what clients trip over.

What stands here was seen, so that a declaration can be written from it: the docstrings of the families' modules.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.apis.servers.content import CREDENTIALS, IN_WINDOW, RECORD_COUNT, RECORDS, WINDOW
from tests.apis.servers.started import Servers

Records = list[dict[str, Any]]
TOKEN = {"Authorization": f"Token {CREDENTIALS['token']}"}
BASIC = (CREDENTIALS["login"], CREDENTIALS["password"])
API_KEY = {"X-API-Key": CREDENTIALS["api_key"]}
CLIENT = (CREDENTIALS["client_id"], CREDENTIALS["client_secret"])
PAGE_SIZE = 50
PAGES = 5

OBJECTS = {"_shape": "objects", "_json": ["author", "tags"], "_size": PAGE_SIZE}
DJANGO_WINDOW = {"modified__gte": WINDOW[0], "modified__lt": WINDOW[1]}
JSON_API_WINDOW = {"filter[modified.gte]": WINDOW[0], "filter[modified.lt]": WINDOW[1]}


def get(url: str, **kwargs: Any) -> requests.Response:
    """An answer that is no error, from that address itself."""
    answer = requests.get(url, timeout=30, allow_redirects=False, **kwargs)
    assert answer.status_code == 200, answer.text
    return answer


def by_number(url: str, name: str, steps: Iterator[int], **kwargs: Any) -> Iterator[requests.Response]:
    """The pages at the positions or numbers `steps`, sent as `name`."""
    params = kwargs.pop("params")
    for step in steps:
        yield get(url, params=params | {name: step}, **kwargs)


def by_link(url: str, next_of: Callable[[requests.Response], str | None], **kwargs: Any) -> Iterator[requests.Response]:
    """The pages from the first one on to the one without a next link; parameters belong to the first."""
    params = kwargs.pop("params", None)
    following: str | None = url
    while following:
        answer = get(following, params=params, **kwargs)
        yield answer
        following, params = next_of(answer), None


def header_link(answer: requests.Response) -> str | None:
    """The next page as the header Link has it, None: this is the last one."""
    return answer.links.get("next", {}).get("url")


def records_of(pages: Iterator[requests.Response], name: str, total: str | None = None) -> tuple[Records, set[Any]]:
    """The records of at least two pages, and which totals those gave. An empty `name`: the body is the list."""
    bodies = [page.json() for page in pages]
    assert len(bodies) > 1
    totals = {body[total] for body in bodies} if total else set()
    return [record for body in bodies for record in (body[name] if name else body)], totals


def test_the_records_are_such_that_a_load_can_go_wrong() -> None:
    """No page size divides them; records share moments, and a window that takes both of its ends has more."""
    assert len({record["id"] for record in RECORDS}) == RECORD_COUNT
    assert all(RECORD_COUNT % size for size in (10, 20, 25, 50, 100))
    assert len({record["modified"] for record in RECORDS}) < RECORD_COUNT / 3
    assert PAGE_SIZE < len(IN_WINDOW) < len([one for one in RECORDS if WINDOW[0] <= one["modified"] <= WINDOW[1]])
    assert any(record["modified"] == WINDOW[0] for record in IN_WINDOW)


@pytest.mark.parametrize(("params", "expected"), [({}, RECORDS), (DJANGO_WINDOW, IN_WINDOW)], ids=["all", "window"])
class TestDjangoRestFramework:
    def test_limit_offset(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        url = servers["django"].url + "/drf/limit-offset/"
        steps = iter(range(0, len(expected), PAGE_SIZE))
        pages = by_number(url, "offset", steps, params=params | {"limit": PAGE_SIZE}, headers=TOKEN)
        assert records_of(pages, "results", "count") == (expected, {len(expected)})

    def test_page_number(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        url = servers["django"].url + "/drf/pages/"
        steps = iter(range(1, -(-len(expected) // PAGE_SIZE) + 1))
        pages = by_number(url, "page", steps, params=params | {"page_size": PAGE_SIZE}, auth=BASIC)
        assert records_of(pages, "results", "count") == (expected, {len(expected)})

    def test_cursor(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        """Newest first: records of one moment stand on two pages, and none is missing."""
        pages = by_link(servers["django"].url + "/drf/cursor/", lambda page: page.json()["next"], params=params)
        records, _ = records_of(pages, "results")
        assert records == sorted(expected, key=lambda one: (one["modified"], one["id"]), reverse=True)


@pytest.mark.parametrize(("params", "expected"), [({}, RECORDS), (DJANGO_WINDOW, IN_WINDOW)], ids=["all", "window"])
def test_django_ninja(servers: Servers, params: dict[str, str], expected: Records) -> None:
    url = servers["django"].url + "/ninja/articles"
    steps = iter(range(0, len(expected), PAGE_SIZE))
    pages = by_number(url, "offset", steps, params=params | {"limit": PAGE_SIZE}, headers=API_KEY)
    assert records_of(pages, "items", "count") == (expected, {len(expected)})


@pytest.mark.parametrize(("params", "expected"), [({}, RECORDS), (JSON_API_WINDOW, IN_WINDOW)], ids=["all", "window"])
class TestJsonApi:
    def test_page_number(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        url = servers["django"].url + "/jsonapi/articles/"
        steps = iter(range(1, -(-len(expected) // PAGE_SIZE) + 1))
        pages = list(by_number(url, "page[number]", steps, params=params | {"page[size]": PAGE_SIZE}))
        assert self.flat(iter(pages)) == expected
        assert {page.json()["meta"]["pagination"]["count"] for page in pages} == {len(expected)}

    def test_links(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        url = servers["django"].url + "/jsonapi/articles/"
        assert self.flat(by_link(url, lambda page: page.json()["links"]["next"], params=params)) == expected

    def flat(self, pages: Iterator[requests.Response]) -> Records:
        resources, _ = records_of(pages, "data")
        return [{"id": int(one["id"]), **one["attributes"]} for one in resources]


@pytest.mark.parametrize(("params", "expected"), [({}, RECORDS), (DJANGO_WINDOW, IN_WINDOW)], ids=["all", "window"])
class TestDatasette:
    def test_links(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        url = servers["datasette"].url + "/library/articles.json"
        pages = by_link(url, lambda page: page.json()["next_url"], params=OBJECTS | params)
        assert records_of(pages, "rows", "filtered_table_rows_count") == (expected, {len(expected)})

    def test_links_in_a_header(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        url = servers["datasette"].url + "/library/articles.json"
        pages = by_link(url, header_link, params=OBJECTS | params | {"_shape": "array"})
        assert records_of(pages, "") == (expected, set())

    def test_cursor(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        url, cursor, records = servers["datasette"].url + "/library/articles.json", "0", []
        while cursor:
            body = get(url, params=OBJECTS | params | {"_next": cursor}).json()
            records += body["rows"]
            cursor = body["next"]
        assert records == expected


class TestJsonServer0:
    WINDOW = {"modified_gte": WINDOW[0], "modified_lte": WINDOW[1]}

    def test_page_number(self, servers: Servers) -> None:
        url = servers["json-server-0.17"].url + "/articles"
        pages = list(by_number(url, "_page", iter(range(1, PAGES + 1)), params={"_limit": PAGE_SIZE}))
        assert records_of(iter(pages), "") == (RECORDS, set())
        assert {page.headers["X-Total-Count"] for page in pages} == {str(RECORD_COUNT)}

    def test_links_in_a_header(self, servers: Servers) -> None:
        pages = by_link(servers["json-server-0.17"].url + "/articles", header_link, params={"_page": 1})
        assert records_of(pages, "") == (RECORDS, set())

    def test_offset(self, servers: Servers) -> None:
        url = servers["json-server-0.17"].url + "/articles"
        pages = by_number(url, "_start", iter(range(0, RECORD_COUNT, PAGE_SIZE)), params={"_limit": PAGE_SIZE})
        assert records_of(pages, "") == (RECORDS, set())

    def test_a_window_takes_both_of_its_ends(self, servers: Servers) -> None:
        """A client that takes the end for exclusive loads its records twice."""
        answer = get(servers["json-server-0.17"].url + "/articles", params=self.WINDOW)
        assert answer.json() == [one for one in RECORDS if WINDOW[0] <= one["modified"] <= WINDOW[1]]

    def test_beyond_the_end_is_nothing(self, servers: Servers) -> None:
        answer = get(servers["json-server-0.17"].url + "/articles", params={"_page": 99, "_limit": PAGE_SIZE})
        assert (answer.json(), answer.headers["X-Total-Count"]) == ([], str(RECORD_COUNT))


class TestJsonServer1:
    WINDOW = {"modified:gte": WINDOW[0], "modified:lt": WINDOW[1]}

    @pytest.mark.parametrize(("params", "expected"), [({}, RECORDS), (WINDOW, IN_WINDOW)], ids=["all", "window"])
    def test_page_number(self, servers: Servers, params: dict[str, str], expected: Records) -> None:
        """Every id has become a text."""
        url = servers["json-server-1"].url + "/articles"
        steps = iter(range(1, -(-len(expected) // PAGE_SIZE) + 1))
        pages = by_number(url, "_page", steps, params=params | {"_per_page": PAGE_SIZE})
        assert records_of(pages, "data", "items") == (
            [one | {"id": str(one["id"])} for one in expected],
            {len(expected)},
        )

    def test_beyond_the_end_is_the_last_page_again(self, servers: Servers) -> None:
        """A client that reads up to an empty page never ends, or loads that page twice."""
        url = servers["json-server-1"].url + "/articles"
        last, beyond = by_number(url, "_page", iter((PAGES, PAGES + 1)), params={"_per_page": PAGE_SIZE})
        assert beyond.json() == last.json()
        assert last.json()["next"] is None


class TestOAuth2:
    @pytest.mark.parametrize("sent", ["basic", "form"])
    def test_page_number_behind_a_token(self, servers: Servers, sent: str) -> None:
        base = servers["django"].url
        headers = {"Authorization": f"Bearer {self.token(base, sent)['access_token']}"}
        steps = iter(range(1, PAGES + 1))
        pages = by_number(base + "/oauth/articles/", "page", steps, params={"page_size": PAGE_SIZE}, headers=headers)
        assert records_of(pages, "results", "count") == (RECORDS, {RECORD_COUNT})

    def test_what_comes_with_a_token(self, servers: Servers) -> None:
        token = self.token(servers["django"].url, "basic")
        assert (token["expires_in"], token["token_type"], token["scope"]) == (36000, "Bearer", "read")

    def test_a_token_can_be_taken_back(self, servers: Servers) -> None:
        """So that a client meets a 401 in the midst of its pages, and a new token works."""
        base = servers["django"].url
        token = self.token(base, "basic")["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        get(base + "/oauth/articles/", headers=headers)
        requests.post(base + "/oauth/revoke_token/", {"token": token}, auth=CLIENT, timeout=30).raise_for_status()
        assert requests.get(base + "/oauth/articles/", headers=headers, timeout=30).status_code == 401

    def test_a_wrong_secret_is_refused(self, servers: Servers) -> None:
        form = {"grant_type": "client_credentials"}
        url = servers["django"].url + "/oauth/token/"
        answer = requests.post(url, form, auth=(CREDENTIALS["client_id"], "wrong"), timeout=30)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})

    def token(self, base: str, sent: str) -> dict[str, Any]:
        form = {"grant_type": "client_credentials", "scope": CREDENTIALS["scope"]}
        if sent == "form":
            form |= {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
        auth = CLIENT if sent == "basic" else None
        answer = requests.post(base + "/oauth/token/", form, auth=auth, timeout=30)
        assert answer.ok, answer.text
        return dict(answer.json())


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/drf/limit-offset/", {"Authorization": "Token wrong"}),
        ("/drf/pages/", {"Authorization": requests.auth._basic_auth_str(CREDENTIALS["login"], "wrong")}),
        ("/ninja/articles", {"X-API-Key": "wrong"}),
        ("/oauth/articles/", {"Authorization": "Bearer wrong"}),
    ],
)
def test_a_credential_is_asked_for(servers: Servers, path: str, wrong: dict[str, str]) -> None:
    """None and a wrong one are a 401."""
    for headers in ({}, wrong):
        assert requests.get(servers["django"].url + path, headers=headers, timeout=30).status_code == 401


@pytest.mark.parametrize(
    ("path", "size", "records", "credential"),
    [
        ("/drf/limit-offset/", "limit", "results", {"headers": TOKEN}),
        ("/drf/pages/", "page_size", "results", {"auth": BASIC}),
        ("/drf/cursor/", "page_size", "results", {}),
        ("/ninja/articles", "limit", "items", {"headers": API_KEY}),
        ("/jsonapi/articles/", "page[size]", "data", {}),
    ],
)
def test_a_page_that_is_too_large_is_cut_without_a_word(
    servers: Servers, path: str, size: str, records: str, credential: dict[str, Any]
) -> None:
    """A client that goes on by the size it asked for leaves records out."""
    body = get(servers["django"].url + path, params={size: 1000}, **credential).json()
    assert len(body[records]) == PAGE_SIZE


def test_datasette_refuses_a_page_that_is_too_large(servers: Servers) -> None:
    answer = requests.get(servers["datasette"].url + "/library/articles.json", {"_size": PAGE_SIZE + 1}, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (400, f"_size must be <= {PAGE_SIZE}")


@pytest.mark.parametrize(
    ("path", "number", "credential"),
    [("/drf/pages/", "page", {"auth": BASIC}), ("/jsonapi/articles/", "page[number]", {})],
)
def test_a_page_beyond_the_last_is_a_404(servers: Servers, path: str, number: str, credential: dict[str, Any]) -> None:
    """The end of a collection looks like a path that does not exist."""
    url = servers["django"].url + path
    assert requests.get(url, {number: 99}, timeout=30, **credential).status_code == 404


@pytest.mark.parametrize(
    ("family", "path", "params", "total"),
    [
        ("datasette", "/library/articles.json", {}, "filtered_table_rows_count"),
        ("json-server-1", "/articles", {"_page": 1}, "items"),
    ],
)
def test_an_unknown_parameter_filters_everything_away(
    servers: Servers, family: str, path: str, params: dict[str, Any], total: str
) -> None:
    """A name that is wrong by a letter ends green with nothing, and the total agrees."""
    assert get(servers[family].url + path, params=params | {"pagesize": 10}).json()[total] == 0
