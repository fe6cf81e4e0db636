"""What an answer says of what lies behind it: a next page, or a total larger than what was read.

In: the last answer of a read that has ended. Out: the name of the place that says there is more, or None. The names are
those that APIs use (JSON:API, HAL, STAC, Django REST framework, udata, DataCite, Nasdaq Data Link, Google's style guide).
"""

import re
from collections.abc import Container, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

# In lower case and without what stands between words: `next_page`, `nextPage` and `Next-Page` are one name.
_NEXT = frozenset({"next", "nexturl", "nextlink", "nextpage", "nextpageurl", "nextrecordsurl", "odatanextlink"})
_CURSORS = frozenset({"nextcursor", "nextcursorid", "nextpagetoken", "nexttoken", "continuationtoken"})
_MORE = frozenset({"hasmore", "hasnext", "hasnextpage", "more"})
_TOTALS = frozenset(
    {
        *(
            "total",
            "totalcount",
            "totalrecords",
            "totalresults",
            "totalitems",
            "totalelements",
            "totalhits",
            "totalrows",
        ),
        *("totalsize", "count", "numfound", "resultsetsize", "numbermatched", "recordstotal", "odatacount", "nhits"),
    }
)
# Where an answer speaks of its paging: at its top, below one of these, or beside its records (CKAN, Solr, Elasticsearch).
_PLACES = frozenset(
    {
        *("meta", "metadata", "pagination", "paging", "page", "pageinfo", "links", "responsemetadata"),
        *("data", "result", "results", "response", "hits"),
    }
)
_BETWEEN_WORDS = str.maketrans("", "", "_-.@ ")
# RFC 8288: a target, and its parameters, whose values may be quoted.
_LINK = re.compile(r'<([^<>]*)>((?:[^<"]|"[^"]*")*)')
_RELATION = re.compile(r';\s*rel\s*=\s*"?([^";,]*)', re.IGNORECASE)


def says_more(body: Any, link_header: str, position_param: str, read_to: int) -> str | None:
    """Where the answer says that there is another page; None: it does not. `link_header`: its header `Link`, if any.

    A link which only counts on, to a position from `read_to` that was asked for already, says nothing of its own.
    """
    told = list(_places_of_more(body)) if isinstance(body, dict) else []
    if link := _next_link(link_header):
        told.append(('Link: rel="next"', link))
    return next((name for name, target in told if not _counts_on(target, position_param, read_to)), None)


def larger_total(body: Any, read: int) -> tuple[str, int] | None:
    """The place and the number of a total beyond `read` records, by its usual names; None: there is none."""
    for place, holder in _holders(body):
        for name, value in _named(holder, _TOTALS):
            number = _number(value)
            if number is not None and number > read:
                return f"{place}{name}", number
            if isinstance(value, dict) and (number := _number(value.get("value"))) is not None and number > read:
                return f"{place}{name}.value", number
    return None


def _number(value: Any) -> int | None:
    """A number of records, also as a fraction without one, or as digits; None: it is no such number."""
    match value:
        case bool():
            return None
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if value.isascii() and value.isdecimal() and len(value) < 20:
            return int(value)
    return None


def _places_of_more(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for place, holder in _holders(body):
        named = ((name, _target(value)) for name, value in _named(holder, _NEXT | _CURSORS))
        yield from ((f"{place}{name}", target) for name, target in named if target)
        yield from (
            (f"{place}{name}", True) for name, value in _named(holder, _MORE) if value is True or value == "true"
        )
    links = body.get("links")
    objects = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    targets = (link.get("href") for link in objects if link.get("rel") == "next")
    yield from (("links[rel=next]", target) for target in targets if target)


def _target(value: Any) -> Any:
    """What a link leads to; None: nowhere, as a page number of 0, an empty text and null do."""
    target = value.get("href") or value.get("url") if isinstance(value, dict) else value
    return None if isinstance(target, bool | list) else target or None


def _holders(body: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(body, dict):
        return
    yield "", body
    yield from ((f"{name}.", holder) for name, holder in _named(body, _PLACES) if isinstance(holder, dict))


def _named(holder: dict[str, Any], names: Container[str]) -> Iterator[tuple[str, Any]]:
    """The fields of `holder` that are called by one of `names`, each as a JSONPath writes it."""
    for name, value in holder.items():
        if name.lower().translate(_BETWEEN_WORDS) in names:
            yield name if name.isidentifier() else f'"{name}"', value


def _next_link(header: str) -> str | None:
    for target, parameters in _LINK.findall(header):
        relation = _RELATION.search(parameters)
        if relation and "next" in relation.group(1).lower().split():
            return str(target)
    return None


def _counts_on(target: Any, position_param: str, read_to: int) -> bool:
    if not isinstance(target, str):
        return False
    try:
        (position,) = parse_qs(urlsplit(target).query)[position_param]
        return int(position) >= read_to
    except (KeyError, ValueError):
        return False
