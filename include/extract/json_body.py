"""The JSON of an answer: every digit, every character, within the limits.

In: a response. Out: Python values; integers beyond 64 bits as text, because dlt cannot write one and few destinations
can hold one. Character sets are read as a browser reads them: a byte order mark, then what the answer declares, then
UTF-8; half a surrogate pair becomes U+FFFD.
"""

import codecs
import json
import math
import re
from collections.abc import Iterable
from typing import Any

import orjson
import requests

from include.errors import ResponseShapeError
from include.extract.failures import address_of
from include.extract.limits import DISTINCT_NAMES, NAME_CHARACTERS, NESTING_LEVELS, NUMBER_CHARACTERS, RECORD_BYTES
from include.redaction import redact, shown

# A number beyond 64 bits has 19 digits or more. Much faster to find than with a regular expression.
_ANY_DIGIT_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19
# Longest first: UTF-32 begins as UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
# https://encoding.spec.whatwg.org/#names-and-labels: browsers take these for windows-1252.
_WINDOWS_1252 = ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "l1", "ascii", "us-ascii")
_CONTAINERS = frozenset({dict, list})
_SURROGATE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


class _BeyondLimit(ValueError):
    """What the body holds that is beyond a limit."""


def parse_json(response: requests.Response) -> Any:
    """The JSON value of the body; integers beyond 64 bits as text.

    Raises ResponseShapeError (permanent) when there is none, or when it is beyond a limit of `limits.py`.
    """
    body = utf8_body(response)
    try:
        value = _value_of(body)
        check_bounds(body, value)
        return value
    except _BeyondLimit as error:
        problem = f"holds {error}. Nothing of such an answer is loaded; ask the API's owner whether it is meant so."
    except ValueError:
        kind = shown(redact(response.headers.get("Content-Type", "no content type").split(";")[0]))
        problem = (
            f"with {len(body)} bytes of {kind} that are not whole, valid JSON. Open that address with the key in a "
            "browser to see what it says."
        )
    raise ResponseShapeError(f"{address_of(response.request)} answered {response.status_code} {problem}")


def utf8_body(response: requests.Response) -> bytes:
    """The body in UTF-8, without a byte order mark."""
    body = response.content
    if body[:1] in (b"\xef", b"\xff", b"\xfe", b"\x00"):
        for mark, charset in _MARKS:
            if body.startswith(mark):
                return body[len(mark) :] if charset == "utf-8" else body.decode(charset, "replace").encode()
    declared = _CHARSET.search(response.headers.get("Content-Type", ""))
    charset = declared.group(1).lower() if declared else "utf-8"
    if charset in ("utf-8", "utf8"):
        return body
    try:
        return body.decode("cp1252" if charset in _WINDOWS_1252 else charset, "replace").encode()
    except (LookupError, UnicodeError):
        # Python knows more names than browsers do, some of which are no character sets: `idna`, `undefined`.
        return body


def is_cut(body: bytes) -> bool:
    """Whether `body`, in UTF-8, is JSON that ends too early: half of an answer."""
    opens = body[:64].lstrip()[:1]
    closes = {b"{": b"}", b"[": b"]"}.get(opens)
    # The first one is closed last.
    if closes is None or body.count(opens) == body.count(closes):
        return False
    # Or there are brackets in its texts.
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return error.pos >= len(error.doc) or _ends_within_character(body)
    return False


def check_bounds(body: bytes, value: Any) -> None:
    """Raises ValueError that says which limit the JSON `value` of `body` is beyond."""
    names: set[str] = set()
    level = [value] if type(value) in _CONTAINERS else []
    depth = 0
    # Each record comes through here: what is below is as fast as Python gets.
    while level:
        depth += 1
        if depth > NESTING_LEVELS:
            raise _BeyondLimit(f"lists and objects more than {NESTING_LEVELS} levels inside each other")
        objects = [item for item in level if type(item) is dict]
        names.update(*objects)
        if len(body) > RECORD_BYTES and depth > 1:
            _check_sizes(objects)
        level = _below(level, objects)
    if len(names) > DISTINCT_NAMES:
        raise _BeyondLimit(f"{len(names)} different field names, more than {DISTINCT_NAMES}")
    longest = max(names, key=len, default="")
    if len(longest) > NAME_CHARACTERS:
        raise _BeyondLimit(f"a field name of {len(longest)} characters, more than {NAME_CHARACTERS}: {shown(longest)}")


def _below(level: list[Any], objects: list[Any]) -> list[Any]:
    """The lists and objects that those of `level` hold; `objects` are the objects among them."""
    below = [item for container in objects for item in container.values() if type(item) in _CONTAINERS]
    if len(objects) < len(level):
        lists = [item for item in level if type(item) is list]
        below += [item for container in lists for item in container if type(item) in _CONTAINERS]
    return below


def _value_of(body: bytes) -> Any:
    # orjson turns integers beyond 64 bits into floats; the standard library keeps every digit.
    if _LONG_NUMBER not in body.translate(_ANY_DIGIT_TO_ZERO):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            # The standard library knows why, or takes what orjson does not: half a surrogate pair.
            pass
    text = body.decode("utf-8", "surrogatepass")
    try:
        value = json.loads(text, parse_int=_integer_or_text, parse_float=_fraction, parse_constant=_no_constant)
    except RecursionError:
        raise _BeyondLimit(f"lists and objects more than {NESTING_LEVELS} levels inside each other") from None
    if _SURROGATE.search(text):
        check_bounds(b"", value)
        value = _without_lone_surrogates(value)
    return value


def _integer_or_text(digits: str) -> int | str:
    _check_length(digits)
    if len(digits) <= 20 and -(2**63) <= (number := int(digits)) < 2**63:
        return number
    return digits


def _fraction(digits: str) -> float:
    _check_length(digits)
    number = float(digits)
    if math.isinf(number):
        raise _BeyondLimit(f"the number {shown(digits)}, more than a number of 64 bits can be (1.8e308)")
    return number


def _check_length(digits: str) -> None:
    if len(digits) > NUMBER_CHARACTERS:
        raise _BeyondLimit(f"a number of {len(digits)} characters, more than {NUMBER_CHARACTERS}")


def _no_constant(name: str) -> None:
    # RFC 8259, 6: NaN and Infinity are no JSON. The standard library takes them, orjson does not.
    raise ValueError(f"{name} is not JSON")


def _without_lone_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_lone_surrogates(item) for item in value]
        case dict():
            return {_without_lone_surrogates(name): _without_lone_surrogates(item) for name, item in value.items()}
    return value


def _check_sizes(objects: Iterable[Any]) -> None:
    for item in objects:
        size = len(json.dumps(item, ensure_ascii=False))
        if size > RECORD_BYTES:
            raise _BeyondLimit(f"a record of {size} bytes, more than {RECORD_BYTES}")


def _ends_within_character(body: bytes) -> bool:
    try:
        body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False
