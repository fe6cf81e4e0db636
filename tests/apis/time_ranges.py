"""Which records changed when: the ways in which the catalogues are asked for that.

In: what came in the query. Out: whether a moment is within. Sources: the query syntax that Solr and Elasticsearch share
(`field:[a TO b]`, braces exclude an end), and the ODSQL of OpenDataSoft (`field>=date'…'`).
"""

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.apis.double import Refused, at
from tests.apis.serving import Record

_RANGE = re.compile(r'([\w.]+):([\[{])\s*"?([^\s"]+)"?\s+TO\s+"?([^\s"\]}]+)"?\s*([\]}])')
_COMPARISON = re.compile(r"(\w+)\s*(>=|<=|>|<)\s*date'([^']+)'")
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)
_OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

Condition = Callable[[Record], bool]


def moment(text: str) -> datetime:
    """A time as the catalogues write it; without a zone it is UTC."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(400, f"{text} is not a date.") from error
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def between(path: str, start: str, end: str, open_end: str = "*", ends: str = "[]") -> Condition:
    """Whether the moment at `path` is from `start` to `end`; both belong to it but where a brace says otherwise.

    `open_end` in place of a date: without that end. A day as end means all of it, as for Elasticsearch.
    """
    first = None if start == open_end else moment(start)
    last = None if end == open_end else moment(end)
    if last and len(end) == len("2025-01-01") and ends[1] == "]":
        last += timedelta(days=1, microseconds=-1)

    def within(record: Record) -> bool:
        value = moment(at(record, path))
        after = first is None or value > first or (value == first and ends[0] == "[")
        return after and (last is None or value < last or (value == last and ends[1] == "]"))

    return within


def of_a_search(query: str, fields: dict[str, str]) -> list[Condition]:
    """The conditions of `field:[a TO b] AND …`; `fields`: the path in a record for each name. `*:*` has none."""
    conditions = []
    for part in _AND.split(query.strip()):
        if part in ("", "*", "*:*"):
            continue
        found = _RANGE.fullmatch(part)
        if found is None or found[1] not in fields:
            raise Refused(400, f"The query {query} is not understood.")
        conditions.append(between(fields[found[1]], found[3], found[4], ends=found[2] + found[5]))
    return conditions


def of_odsql(where: str, fields: dict[str, str]) -> list[Condition]:
    """The conditions of `field>=date'…' AND …`."""
    return [_comparison(part, fields) for part in _AND.split(where.strip()) if part]


def _comparison(part: str, fields: dict[str, str]) -> Condition:
    found = _COMPARISON.fullmatch(part)
    if found is None or found[1] not in fields:
        raise Refused(400, f"The clause {part} is not understood.")
    path, compare, limit = fields[found[1]], _OPERATORS[found[2]], moment(found[3])
    return lambda record: bool(compare(moment(at(record, path)), limit))


def that_hold(records: list[Record], conditions: list[Condition]) -> list[Record]:
    """The records for which all conditions hold."""
    return [record for record in records if all(holds(record) for holds in conditions)]
