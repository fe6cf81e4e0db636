"""Hugging Face `/api/datasets` (huggingface_hub): an array, no total, the next page in the header `Link`.

Known for 500 requests in 5 minutes, counted down in the header `RateLimit: "api";r=…;t=…` of each answer.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, link, number, ordered, position, token
from tests.apis.quota import Allowance, Quota
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request

FORM = "%Y-%m-%dT%H:%M:%S.000Z"


@dataclass
class HuggingFace(Double):
    """`key` as a bearer token, which may be missing, but not wrong."""

    path: ClassVar[str] = "/api/datasets"
    modified: ClassVar[str] = "lastModified"

    quota: Quota | None = field(default_factory=lambda: Quota(500, 300))
    default_limit: int = 100
    limit_cap: int = 100

    @staticmethod
    def record(number: int) -> Record:
        return {
            "_id": made_up.identifier(number).replace("-", "")[:24],
            "id": f"{made_up.owner(number)}/dataset-{number}",
            "author": made_up.owner(number),
            "createdAt": made_up.text(made_up.created(number), FORM),
            "lastModified": made_up.text(made_up.changed(number), FORM),
            "downloads": number * 17,
            "gated": "auto" if number % 9 == 0 else False,
            "tags": [f"task_categories:{word}" for word in made_up.words(number)],
            "cardData": {"license": "cc-by-4.0", "size_categories": ["n<1K"]} if number % 4 else None,
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and request.headers.get("Authorization", f"Bearer {self.key}") != f"Bearer {self.key}":
            raise Refused(401, "Invalid credentials in Authorization header")
        found = serving.records
        if query.get("sort"):
            if query["sort"] not in ("createdAt", "lastModified", "downloads"):
                raise Refused(400, f"Invalid sort: {query['sort']}")
            found = ordered(found, query["sort"], descending=True)
        limit = serving.size(min(number(query, "limit", self.default_limit, least=1), self.limit_cap))
        first = position(query["cursor"]) if query.get("cursor") else 0
        headers = _counted_down(serving.allowance) if serving.allowance else {}
        if serving.goes_on(found, first + limit):
            headers["Link"] = f'<{link(request, cursor=token(first + limit))}>; rel="next"'
        return Answer(200, serving.page(found, first, limit), headers)

    def throttled(self, allowance: Allowance) -> Answer:
        return Answer(429, {"error": "We had to rate limit you."}, _counted_down(allowance))


def _counted_down(allowance: Allowance) -> dict[str, str]:
    seconds = math.ceil(allowance.reset_seconds)
    return {
        "RateLimit": f'"api";r={allowance.remaining};t={seconds}',
        "RateLimit-Policy": f'"fixed window";"api";q={allowance.requests};w={math.ceil(allowance.seconds)}',
    }
