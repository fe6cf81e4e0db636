"""Figshare's articles (figshare/user_documentation): page numbers or offsets, an array, no total.

Known for 422 above an offset on which its documents differ, and for a search that is a POST with the paging in its body.
`modified_since` includes its day (assumed), and has no other end. A page that is too large is a 422 (assumed).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, body_of, number, ordered
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import between, that_hold
from tests.support.api_server import Answer, Request

SEARCH = "/v2/articles/search"


@dataclass
class Figshare(Double):
    """`key` as `Authorization: token …` or in the query, which may be missing, but not wrong."""

    path: ClassVar[str] = "/v2/articles"
    modified: ClassVar[str] = "modified_date"

    count: int = 1200
    default_size: int = 10
    size_cap: int = 100
    offset_cap: int = 1000

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": 30000 + number,
            "title": made_up.title(number),
            "doi": f"10.6084/m9.figshare.{30000 + number}",
            "defined_type_name": "dataset",
            "published_date": made_up.text(made_up.created(number)),
            "modified_date": made_up.text(made_up.changed(number)),
            "timeline": {"posted": made_up.text(made_up.created(number)), "revision": None},
            "tags": made_up.words(number),
        }

    def serves(self, path: str) -> bool:
        return path in (self.path, SEARCH)

    def respond(self, request: Request, serving: Serving) -> Answer:
        searches = request.path == SEARCH
        if (request.method == "POST") is not searches:
            raise Refused(405, "The method is not allowed.")
        asked: dict[str, Any] = body_of(request) if searches else dict(request.query)
        given = request.headers.get("Authorization", "").removeprefix("token ") or request.query.get("access_token")
        if self.key is not None and given not in (None, self.key):
            raise Refused(403, "The token is wrong.")
        found = serving.records
        if asked.get("modified_since"):
            found = that_hold(found, [between(self.modified, asked["modified_since"], "*")])
        order = asked.get("order", "published_date")
        if order not in ("published_date", "modified_date"):
            raise Refused(422, f"The order {order} is not known.")
        found = ordered(found, order, asked.get("order_direction", "desc") == "desc")
        first, size = self._place(asked, serving)
        if first > self.offset_cap:
            raise Refused(422, f"The offset has to be at most {self.offset_cap}.")
        return Answer(200, serving.page(found, first, size))

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"code": status, "message": message})

    def _place(self, asked: dict[str, Any], serving: Serving) -> tuple[int, int]:
        """The first position and the size of the page that is asked for."""
        by_number = "page" in asked or "page_size" in asked
        size = number(asked, "page_size" if by_number else "limit", self.default_size, least=1)
        if size > self.size_cap:
            raise Refused(422, f"A page has at most {self.size_cap} records.")
        size = serving.size(size)
        return (number(asked, "page", 1, least=1) - 1) * size if by_number else number(asked, "offset", 0), size
