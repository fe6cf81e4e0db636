"""An API that pages by whatever kind it is told, and by nothing else: for what is to hold for each kind alike.

Known for nothing. Each kind in its usual words: `offset` and `limit`, `page` and `size`, `cursor`, links.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, body_of, link, number, position, token
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request


@dataclass
class Paged(Double):
    """`kind` as dlt calls it. `total`: what the answers name, `records` or `pages`; None: nothing. POST has the paging in its body."""

    path: ClassVar[str] = "/items"

    count: int = 60
    kind: str = "offset"
    total: str | None = "records"
    size: int = 10
    first_page: int = 0

    @staticmethod
    def record(number: int) -> Record:
        return {"id": number, "title": made_up.title(number), "owner": {"name": made_up.owner(number)}}

    def respond(self, request: Request, serving: Serving) -> Answer:
        found = serving.records
        asked: dict[str, Any] = body_of(request) if request.method == "POST" else dict(request.query)
        size = serving.size(self.size)
        if self.kind == "single_page":
            size = len(found)
        first = self._first(asked, size)
        rows = serving.page(found, first, size)
        body: dict[str, Any] = {"data": rows}
        if self.total == "records":
            body["total"] = serving.total(found)
        elif self.total == "pages":
            body["pages"] = -(-serving.total(found) // size)
        headers: dict[str, str] = {}
        if serving.goes_on(found, first + len(rows)) and rows:
            _NAME_NEXT.get(self.kind, _name_nothing)(request, body, headers, first + len(rows))
        return Answer(200, body, headers)

    def _first(self, asked: dict[str, Any], size: int) -> int:
        match self.kind:
            case "offset":
                return number(asked, "offset", 0)
            case "page_number":
                return (number(asked, "page", self.first_page, least=self.first_page) - self.first_page) * size
        return position(asked["cursor"]) if asked.get("cursor") else 0


NameNext = Callable[[Request, dict[str, Any], dict[str, str], int], None]


def _name_nothing(request: Request, body: dict[str, Any], headers: dict[str, str], end: int) -> None:
    pass


def _cursor(request: Request, body: dict[str, Any], headers: dict[str, str], end: int) -> None:
    body["next_cursor"] = token(end)


def _json_link(request: Request, body: dict[str, Any], headers: dict[str, str], end: int) -> None:
    body["next"] = link(request, cursor=token(end))


def _header_link(request: Request, body: dict[str, Any], headers: dict[str, str], end: int) -> None:
    headers["Link"] = f'<{link(request, cursor=token(end))}>; rel="next"'


def _header_cursor(request: Request, body: dict[str, Any], headers: dict[str, str], end: int) -> None:
    headers["X-Next"] = token(end)


_NAME_NEXT: dict[str, NameNext] = {
    "cursor": _cursor,
    "json_link": _json_link,
    "header_link": _header_link,
    "header_cursor": _header_cursor,
}
