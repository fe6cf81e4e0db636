"""udata, the catalogue of data.gouv.fr (opendatateam/udata): page numbers, the newest first.

Known for inserts that shift the pages, and for `next_page` that is null at the end. Of changes it knows only buckets
(their name and values are assumed). A page beyond the end is empty (assumed).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, at, link, number, ordered
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import moment
from tests.support.api_server import Answer, Request

FORM = "%Y-%m-%dT%H:%M:%S.%f+00:00"
BUCKETS_DAYS = {"last_30_days": 30, "last_12_months": 365, "last_3_years": 3 * 365}
ORDERS = {"created": "created_at", "last_update": "last_update"}


@dataclass
class Udata(Double):
    """`key` in a header, which may be missing, but not wrong; `today` is where the buckets end."""

    path: ClassVar[str] = "/api/1/datasets/"
    modified: ClassVar[str] = "last_update"

    default_size: int = 20
    size_cap: int = 100
    today: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    @staticmethod
    def record(number: int) -> Record:
        return {
            "id": made_up.identifier(number).replace("-", "")[:24],
            "title": made_up.title(number),
            "created_at": made_up.text(made_up.created(number), FORM),
            "last_update": made_up.text(made_up.changed(number), FORM),
            "organization": {"name": made_up.owner(number), "logo": None} if number % 7 else None,
            "tags": made_up.words(number),
            "metrics": {"views": number * 11, "followers": number % 13},
            "resources": [{"id": made_up.identifier(number, "resource"), "filesize": number * 1000}],
        }

    def insert(self) -> Record:
        """One more dataset, the newest of all: it moves every other one by a place."""
        record = self.record(len(self.records))
        self.records.append(record)
        return record

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and request.headers.get("X-API-KEY", self.key) != self.key:
            raise Refused(401, "Invalid API Key")
        found = self._bucket(serving.records, query.get("last_update_range"))
        sort = query.get("sort", "-created")
        if sort.removeprefix("-") not in ORDERS:
            raise Refused(400, f"The field {sort} cannot be sorted by.")
        found = ordered(found, ORDERS[sort.removeprefix("-")], sort.startswith("-"))
        page, size = number(query, "page", 1, least=1), number(query, "page_size", self.default_size, least=1)
        size = serving.size(min(size, self.size_cap))
        more = serving.goes_on(found, page * size)
        body = {
            "data": serving.page(found, (page - 1) * size, size),
            "page": page,
            "page_size": size,
            "total": serving.total(found),
            "next_page": link(request, page=page + 1) if more else None,
            "previous_page": link(request, page=page - 1) if page > 1 else None,
        }
        return Answer(200, body)

    def _bucket(self, records: list[Record], name: str | None) -> list[Record]:
        if name is None:
            return records
        if name not in BUCKETS_DAYS:
            raise Refused(400, f"There is no range {name}.")
        since = self.today - timedelta(days=BUCKETS_DAYS[name])
        return [record for record in records if moment(at(record, self.modified)) >= since]
