"""What an answer says of what lies behind it: a next page, or a total larger than what was read.

In: the last answer of a read that has ended. Out: the name of the place that says there is more, or None. The names are
those that APIs use (JSON:API, HAL, STAC, Django REST framework, udata, DataCite, Nasdaq Data Link, Google's style guide).
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

_NEXT = ("next", "next_url", "nextUrl", "next_link", "nextLink", "next_page", "nextPage", "next_page_url")
_CURSORS = (
    "next_cursor",
    "nextCursor",
    "next_cursor_id",
    "next_page_token",
    "nextPageToken",
    "next_token",
    "nextToken",
)
_MORE = ("has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage", "more")
_TOTALS = (
    *("total", "total_count", "totalCount", "total_records", "totalRecords", "total_results", "totalResults"),
    *("total_items", "totalItems", "total_elements", "totalElements", "count", "num_found", "numFound"),
    *("resultSetSize", "numberMatched"),
)
# Where an answer speaks of its paging: at its top, and below one of these.
_PLACES = ("meta", "pagination", "paging", "page", "links", "_links", "response_metadata")


def says_more(body: Any, links: Mapping[str, Any], position_param: str, read_to: int) -> str | None:
    """Where the answer says that there is another page; None: it does not. `links` are those of its header `Link`.

    A link which only counts on, to a position from `read_to` that was asked for already, says nothing of its own.
    """
    found = next(_places_of_more(body), None) if isinstance(body, dict) else None
    link = links.get("next", {}).get("url")
    name, value = found or ('Link: rel="next"', link)
    if not value or _counts_on(value, position_param, read_to):
        return None
    return name


def larger_total(body: Any, read: int) -> tuple[str, int] | None:
    """The place and the number of a total beyond `read` records, by its usual names; None: there is none."""
    for place, holder in _holders(body):
        for name in _TOTALS:
            value = holder.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > read:
                return f"{place}{name}", value
    return None


def _places_of_more(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for place, holder in _holders(body):
        named = ((name, _target(holder.get(name))) for name in (*_NEXT, *_CURSORS))
        yield from ((f"{place}{name}", target) for name, target in named if target)
        yield from ((f"{place}{name}", True) for name in _MORE if holder.get(name) is True)
    links = body.get("links")
    objects = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    targets = (link.get("href") for link in objects if link.get("rel") == "next")
    yield from (("links[rel=next]", target) for target in targets if target)


def _target(value: Any) -> Any:
    """What a link leads to; None: nowhere, as a page number of 0, an empty text and null do."""
    target = value.get("href") if isinstance(value, dict) else value
    return None if isinstance(target, bool | list) else target or None


def _holders(body: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(body, dict):
        return
    yield "", body
    for place in _PLACES:
        if isinstance(body.get(place), dict):
            yield f"{place}.", body[place]


def _counts_on(target: Any, position_param: str, read_to: int) -> bool:
    if not isinstance(target, str):
        return False
    try:
        (position,) = parse_qs(urlsplit(target).query)[position_param]
        return int(position) >= read_to
    except (KeyError, ValueError):
        return False
