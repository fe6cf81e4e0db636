"""CKAN `package_search` (ckan/ckan `logic/action/get.py`): rows by score, in another order from request to request.

Known for fewer rows than asked for where the site caps, and for 200 with `success: false`. `fq=metadata_modified:[a TO b]`
includes both ends (assumed: Solr's syntax).
"""

from dataclasses import dataclass
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, ordered
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import of_a_search, that_hold
from tests.support.api_server import Answer, Request

FORM = "%Y-%m-%dT%H:%M:%S.%f"
FIELDS = {name: name for name in ("metadata_modified", "metadata_created", "name", "id")}


@dataclass
class Ckan(Double):
    """`key` in the header `key_header`, which a site may rename; `row_cap` is the site's."""

    path: ClassVar[str] = "/api/3/action/package_search"
    modified: ClassVar[str] = "metadata_modified"

    default_rows: int = 10
    row_cap: int = 100
    key_header: str = "Authorization"

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": made_up.identifier(number),
            "name": f"package-{number}",
            "title": made_up.title(number),
            "metadata_created": made_up.text(made_up.created(number), FORM),
            "metadata_modified": made_up.text(made_up.changed(number), FORM),
            "organization": {"name": made_up.owner(number), "is_organization": True},
            "tags": [{"name": word, "state": "active"} for word in made_up.words(number)],
            "resources": [
                {"id": made_up.identifier(file, "resource"), "format": "CSV", "size": None}
                for file in range(number, number + number % 3)
            ],
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        if self.key is not None and request.headers.get(self.key_header) != self.key:
            raise Refused(403, "Access denied")
        query = request.query
        found = that_hold(serving.records, of_a_search(query.get("fq", ""), FIELDS))
        # No order asked for: by score, which is the same for all.
        found = _sorted(found, query["sort"]) if query.get("sort") else serving.unordered(found)
        rows = serving.size(min(number(query, "rows", self.default_rows), self.row_cap))
        results = serving.page(found, number(query, "start", 0), rows)
        return Answer(200, {"success": True, "result": {"count": serving.total(found), "results": results}})

    def refusal(self, status: int, message: str) -> Answer:
        # What is wrong with the query comes with a status that says that nothing is.
        error = {"__type": "Search Query Error", "message": message}
        return Answer(200 if status == 400 else status, {"success": False, "error": error})


def _sorted(found: list[Record], sort: str) -> list[Record]:
    """`found` by `field asc, other desc`: the first counts most."""
    for part in reversed(sort.split(",")):
        name, _, direction = part.strip().partition(" ")
        if name not in FIELDS:
            raise Refused(400, f"The field {name} cannot be sorted by.")
        found = ordered(found, name, direction.strip().lower() == "desc")
    return found
