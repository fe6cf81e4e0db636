"""What an answer says of a quota: how many requests are left of it, and when there are more.

In: the headers of an answer, in the spellings and units that APIs use (draft-ietf-httpapi-ratelimit-headers: `RateLimit` and
`RateLimit-Policy` in its older and newer form; `X-RateLimit-…` for each number). Out: a `Quota` for each that is said, or the wait that
a used up one means. Sends nothing and waits for nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from itertools import zip_longest

from include.decide.cursor import from_iso_8601

# The longest wait that is believed: a week (as in `retry_policy`).
LONGEST_WAIT_SECONDS = 7 * 24 * 60 * 60
# Whatever is larger is no number of seconds but an instant: seconds, or milliseconds, since 1970.
FIRST_EPOCH_SECONDS, FIRST_EPOCH_MILLISECONDS = 10**9, 10**12

Headers = Mapping[str, str]

_PREFIXES = ("X-RateLimit", "X-Rate-Limit", "RateLimit")
# Of several spellings in one answer the first counts.
_RESETS = ("X-RateLimit-Reset-After", *(f"{prefix}-Reset" for prefix in _PREFIXES))
# `"api";r=9;t=5`, or `limit=10, remaining=9, reset=5`; several are separated by commas, which names in quotes may hold.
_ITEM = re.compile(r'((?:"[^"]*"|[^",])+)')
_NAME = re.compile(r'"([^"]*)"')
_FIELD = re.compile(r"(?:^|[;,\s])(remaining|r|reset|t|limit|q|w)\s*=\s*(\d{1,15})(?![\d.])")
_LONG_NAMES = {"remaining": "r", "reset": "t", "limit": "q"}


@dataclass(frozen=True)
class Quota:
    """`remaining`: requests that are left. `reset_seconds`: until there are more, 0 to a week. `limit`: how many there are then; None: it is
    not said. `name` tells several quotas of one API apart.
    """

    name: str
    remaining: int
    reset_seconds: float
    limit: int | None = None


def quotas_of(headers: Headers, now: float) -> list[Quota]:
    """What `headers` say at `now` (seconds since 1970); nothing where one of both numbers is missing or cannot be read."""
    # An instant is one of the server's clock.
    now = instant_of(headers.get("Date", "")) or now
    found = list(_of_one_header(headers)) if "RateLimit" in headers else list(_of_separate_headers(headers))
    return [
        Quota(name, remaining, seconds, limit)
        for name, remaining, reset, limit in found
        if reset is not None and (seconds := seconds_until(reset, now)) is not None
    ]


def quota_wait_seconds(headers: Headers, now: float) -> float | None:
    """Seconds from `now` until there are more requests, where none is left; None: some are, or nobody knows until when."""
    if not nothing_left(headers):
        return None
    items = [dict(_fields(item)) for _, item in _items(headers.get("RateLimit", ""))]
    used_up = [float(said["t"]) for said in items if said.get("r") == "0" and "t" in said]
    resets = [_number(headers.get(name, "")) for name in _RESETS]
    waits = used_up or [reset for reset in resets if reset is not None][:1]
    return max((seconds for reset in waits if (seconds := seconds_until(reset, now)) is not None), default=None)


def nothing_left(headers: Headers) -> bool:
    """Whether an answer says that a quota is used up."""
    if any(headers.get(f"{prefix}-Remaining", "").strip() in ("0", "0.0") for prefix in _PREFIXES):
        return True
    return any(name == "r" and value == "0" for name, value in _fields(headers.get("RateLimit", "")))


def seconds_until(number: float, now: float) -> float | None:
    """`number` of seconds, or until the instant that it is, in seconds or milliseconds since 1970; 0 to a week. None: it is no number."""
    if number >= FIRST_EPOCH_MILLISECONDS:
        return bounded(number / 1000 - now)
    return bounded(number - now if number >= FIRST_EPOCH_SECONDS else number)


def bounded(seconds: float) -> float | None:
    """As a wait that is believed: 0 to a week. None: it is no number."""
    # Not a number compares as false with everything.
    return max(0.0, min(seconds, float(LONGEST_WAIT_SECONDS))) if seconds == seconds else None


def instant_of(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date; None: it is none."""
    try:
        date = parsedate_tz(text)
        return None if date is None else float(mktime_tz(date))
    except (ValueError, OverflowError):
        return None


def _of_one_header(headers: Headers) -> Iterator[tuple[str, int, float | None, int | None]]:
    header = headers["RateLimit"]
    policies = {name: dict(_fields(item)) for name, item in _items(headers.get("RateLimit-Policy", ""))}
    for name, item in _items(header):
        said = dict(_fields(item))
        policy = policies.get(name, {})
        # Without a word on when there are more, they come within the policy's window.
        reset = said.get("t", policy.get("w"))
        limit = said.get("q", policy.get("q"))
        if "r" in said:
            yield name, int(said["r"]), None if reset is None else float(reset), None if limit is None else int(limit)


def _items(header: str) -> Iterator[tuple[str, str]]:
    """The quotas of a header by their names; the older form has one, without a name."""
    if '"' not in header:
        yield "", header
        return
    for item in _ITEM.findall(header):
        # Some put the kind of the policy before its name.
        names = _NAME.findall(item)
        yield names[-1] if names else "", _NAME.sub("", item)


def _fields(item: str) -> Iterator[tuple[str, str]]:
    return ((_LONG_NAMES.get(name, name), value) for name, value in _FIELD.findall(item))


def _of_separate_headers(headers: Headers) -> Iterator[tuple[str, int, float | None, int | None]]:
    prefix = next((one for one in _PREFIXES if f"{one}-Remaining" in headers), None)
    reset_name = next((name for name in _RESETS if name in headers), None)
    if prefix is None or reset_name is None:
        return
    limits = headers.get(f"{prefix}-Limit", "").split(",")
    # Several quotas in one header, in one order: `1, 14832`.
    remaining = headers[f"{prefix}-Remaining"].split(",")
    resets = [headers[reset_name]] if len(remaining) == 1 else headers[reset_name].split(",")
    for place, (left, reset, limit) in enumerate(zip_longest(remaining, resets, limits, fillvalue="")):
        number = _number(left)
        if number is not None and number >= 0:
            of_limit = _number(limit.partition(";")[0])
            yield str(place), int(number), _moment(reset), None if of_limit is None else int(of_limit)


def _moment(text: str) -> float | None:
    """A number of seconds or an instant, as a number or as a date."""
    if (number := _number(text)) is not None:
        return number
    if (instant := from_iso_8601(text.strip())) is not None and instant.tzinfo is not None:
        return instant.timestamp()
    return instant_of(text)


def _number(text: str) -> float | None:
    try:
        number = float(text[:400])
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None
