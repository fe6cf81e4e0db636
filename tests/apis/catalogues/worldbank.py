"""The World Bank's API, version 2: page numbers; an answer is an array of two, what is known of the rows and the rows.

Known for XML unless the query says `format=json`. A page beyond the end has no rows (assumed).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from tests.apis import made_up
from tests.apis.double import Double, number
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request


@dataclass
class WorldBank(Double):
    """Nobody needs a key."""

    path: ClassVar[str] = "/v2/indicator"

    default_size: int = 50
    size_cap: int = 1000

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": f"CITY.{number:04d}.ZS",
            "name": made_up.title(number),
            "unit": "",
            "source": {"id": str(number % 3), "value": made_up.owner(number)},
            "sourceNote": "Share & number" if number % 2 else "",
            "topics": [{"id": str(place), "value": word} for place, word in enumerate(made_up.words(number))],
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query, found = request.query, serving.records
        page, size = number(query, "page", 1, least=1), number(query, "per_page", self.default_size, least=1)
        size, total = serving.size(min(size, self.size_cap)), serving.total(found)
        # The size is a text there, the other numbers are numbers.
        meta: dict[str, Any] = {"page": page, "pages": math.ceil(total / size), "per_page": str(size), "total": total}
        rows = serving.page(found, (page - 1) * size, size)
        return Answer(200, [meta, rows]) if query.get("format") == "json" else _xml(meta, rows)

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, [{"message": [{"id": "120", "key": "Invalid value", "value": message}]}])


def _xml(meta: dict[str, Any], rows: list[Record]) -> Answer:
    attributes = " ".join(f'{name}="{value}"' for name, value in meta.items())
    inside = "".join(
        f'<wb:indicator id="{row["id"]}"><wb:name>{escape(row["name"])}</wb:name></wb:indicator>' for row in rows
    )
    text = f'<?xml version="1.0" encoding="utf-8"?><wb:indicators {attributes} xmlns:wb="http://www.worldbank.org">{inside}</wb:indicators>'
    return Answer(200, text, {"Content-Type": "application/xml; charset=utf-8"})
