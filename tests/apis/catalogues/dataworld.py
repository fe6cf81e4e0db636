"""data.world's list of one's own datasets (datadotworld/dwapi-spec): a token in the body goes on, no total."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, ordered, position, token
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request

FORM = "%Y-%m-%dT%H:%M:%S.000Z"


@dataclass
class DataWorld(Double):
    """`key` as a bearer token."""

    path: ClassVar[str] = "/v0/user/datasets/own"
    modified: ClassVar[str] = "updated"

    key: str | None = "token"
    default_limit: int = 10
    limit_cap: int = 50

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": f"dataset-{number}",
            "owner": made_up.owner(number),
            "title": made_up.title(number),
            "visibility": "OPEN",
            "created": made_up.text(made_up.created(number), FORM),
            "updated": made_up.text(made_up.changed(number), FORM),
            "tags": made_up.words(number),
            "files": [{"name": "data.csv", "sizeInBytes": number, "source": {"syncStatus": "OK"}}],
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            raise Refused(401, "Unauthorized")
        found, sort = serving.records, query.get("sort", "")
        if sort:
            if sort.lstrip("+-") not in ("updated", "created", "title"):
                raise Refused(400, f"The field {sort} cannot be sorted by.")
            found = ordered(found, sort.lstrip("+-"), sort.startswith("-"))
        limit = serving.size(min(number(query, "limit", self.default_limit, least=1), self.limit_cap))
        first = position(query["next"]) if query.get("next") else 0
        body: dict[str, Any] = {"records": serving.page(found, first, limit)}
        if serving.goes_on(found, first + limit):
            body["nextPageToken"] = token(first + limit)
        return Answer(200, body)

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"code": status, "message": message})
