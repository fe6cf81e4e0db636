"""Kaggle's list of datasets (Kaggle/kaggle-api): page numbers from 1, pages of one size, no total.

Known for a default order that moves while one reads: with each request the last record is the hottest, and comes first.
A page beyond the end is empty (assumed).
"""

import base64
from dataclasses import dataclass
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, ordered
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request


@dataclass
class Kaggle(Double):
    """`user` and `key` as HTTP Basic, or the key as a bearer token. `wrapped`: in `datasets`, not a bare array."""

    path: ClassVar[str] = "/api/v1/datasets/list"
    modified: ClassVar[str] = "lastUpdated"

    key: str | None = "key"
    user: str = "user"
    page_size: int = 20
    wrapped: bool = False

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": 1000 + number,
            "ref": f"{made_up.owner(number)}/dataset-{number}",
            "title": made_up.title(number),
            "totalBytes": number * 1024,
            "lastUpdated": made_up.text(made_up.changed(number), "%Y-%m-%dT%H:%M:%S.%fZ"),
            "usabilityRating": number % 10 / 10,
            "tags": [{"name": word, "competitionCount": 0} for word in made_up.words(number)],
            "versions": [],
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and request.headers.get("Authorization") not in self._accepted():
            raise Refused(401, "Unauthenticated")
        sort = query.get("sortBy", "hottest")
        if sort == "updated":
            found = ordered(serving.records, self.modified, descending=True)
        elif sort == "hottest":
            moved = serving.turn % max(len(serving.records), 1)
            found = serving.records[-moved:] + serving.records[:-moved] if moved else serving.records
        else:
            raise Refused(400, f"Invalid sortBy: {sort}")
        size = serving.size(self.page_size)
        page = serving.page(found, (number(query, "page", 1, least=1) - 1) * size, size)
        return Answer(200, {"datasets": page} if self.wrapped else page)

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"code": status, "message": message})

    def _accepted(self) -> tuple[str, str]:
        basic = base64.b64encode(f"{self.user}:{self.key}".encode()).decode()
        return f"Basic {basic}", f"Bearer {self.key}"
