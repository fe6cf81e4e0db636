"""Asks a double over HTTP as a plain client does: no retries, no paging, one connection that stays open."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit


@dataclass(frozen=True)
class Reply:
    """`text` as it came; `body`: that as JSON."""

    status: int
    headers: HTTPMessage
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class Client:
    """A context manager; targets are paths, or whole addresses as links have them."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, target: str, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Reply:
        """GET `target`; `query` is added to what it has."""
        if query:
            target += ("&" if "?" in target else "?") + urlencode(query, quote_via=quote)
        return self._ask("GET", target, None, headers)

    def post(self, target: str, body: dict[str, Any]) -> Reply:
        """POST `body` as JSON."""
        return self._ask("POST", target, json.dumps(body), {"Content-Type": "application/json"})

    def _ask(self, method: str, target: str, body: str | None, headers: dict[str, str] | None) -> Reply:
        parts = urlsplit(target)
        self._connection.request(method, f"{parts.path}?{parts.query}", body, headers or {})
        response = self._connection.getresponse()
        return Reply(response.status, response.headers, response.read().decode())
