"""A table behind Socrata's SODA 2.0 (dev.socrata.com/docs/paging): an array, no total.

Without `$order` the rows come in another order from request to request. A limit above the cap is lowered (assumed).
"""

from dataclasses import dataclass
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, ordered
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request


@dataclass
class Soda(Double):
    """`key` in a header, which may be missing, but not wrong."""

    path: ClassVar[str] = "/resource/abcd-1234.json"
    primary_key: ClassVar[str] = "unique_key"

    default_limit: int = 100
    limit_cap: int = 5000

    @staticmethod
    def record(number: int) -> Record:
        return {
            # SODA writes numbers as texts, and leaves out what is null.
            "unique_key": str(900000 + number * 13 % 10007),
            "created_date": made_up.text(made_up.created(number), "%Y-%m-%dT%H:%M:%S.000"),
            "agency": made_up.owner(number),
            "location": {"latitude": str(40 + number / 1000), "longitude": "-73.9", "human_address": "{}"},
            **({"descriptor": made_up.title(number)} if number % 4 else {}),
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and request.headers.get("X-App-Token", self.key) != self.key:
            raise Refused(403, "Invalid app_token specified")
        name, _, direction = query.get("$order", "").partition(" ")
        if not name:
            found = serving.unordered(serving.records)
        elif name == ":id":
            # An id of the row, which is not among its fields.
            found = serving.records[:: -1 if direction.lower() == "desc" else 1]
        elif name in ("unique_key", "created_date", "agency"):
            found = ordered(serving.records, name, direction.lower() == "desc")
        else:
            raise Refused(400, f"No such column: {name}")
        limit = serving.size(min(number(query, "$limit", self.default_limit), self.limit_cap))
        return Answer(200, serving.page(found, number(query, "$offset", 0), limit))

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(
            status,
            {"code": "query.soql.invalid" if status == 400 else "permission_denied", "error": True, "message": message},
        )
