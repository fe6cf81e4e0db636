"""What an answer of the API that is no data means: the one table from a status to a failure of the project.

In: a response with a status of 400 or more. Out: a PermanentError, or a TransientError with the wait that the API asks
for; both are `requests.HTTPError`s too, so that whoever knows requests finds what is expected there. `raise_failure`
fits as one of dlt's `response_actions`, and as a response hook of requests.
"""

import time
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import requests

from include.errors import PermanentError, TransientError
from include.extract.limits import ERROR_BODY_BYTES, SAID_CHARACTERS
from include.extract.quota import bounded, instant_of, nothing_left, quota_wait_seconds, seconds_until
from include.redaction import cleaned, redact, shown

# RFC 9110, 15.5.9 and RFC 8470, 5.2: the server gave up waiting; it is too early.
TRANSIENT_STATUSES = frozenset({408, 425, 429})

ADVICE = {
    401: "The API refuses the key: check the password of {connection}.",
    403: "The key is known but may not read this: ask the API's owner for access.",
    404: "There is nothing at that address: check the connection's host and the option `path`.",
}

# How deep in an error is looked for what is wrong.
_LEVELS = 5
# Where it is said, best first.
_SAID_IN = ("message", "error_description", "error", "detail", "errors", "description", "title", "msg", "reason")


class RefusedRequest(PermanentError, requests.HTTPError):
    """The API refuses what it is asked, and will again."""


class FailedRequest(TransientError, requests.HTTPError):
    """The API cannot answer now."""


def raise_failure(
    response: requests.Response,
    *_: Any,
    transient_statuses: Collection[int] = (),
    conn_id: str | None = None,
    **__: Any,
) -> None:
    """Raise what a status of 400 or more means: RefusedRequest (permanent) or FailedRequest (transient).

    `transient_statuses` are further ones that a later try may not meet. Any other status is no failure. `conn_id`: the
    connection that the error names; None: that of the API.
    """
    status = response.status_code
    if status < 400:
        return
    wait_seconds = asked_wait_seconds(response, time.time())
    # GitHub and others answer 403 where a quota is used up.
    is_limit = status == 403 and (wait_seconds is not None or nothing_left(response.headers))
    error: RefusedRequest | FailedRequest
    if is_limit or status >= 500 or status in TRANSIENT_STATUSES or status in transient_statuses:
        error = FailedRequest(_sentence(response, wait_seconds), retry_after_seconds=wait_seconds or None)
    else:
        connection = f"the connection `{conn_id}`" if conn_id else "the API's connection"
        advice = ADVICE.get(status, "").format(connection=connection)
        error = RefusedRequest(f"{_sentence(response)} {advice}".strip())
    error.response, error.request = response, response.request
    raise error


def address_of(request: requests.PreparedRequest) -> str:
    """The request in words, without its query and without a login: that is where secrets are."""
    parts = urlsplit(request.url or "")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return f"{request.method} {shown(redact(urlunsplit(bare)), SAID_CHARACTERS)}"


def asked_wait_seconds(response: requests.Response, now: float) -> float | None:
    """Seconds from `now` (since 1970) that an answer asks for, 0 to a week; None: it asks for none, or unreadably.

    `Retry-After` where it is, else the end of a quota of which nothing is left.
    """
    seconds = retry_after_seconds(response, now)
    return quota_wait_seconds(response.headers, now) if seconds is None else seconds


def retry_after_seconds(response: requests.Response, now: float | None = None) -> float | None:
    """What `Retry-After` asks for (RFC 9110, 10.2.3: seconds or HTTP date; some send an epoch), as `asked_wait_seconds`."""
    header = response.headers.get("Retry-After", "").strip()
    now = time.time() if now is None else now
    if header.isdecimal() and header.isascii():
        # Python reads no more than 4,300 digits as a number, and 15 are a date far beyond any wait.
        return seconds_until(float(header[:400]), now)
    instant = instant_of(header)
    return None if instant is None else bounded(instant - now)


def _sentence(response: requests.Response, wait_seconds: float | None = None) -> str:
    reason = shown(cleaned(str(response.reason or "")), SAID_CHARACTERS)
    answer = f"{address_of(response.request)} answered {response.status_code} {reason}".rstrip()
    if wait_seconds:
        answer = f"{answer} and asks to come back in {wait_seconds:.0f} s"
    # Also without queries: some name the whole address that was asked for.
    said = shown(cleaned(_said(response)).strip(), SAID_CHARACTERS).rstrip(".")
    return f"{answer}: {said}." if said else f"{answer}."


def _said(response: requests.Response) -> str:
    """What the API said in the body, in its own words; empty where it said nothing for people."""
    body = response.content[:ERROR_BODY_BYTES]
    try:
        return _message_in(orjson.loads(body))
    except ValueError:
        kind = response.headers.get("Content-Type", "")
        return body.decode("utf-8", "replace") if kind.startswith("text/plain") else ""


def _message_in(value: Any, levels: int = _LEVELS) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and levels:
        return "; ".join(filter(None, (_message_in(item, levels - 1) for item in value[:5])))
    if isinstance(value, dict) and levels:
        messages = (_message_in(value.get(name), levels - 1) for name in _SAID_IN)
        return next(filter(None, messages), "") or _messages_by_field(value, levels)
    return ""


def _messages_by_field(value: dict[str, Any], levels: int) -> str:
    # Beside the body itself, an object names what is wrong by its field: {"errors": {"limit": ["is too large"]}}.
    if levels == _LEVELS:
        return ""
    named = ((name, _message_in(item, levels - 1)) for name, item in list(value.items())[:5])
    return "; ".join(f"{name}: {message}" for name, message in named if message)
