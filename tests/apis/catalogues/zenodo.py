"""Zenodo, an InvenioRDM (zenodo/developers.zenodo.org): page numbers that end at a record, smaller pages without a token.

Known for 30 searches a minute, said in `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds since 1970). A page that is too
large is a 400 (assumed). `q=updated:[a TO b]` includes both ends, a brace excludes one (Elasticsearch's syntax).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, link, number, ordered
from tests.apis.quota import Allowance
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import of_a_search, that_hold
from tests.support.api_server import Answer, Request

FORM = "%Y-%m-%dT%H:%M:%S.%f+00:00"
FIELDS = {name: name for name in ("updated", "created")}


@dataclass
class Zenodo(Double):
    """`key` as a bearer token, which may be missing, but not wrong. `quota=Quota(30, 60)` is that of the searches."""

    path: ClassVar[str] = "/api/records"
    modified: ClassVar[str] = "updated"

    count: int = 1200
    key: str | None = "token"
    default_size: int = 25
    size_cap: int = 25
    size_cap_with_token: int = 100
    record_cap: int = 1000

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": 7000000 + number,
            "doi": f"10.5281/zenodo.{7000000 + number}",
            "created": made_up.text(made_up.created(number), FORM),
            "updated": made_up.text(made_up.changed(number), FORM),
            "revision": number % 5 + 1,
            "metadata": {
                "title": made_up.title(number),
                "creators": [{"name": "Nowak, Zofia", "orcid": None}] * (number % 3),
                "keywords": made_up.words(number),
                "access_right": "open",
            },
            "files": [{"key": "data.csv", "size": number * 100, "checksum": f"md5:{number:032x}"}],
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query, header = request.query, request.headers.get("Authorization")
        if header is not None and header != f"Bearer {self.key}":
            raise Refused(401, "The token is wrong.")
        size_cap = self.size_cap if header is None else self.size_cap_with_token
        page, size = number(query, "page", 1, least=1), number(query, "size", self.default_size, least=1)
        if size > size_cap:
            raise Refused(400, f"Page size cannot be greater than {size_cap}.")
        if page * size > self.record_cap:
            raise Refused(400, f"Maximum number of {self.record_cap} results have been reached.")
        found = that_hold(serving.records, of_a_search(query.get("q", ""), FIELDS))
        if query.get("sort", "").removeprefix("-") == "mostrecent":
            found = ordered(found, self.modified, descending=not query["sort"].startswith("-"))
        size = serving.size(size)
        links = {"self": link(request, page=page)}
        if serving.goes_on(found, page * size):
            links["next"] = link(request, page=page + 1)
        hits: dict[str, Any] = {"hits": serving.page(found, (page - 1) * size, size), "total": serving.total(found)}
        headers = self._counters(serving.allowance) if serving.allowance else {}
        return Answer(200, {"hits": hits, "links": links}, headers)

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"status": status, "message": message})

    def throttled(self, allowance: Allowance) -> Answer:
        return Answer(429, {"status": 429, "message": "30 per 1 minute"}, self._counters(allowance))

    def _counters(self, allowance: Allowance) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(allowance.requests),
            "X-RateLimit-Remaining": str(allowance.remaining),
            "X-RateLimit-Reset": str(round(self.clock() + allowance.reset_seconds)),
        }
