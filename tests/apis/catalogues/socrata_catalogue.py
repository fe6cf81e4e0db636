"""The catalogue of Socrata: by offset up to a cap, or by scrolling.

Known for scrolling that needs the last id: a number is taken for an id, and, since it sorts before all of them, gives the
first page again. That an offset beyond the cap is a 400 is assumed.
"""

from dataclasses import dataclass
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, ordered
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request


@dataclass
class SocrataCatalogue(Double):
    """`key` in a header, which may be missing, but not wrong; `offset` + `limit` is at most `position_cap`."""

    path: ClassVar[str] = "/api/catalog/v1"
    primary_key: ClassVar[str] = "resource.id"
    modified: ClassVar[str] = "resource.updatedAt"

    count: int = 1200
    default_limit: int = 100
    position_cap: int = 1000

    @staticmethod
    def record(number: int) -> Record:
        return {
            "resource": {
                # Ids are two groups of four letters and digits; the order of theirs is not that of the numbers.
                "id": f"{'hkmpw'[number % 5]}{number % 997:03x}-{number:04x}",
                "name": made_up.title(number),
                "type": "dataset",
                "updatedAt": made_up.text(made_up.changed(number), "%Y-%m-%dT%H:%M:%S.000Z"),
                "columns_name": made_up.words(number),
                "page_views": {"page_views_total": number * 3},
            },
            "classification": {"domain_category": made_up.owner(number), "tags": made_up.words(number)},
            "metadata": {"domain": "data.city.test"},
            "permalink": f"https://data.city.test/d/{number}",
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and request.headers.get("X-App-Token", self.key) != self.key:
            raise Refused(403, "Invalid app_token specified")
        found, limit = serving.records, number(query, "limit", self.default_limit)
        if "scroll_id" in query:
            found = ordered(found, self.primary_key)
            offset = sum(record["resource"]["id"] <= query["scroll_id"] for record in found)
        else:
            offset = number(query, "offset", 0)
            if offset + limit > self.position_cap:
                raise Refused(400, f"offset + limit has to be at most {self.position_cap}; use scroll_id.")
        results = serving.page(found, offset, serving.size(limit))
        return Answer(200, {"results": results, "resultSetSize": serving.total(found)})
