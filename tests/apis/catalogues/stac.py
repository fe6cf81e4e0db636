"""STAC item search (radiantearth/stac-api-spec): `links` with `rel=next`, a total that may be missing.

Known for a next link that carries a body where the search is a POST. `datetime` is when something was observed, not when its
record changed: it finds no changes. It includes both ends; `..` is an open one. A limit above the cap is lowered (assumed).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, body_of, link, number, position, token
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import between, that_hold
from tests.support.api_server import Answer, Request


@dataclass
class Stac(Double):
    """Nobody needs a key. `counts`: whether the answer has `numberMatched`."""

    path: ClassVar[str] = "/search"
    modified: ClassVar[str] = "properties.updated"

    default_limit: int = 10
    limit_cap: int = 1000
    counts: bool = True

    @staticmethod
    def record(number: int) -> Record:
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": f"scene-{number:05d}",
            "collection": made_up.owner(number),
            "geometry": {"type": "Point", "coordinates": [number % 180, number % 90 / 2]},
            "bbox": [0, 0, number % 180, number % 90],
            "properties": {
                "datetime": made_up.text(made_up.created(number)),
                "updated": made_up.text(made_up.changed(number)),
                "eo:cloud_cover": number % 101 / 2,
            },
            "assets": {"thumbnail": {"href": f"https://scenes.city.test/{number}.png", "roles": ["thumbnail"]}},
            "links": [],
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        asked: dict[str, Any] = body_of(request) if request.method == "POST" else dict(request.query)
        found = serving.records
        if asked.get("datetime"):
            start, _, end = asked["datetime"].partition("/")
            found = that_hold(found, [between("properties.datetime", start, end or start, open_end="..")])
        limit = serving.size(min(number(asked, "limit", self.default_limit, least=1), self.limit_cap))
        first = position(asked["token"]) if asked.get("token") else 0
        features = serving.page(found, first, limit)
        body: dict[str, Any] = {"type": "FeatureCollection", "features": features, "numberReturned": len(features)}
        if self.counts:
            body["numberMatched"] = serving.total(found)
        body["links"] = [{"rel": "self", "href": link(request)}]
        if serving.goes_on(found, first + limit):
            body["links"].append(_next(request, asked, token(first + limit)))
        return Answer(200, body)

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"code": str(status), "description": message})


def _next(request: Request, asked: dict[str, Any], cursor: str) -> dict[str, Any]:
    if request.method != "POST":
        return {"rel": "next", "method": "GET", "href": link(request, token=cursor)}
    return {"rel": "next", "method": "POST", "href": link(request), "body": {**asked, "token": cursor}}
