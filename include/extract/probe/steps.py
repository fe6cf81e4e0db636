"""The probe, from its first question to its last.

In: the options of a source, of which only address, credentials, fixed parameters and headers count. Out: `Findings`.
"""

from dataclasses import replace
from typing import Any

from include.configure.options import SourceOptions
from include.extract.answer import content_key
from include.extract.probe.asking import Asker, Reply
from include.extract.probe.credentials import find_way
from include.extract.probe.fields import cursor_candidates, key_candidates, says_change
from include.extract.probe.findings import Findings
from include.extract.probe.paging import FEWEST_RECORDS, Paging, find_cursor_param, recognise
from include.extract.probe.places import Found, records_in
from include.extract.probe.sizes import LargePage, comes_again, end_is_at, largest_page, total_in
from include.extract.probe.time_filter import find_filter
from include.redaction import register, register_values

# A list of so many records, or a multiple, is rather a page than a collection.
USUAL_SIZE = 10


def probe(options: SourceOptions) -> Findings:
    """Ask, and say what was found. Raises nothing but what a wrong configuration raises."""
    register(options.api_key or "")
    register_values([options.params, options.headers])
    asker = Asker(options)
    findings = Findings(asker.address, may_add_params=not options.params)
    way = find_way(asker, options)
    findings.key, findings.auth = way.sentence, way.options
    _look(asker, way.reply, findings)
    findings.asked, findings.limit_headers = asker.asked, dict(asker.limit_headers)
    return findings


def _look(asker: Asker, first: Reply, findings: Findings) -> None:
    if not first.is_good:
        findings.problem = first.problem
        return
    found = records_in(first.body)
    if found is None or not found.records:
        findings.problem = _no_records(found, first.body)
        return
    findings.selector, findings.first_length = found.selector, len(found.records)
    paging = findings.paging = _paging(asker, first, found)
    large = largest_page(asker, paging)
    page = large.found if large else found
    findings.selector = page.selector
    pages = [paging.reply, large.reply if large else first]
    findings.total = total_in([reply for reply in pages if reply], len(page.records))
    _size(findings, large)
    if findings.total and findings.page_size:
        findings.end_is_at_total = end_is_at(asker, paging, findings.total[1], findings.page_size)
    findings.order_is_stable = comes_again(asker, paging.params(large.asked) if large else {}, page)
    findings.problem = _not_followed(findings, len(page.records))
    _fields(asker, findings, paging, _distinct(found, page))


def _paging(asker: Asker, first: Reply, found: Found) -> Paging:
    paging = recognise(asker, first, found)
    if paging.kind != "cursor":
        return paging
    return replace(paging, cursor_param=find_cursor_param(asker, paging, found))


def _not_followed(findings: Findings, length: int) -> str | None:
    """Why the other pages cannot be read; None: they can."""
    paging, total = findings.paging, findings.total
    if paging and paging.kind == "cursor" and paging.next and paging.cursor_param is None:
        return (
            f"The next page is named at `{paging.next.place}`, and none of the usual parameters takes that. Look into the API's "
            "documentation, and set the option `paginator` to a `cursor` with its `cursor_param`."
        )
    is_part = total[1] > length if total else length % USUAL_SIZE == 0
    if paging and paging.kind == "single_page" and is_part:
        of_how_many = f"of {total[1]}" if total else "which looks like one page of several"
        order = (
            " The order of its records is another in each answer, which hides them: set a parameter that sorts first."
        )
        return (
            f"The API gave {length} records, {of_how_many}; by which parameters it gives the others could not be found."
            f"{order if findings.order_is_stable is False else ''} Look into its documentation, and set the options `params` and `paginator`."
        )
    return None


def _no_records(found: Found | None, body: Any) -> str:
    if found is not None:
        return (
            f"The list of records at `{found.selector}` is empty: there is nothing to learn from. Name a collection that has records in the "
            "option `path`."
        )
    lists = isinstance(body, dict) and any(isinstance(value, list) and value for value in body.values())
    arrays = " Its lists hold no objects; some APIs give objects for a parameter, to be set in the option `params`."
    return (
        f"The answer holds no list of records.{arrays if lists else ''} Name the collection in the option `path`; the address alone is often "
        "an index."
    )


def _size(findings: Findings, large: LargePage | None) -> None:
    if large is None:
        return
    total = findings.total[1] if findings.total else None
    refused = "".join(f", {size} are refused" for size in large.refused)
    if large.length >= large.asked or large.length == total:
        findings.page_size = large.asked
        findings.cap = f"up to {large.asked} records a page are taken{refused}"
    else:
        findings.page_size = large.length
        reason = "a larger size is cut without a word" if total else "its cap, or all that there is"
        findings.cap = f"{large.length} records a page, of {large.asked} that were asked for: {reason}{refused}"


def _distinct(*pages: Found) -> list[dict[str, Any]]:
    return list({content_key(record): record for page in pages for record in page.records}.values())


def _fields(asker: Asker, findings: Findings, paging: Paging, records: list[dict[str, Any]]) -> None:
    findings.records_seen = len(records)
    if len(records) < FEWEST_RECORDS:
        return
    findings.keys, findings.cursors = key_candidates(records), cursor_candidates(records)
    path, form = next(iter(findings.cursors.items()), (None, None))
    if path and form and says_change(path):
        findings.filter_was_tried = True
        size = findings.page_size or findings.first_length
        findings.filter = find_filter(asker, path, form, records, paging.params(size), size)
