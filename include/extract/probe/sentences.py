"""What was found, for a person.

In: `Findings`. Out: lines. They hold names of fields, places and counts; no secret, and no value of a record.
"""

from collections.abc import Iterator

from include.extract.probe.asking import MOST_REQUESTS, REQUESTS_PER_SECOND
from include.extract.probe.fields import says_change
from include.extract.probe.findings import Findings
from include.extract.probe.paging import Paging
from include.redaction import redact, shown

BEFOREHAND = f"at most {MOST_REQUESTS} requests, at most {REQUESTS_PER_SECOND:.0f} a second; only GET, but for the token of an OAuth2 client"
_END = {True: "is counted in", False: "is left out", None: "could not be told"}


def lines_of(findings: Findings) -> list[str]:
    """One line for each thing that was asked about."""
    return [f"{label:<10} {redact(text)}" for label, text in _said(findings)]


def _said(findings: Findings) -> Iterator[tuple[str, str]]:
    if findings.selector is not None:
        yield "Reached", f"{findings.address} answers with records"
    yield "Key", findings.key
    if findings.selector is not None:
        yield from _records(findings)
    yield "Limits", _limits(findings)
    yield "Requests", f"{findings.asked} of {MOST_REQUESTS}"


def _records(findings: Findings) -> Iterator[tuple[str, str]]:
    yield "Records", f"are at `{findings.selector}`; {findings.first_length} in the first answer"
    yield "Total", _total(findings)
    yield "Page", findings.cap or "no parameter for the size of a page was found; the API's own is used"
    if findings.paging:
        yield "Paging", _paging(findings.paging)
    yield "Order", _order(findings.order_is_stable)
    seen = f"as found in {findings.records_seen} records"
    keys = ", ".join(f"`{shown(key)}`" for key in findings.keys[:3])
    yield (
        "Key field",
        f"may be {keys}, {seen}" if keys else f"none tells all records apart, {seen}: runs replace or append",
    )
    cursors = ", ".join(f"`{shown(path)}`" for path in findings.cursors)
    if not cursors:
        yield "Changed", f"no field is an instant, {seen}: every run reads everything"
        return
    changed = [path for path in findings.cursors if says_change(path)]
    may = f"may be said by `{shown(changed[0])}`, {seen}" if changed else "is said by none that has a usual name"
    yield "Changed", f"{may} (instants are {cursors})"
    yield "Filter", _filter(findings)


def _total(findings: Findings) -> str:
    if findings.total is None:
        return "none was found; the end is where a page brings nothing new"
    place, number = findings.total
    if findings.end_is_at_total is False:
        return f"`{place}` says {number}, and the last record is not there: it counts something else, and is not used"
    seen = "; the last record is where it says" if findings.end_is_at_total else ""
    return f"is at `{place}`: {number}{seen}"


def _paging(paging: Paging) -> str:
    size = f", the size as `{paging.size_param}`" if paging.size_param else ""
    match paging.kind:
        case "offset":
            return f"by offset, as `{paging.position_param}`{size}"
        case "page_number":
            return f"by page number from {paging.base}, as `{paging.position_param}`{size}"
        case "single_page":
            return f"not recognised{size}: what the first answer holds may be all, or only a part. Look into the API's documentation"
    place = paging.next.place if paging.next else ""
    where = "the header `Link`" if paging.kind == "header_link" else f"`{place}`"
    takes = f", sent as `{paging.cursor_param}`" if paging.kind == "cursor" else ""
    return f"by a {'cursor' if takes else 'link'} in {where}{takes}{size}"


def _order(is_stable: bool | None) -> str:
    if is_stable is None:
        return "could not be told: the second read had no answer"
    if is_stable:
        return "was the same in two reads"
    return "was another in the second read: find a parameter that sorts, and set it in the option `params`"


def _filter(findings: Findings) -> str:
    found = findings.filter
    if found is None and not findings.filter_was_tried:
        return "not tried: no field says when a record changed"
    if found is None:
        return "by time: none of the usual parameters was taken; the API's documentation may know one"
    end = f"its end as `{found.end_param}` {_END[found.end_is_in]}" if found.end_param else "its end is not filtered"
    unused = "" if found.start_is_in else ", so it is not used"
    return f"by time: the start as `{found.start_param}` {_END[found.start_is_in]}{unused}; {end}"


def _limits(findings: Findings) -> str:
    if not findings.limit_headers:
        return "no header speaks of a limit of requests"
    return ", ".join(f"{shown(name)}: {shown(value, 40)}" for name, value in findings.limit_headers.items())
