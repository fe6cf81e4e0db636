"""OpenML's list of datasets (openml/OpenML): the paging is in the path, no total.

Known for an error beyond the end (code 372), where others give an empty list. No order can be asked for: theirs is not that of
the ids, and stays (assumed). The error's status 412 is assumed.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request

PLACE = re.compile(r"/data/list(?:/limit/(\d+))?(?:/offset/(\d+))?")
NO_RESULTS = "372"


@dataclass
class OpenMl(Double):
    """`key` in the query."""

    path: ClassVar[str] = "/data/list"
    primary_key: ClassVar[str] = "did"

    default_limit: int = 100
    limit_cap: int = 1000

    @staticmethod
    def record(number: int) -> Record:
        return {
            "did": 1 + number * 7919 % 10007,
            "name": made_up.title(number),
            "version": number % 3 + 1,
            "status": "active",
            "format": "ARFF",
            # Numbers are texts there.
            "quality": [{"name": "NumberOfInstances", "value": f"{number * 10}.0"}] * (number % 3),
        }

    def serves(self, path: str) -> bool:
        return PLACE.fullmatch(path) is not None

    def respond(self, request: Request, serving: Serving) -> Answer:
        if self.key is not None and request.query.get("api_key") != self.key:
            raise Refused(412, "Authentication failed")
        found = PLACE.fullmatch(request.path)
        limit, offset = found.groups() if found else (None, None)
        size = serving.size(min(int(limit or self.default_limit), self.limit_cap))
        page = serving.page(serving.records, int(offset or 0), size)
        if not page:
            return Answer(412, {"error": {"code": NO_RESULTS, "message": "No results"}})
        return Answer(200, {"data": {"dataset": page}})

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"error": {"code": "103", "message": message}})
