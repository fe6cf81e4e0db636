"""The registry of GBIF (gbif/registry): offsets up to a cap, `endOfRecords`.

Known for a limit that is lowered without a word, and for 429 or 503 with `Retry-After` only sometimes. `modifiedDate=a,b`
includes both ends (assumed); so is that a refused offset is a 400.
"""

from dataclasses import dataclass
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import between, that_hold
from tests.support.api_server import Answer, Request

FORM = "%Y-%m-%dT%H:%M:%S.000+00:00"


@dataclass
class Gbif(Double):
    """Nobody needs a key. `busy_each`: each so-manieth request is told to come again; None: none is."""

    path: ClassVar[str] = "/v1/dataset"
    primary_key: ClassVar[str] = "key"
    modified: ClassVar[str] = "modified"

    count: int = 1200
    default_limit: int = 20
    limit_cap: int = 100
    offset_cap: int = 1000
    busy_each: int | None = None

    @staticmethod
    def record(number: int) -> Record:
        return {
            "key": made_up.identifier(number),
            "title": made_up.title(number),
            "type": "OCCURRENCE" if number % 3 else "CHECKLIST",
            "publishingOrganizationKey": made_up.identifier(number % 5, "organization"),
            "created": made_up.text(made_up.created(number), FORM),
            "modified": made_up.text(made_up.changed(number), FORM),
            "contacts": [{"key": number, "lastName": "Nowak", "email": ["a@city.test"]}] * (number % 3),
            "taxonomicCoverages": [],
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        if self.busy_each and serving.turn % self.busy_each == self.busy_each - 1:
            # In turn: one that says when, and one that does not.
            says_when = serving.turn // self.busy_each % 2 == 0
            return Answer(429, "", {"Retry-After": "1"}) if says_when else Answer(503, "")
        query = request.query
        offset, limit = number(query, "offset", 0), number(query, "limit", self.default_limit)
        if offset >= self.offset_cap:
            raise Refused(400, f"Offset is limited for this operation to {self.offset_cap}")
        found = serving.records
        if query.get("modifiedDate"):
            start, _, end = query["modifiedDate"].partition(",")
            found = that_hold(found, [between(self.modified, start, end or start)])
        limit = serving.size(min(limit, self.limit_cap))
        body = {
            "offset": offset,
            "limit": limit,
            "endOfRecords": not serving.goes_on(found, offset + limit),
            "count": serving.total(found),
            "results": serving.page(found, offset, limit),
        }
        return Answer(200, body)
