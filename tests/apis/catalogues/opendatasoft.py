"""OpenDataSoft Explore 2.1 (its OpenAPI document): offset and limit end at a position, exports do not.

Known for a 429 whose body, not whose headers, says when one may ask again. A limit above the cap is an error (assumed).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, ordered
from tests.apis.quota import Allowance
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import of_odsql, that_hold
from tests.support.api_server import Answer, Request

EXPORT = "/api/explore/v2.1/catalog/exports/json"
FORM = "%Y-%m-%dT%H:%M:%S+00:00"
FIELDS = {"modified": "metas.default.modified", "dataset_id": "dataset_id"}


@dataclass
class OpenDataSoft(Double):
    """`key` in the query; `offset` + `limit` has to be below `position_cap`."""

    path: ClassVar[str] = "/api/explore/v2.1/catalog/datasets"
    primary_key: ClassVar[str] = "dataset_id"
    modified: ClassVar[str] = FIELDS["modified"]

    count: int = 1200
    default_limit: int = 10
    limit_cap: int = 100
    position_cap: int = 1000

    @staticmethod
    def record(number: int) -> Record:
        meta: dict[str, Any] = {
            "title": made_up.title(number),
            "modified": made_up.text(made_up.changed(number), FORM),
            "publisher": made_up.owner(number),
            "keyword": made_up.words(number) or None,
            "records_count": number * 7,
        }
        return {
            "dataset_id": f"dataset-{number:05d}",
            "dataset_uid": f"da_{number:06x}",
            "has_records": True,
            "attachments": [],
            "fields": [{"name": "geo", "type": "geo_point_2d", "label": "Géo"}] * (number % 3),
            "metas": {"default": meta},
        }

    def serves(self, path: str) -> bool:
        return path in (self.path, EXPORT)

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and query.get("apikey") != self.key:
            raise Refused(401, "The API key is missing or wrong.")
        found = that_hold(serving.records, of_odsql(query.get("where", ""), FIELDS))
        if query.get("order_by"):
            name, _, direction = query["order_by"].partition(" ")
            if name not in FIELDS:
                raise Refused(400, f"The field {name} cannot be ordered by.")
            found = ordered(found, FIELDS[name], direction.lower() == "desc")
        if request.path == EXPORT:
            return Answer(200, serving.page(found, 0, len(found)))
        offset, limit = number(query, "offset", 0), number(query, "limit", self.default_limit)
        if limit > self.limit_cap:
            raise Refused(400, f"limit has to be at most {self.limit_cap}.")
        if offset + limit >= self.position_cap:
            raise Refused(400, f"offset + limit has to be below {self.position_cap}.")
        results = serving.page(found, offset, serving.size(limit))
        return Answer(200, {"total_count": serving.total(found), "results": results})

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"error_code": "InvalidRESTParameterError", "message": message})

    def throttled(self, allowance: Allowance) -> Answer:
        again = datetime.fromtimestamp(self.clock() + allowance.reset_seconds, UTC)
        message = {
            "errorcode": 10002,
            "error": "Too many requests on the domain. Please contact the domain administrator.",
            "reset_time": again.isoformat(),
            "call_limit": allowance.requests,
        }
        return Answer(429, message)
