"""Dataverse search (IQSS/dataverse): `start` and `per_page`, where a page that is too large is an error.

Known for mixing in other kinds without `type=dataset`. `fq=dateSort:[a TO b]` includes both ends (assumed: Solr's syntax).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, ordered
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import of_a_search, that_hold
from tests.support.api_server import Answer, Request

FIELDS = {"dateSort": "updatedAt"}
ORDERS = {"date": "updatedAt", "name": "name"}


@dataclass
class Dataverse(Double):
    """`key` in a header or in the query. `records` are the datasets; `others` what comes along with them."""

    path: ClassVar[str] = "/api/search"
    primary_key: ClassVar[str] = "global_id"
    modified: ClassVar[str] = "updatedAt"

    default_size: int = 10
    size_cap: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        self.others = [_file(number) for number in range(self.count // 4)]

    @staticmethod
    def record(number: int) -> Record:
        return {
            "type": "dataset",
            "global_id": f"doi:10.5072/FK2/{number:06X}",
            "name": made_up.title(number),
            "published_at": made_up.text(made_up.created(number)),
            "updatedAt": made_up.text(made_up.changed(number)),
            "authors": ["Nowak, Zofia"] * (number % 3),
            "subjects": made_up.words(number),
            "versionState": "RELEASED",
            "majorVersion": number % 4 + 1,
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and self.key not in (request.headers.get("X-Dataverse-key"), query.get("key")):
            raise Refused(401, "The key is missing or wrong.")
        if not query.get("q"):
            raise Refused(400, "q parameter is missing")
        start, size = number(query, "start", 0), number(query, "per_page", self.default_size, least=1)
        if size > self.size_cap:
            raise Refused(400, f"per_page has to be at most {self.size_cap}.")
        found = self._of_the_kind(serving.records, query.get("type"))
        found = that_hold(found, of_a_search(query.get("fq", ""), FIELDS))
        if query.get("sort"):
            if query["sort"] not in ORDERS:
                raise Refused(400, f"The field {query['sort']} cannot be sorted by.")
            found = ordered(found, ORDERS[query["sort"]], query.get("order") == "desc")
        items = serving.page(found, start, serving.size(size))
        data: dict[str, Any] = {"q": query["q"], "total_count": serving.total(found), "start": start}
        return Answer(200, {"status": "OK", "data": {**data, "items": items, "count_in_response": len(items)}})

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"status": "ERROR", "message": message})

    def _of_the_kind(self, records: list[Record], kind: str | None) -> list[Record]:
        if kind == "dataset":
            return records
        if kind == "file":
            return self.others
        # Side by side, as if their scores were alike.
        return ordered([*records, *self.others], "published_at")


def _file(number: int) -> Record:
    return {
        "type": "file",
        "file_id": str(number),
        "name": f"measured-{number}.tab",
        "published_at": made_up.text(made_up.created(number)),
        "updatedAt": made_up.text(made_up.changed(number)),
        "dataset_name": made_up.title(number),
    }
