"""A table of Nasdaq Data Link (its Python client): rows are arrays, their names are beside them, a cursor goes on.

Known for one call at a time with a free key, for 300 in 10 seconds, and for 422 above the row limit.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, number, position, token
from tests.apis.quota import Allowance, Quota
from tests.apis.serving import Record, Serving
from tests.support.api_server import Answer, Request

COLUMNS = {"code": "String", "name": "text", "owner": "String", "rank": "Integer", "share": "BigDecimal(6,4)"}


@dataclass
class Nasdaq(Double):
    """`key` in the query or in a header. `free`: a second call beside the first is refused."""

    path: ClassVar[str] = "/api/v3/datatables/CITY/DATASETS.json"
    primary_key: ClassVar[str] = "code"

    count: int = 2500
    key: str | None = "key"
    quota: Quota | None = field(default_factory=lambda: Quota(300, 10))
    size_cap: int = 1000
    free: bool = True

    @staticmethod
    def record(number: int) -> Record:
        share = None if number % 11 == 0 else number % 1000 / 1000
        values = (f"C{number:05d}", made_up.title(number), made_up.owner(number), number, share)
        return dict(zip(COLUMNS, values, strict=True))

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and self.key not in (query.get("api_key"), request.headers.get("x-api-token")):
            raise Refused(400, "A valid API key is required.")
        if self.free and serving.side_by_side > 1:
            raise Refused(429, "You have exceeded the API concurrency limit of one call at a time.")
        size = number(query, "qopts.per_page", self.size_cap, least=1)
        if size > self.size_cap:
            raise Refused(422, f"You may not ask for more than {self.size_cap} rows.")
        cursor = query.get("qopts.cursor_id")
        first, size = position(cursor) if cursor else 0, serving.size(size)
        rows = serving.page(serving.records, first, size)
        columns = [{"name": name, "type": kind} for name, kind in COLUMNS.items()]
        following = token(first + size) if serving.goes_on(serving.records, first + size) else None
        data = [[row[name] for name in COLUMNS] for row in rows]
        return Answer(200, {"datatable": {"data": data, "columns": columns}, "meta": {"next_cursor_id": following}})

    def refusal(self, status: int, message: str) -> Answer:
        codes = {400: "QEAx01", 422: "QESx04", 429: "QELx06"}
        return Answer(status, {"quandl_error": {"code": codes.get(status, "QECx02"), "message": message}})

    def throttled(self, allowance: Allowance) -> Answer:
        return self.refusal(429, f"You have exceeded {allowance.requests} calls in {allowance.seconds} seconds.")
