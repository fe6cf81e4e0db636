"""DataCite `/dois` (datacite/lupo): page numbers up to a cap, or a cursor in `links.next`.

Known for a page number beyond the cap that is clamped, so that the same page comes again, and for `meta.total` that is not.
A size above the cap is lowered (assumed). `query=updated:[a TO b]` includes both ends, a brace excludes one (Elasticsearch).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tests.apis import made_up
from tests.apis.double import Double, Refused, link, number, ordered, position, token
from tests.apis.serving import Record, Serving
from tests.apis.time_ranges import of_a_search, that_hold
from tests.support.api_server import Answer, Request

FIELDS = {name: f"attributes.{name}" for name in ("updated", "created")}


@dataclass
class DataCite(Double):
    """`key` as a bearer token, which may be missing, but not wrong. Number times size is at most `record_cap`."""

    path: ClassVar[str] = "/dois"
    modified: ClassVar[str] = FIELDS["updated"]

    count: int = 1200
    default_size: int = 25
    size_cap: int = 100
    record_cap: int = 1000

    @staticmethod
    def record(number: int) -> Record:
        doi = f"10.5072/city-{number}"
        return {
            "id": doi,
            "type": "dois",
            "attributes": {
                "doi": doi,
                "titles": [{"title": made_up.title(number), "lang": "en"}],
                "creators": [{"name": "Nowak, Zofia", "nameIdentifiers": [], "affiliation": []}] * (number % 3),
                "subjects": [{"subject": word} for word in made_up.words(number)],
                "publicationYear": 2020 + number % 6,
                "created": made_up.text(made_up.created(number)),
                "updated": made_up.text(made_up.changed(number)),
            },
            "relationships": {"client": {"data": {"id": f"city.{made_up.owner(number)}", "type": "clients"}}},
        }

    def respond(self, request: Request, serving: Serving) -> Answer:
        query = request.query
        if self.key is not None and request.headers.get("Authorization", f"Bearer {self.key}") != f"Bearer {self.key}":
            raise Refused(401, "Bad credentials.")
        found = that_hold(serving.records, of_a_search(query.get("query", ""), FIELDS))
        sort = query.get("sort", "")
        if sort:
            if sort.removeprefix("-") not in FIELDS:
                raise Refused(400, f"The field {sort} cannot be sorted by.")
            found = ordered(found, FIELDS[sort.removeprefix("-")], sort.startswith("-"))
        size = serving.size(min(number(query, "page[size]", self.default_size, least=1), self.size_cap))
        meta: dict[str, Any] = {"total": serving.total(found)}
        cursor = query.get("page[cursor]")
        if cursor is not None:
            first = 0 if cursor == "1" else position(cursor)
            following: dict[str, Any] = {"page[cursor]": token(first + size)}
        else:
            page = min(number(query, "page[number]", 1, least=1), self.record_cap // size)
            first = (page - 1) * size
            following = {"page[number]": page + 1}
            meta["page"] = page
        links = {"self": link(request)}
        if serving.goes_on(found, first + size):
            links["next"] = link(request, **following)
        return Answer(200, {"data": serving.page(found, first, size), "meta": meta, "links": links})

    def refusal(self, status: int, message: str) -> Answer:
        return Answer(status, {"errors": [{"status": str(status), "title": message}]})
