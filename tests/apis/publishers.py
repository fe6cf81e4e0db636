"""Parents and their children: `/v1/publishers`, and `/v1/publishers/{id}/datasets` for each of them.

Both page by `offset` and `limit`, and have `data` and `total`. Some publishers have no dataset; one may vanish between the
page that names it and the question for its datasets.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number
from tests.apis.serving import Faults, Record, Serving
from tests.support.api_server import Answer, Request

CHILDREN = re.compile(r"/v1/publishers/([^/]+)/datasets")


@dataclass
class Publishers(Double):
    """`count` publishers (`records`); publisher n has n % `most_children` datasets: `children`, by its id.

    `key` in the query. Add an id to `vanished`, and it is a 404. `faults` are those of the parents' pages, but where
    `faulty_parent` says whose children are broken instead.
    """

    path: ClassVar[str] = "/v1/publishers"
    modified: ClassVar[str] = "updated_at"

    count: int = 50
    most_children: int = 7
    default_limit: int = 100
    limit_cap: int = 100
    faulty_parent: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vanished: set[str] = set()
        self.children: dict[str, list[Record]] = {
            publisher["id"]: [_dataset(place, child) for child in range(place % self.most_children)]
            for place, publisher in enumerate(self.records)
        }

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": f"publisher-{number}",
            "name": f"{made_up.owner(number)} {number}",
            "address": {"city": made_up.title(number), "lines": made_up.words(number)},
            "updated_at": made_up.text(made_up.changed(number)),
        }

    def serves(self, path: str) -> bool:
        return path == self.path or CHILDREN.fullmatch(path) is not None

    def respond(self, request: Request, serving: Serving) -> Answer:
        query, child = request.query, CHILDREN.fullmatch(request.path)
        if self.key is not None and query.get("api_key") != self.key:
            raise Refused(401, "The key is missing or wrong.")
        parent = child and child[1]
        if parent in self.vanished or (parent and parent not in self.children):
            raise Refused(404, f"There is no publisher {parent}.")
        found = self.children[parent] if parent else serving.records
        if parent != self.faulty_parent:
            serving = Serving(serving.records, serving.turn, Faults())
        limit = serving.size(min(number(query, "limit", self.default_limit, least=1), self.limit_cap))
        page = serving.page(found, number(query, "offset", 0), limit)
        return Answer(200, {"data": page, "total": serving.total(found)})


def _dataset(publisher: int, place: int) -> Record:
    which = publisher * 1000 + place
    return {
        "id": made_up.identifier(which),
        "title": made_up.title(which),
        "updated_at": made_up.text(made_up.changed(which)),
        "tags": made_up.words(which),
    }
