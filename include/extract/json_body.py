"""The JSON of an answer, with every digit, within the limits.

In: a response. Out: Python values; integers beyond 64 bits as text, because dlt cannot write one and few destinations
can hold one.
"""

import json
from typing import Any

import orjson
import requests

from include.errors import ResponseShapeError
from include.extract.failures import address_of
from include.redaction import redact, shown

# A number beyond 64 bits has 19 digits or more. Much faster to find than with a regular expression.
_ANY_DIGIT_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19


def parse_json(response: requests.Response) -> Any:
    """The JSON value of the body; integers beyond 64 bits as text.

    Raises ResponseShapeError (permanent) when there is none.
    """
    body = response.content
    try:
        # orjson turns integers beyond 64 bits into floats; the standard library keeps every digit.
        if _LONG_NUMBER in body.translate(_ANY_DIGIT_TO_ZERO):
            return json.loads(body, parse_int=_integer_or_text, parse_constant=_no_constant)
        return orjson.loads(body)
    except ValueError:
        kind = shown(redact(response.headers.get("Content-Type", "no content type").split(";")[0]))
        where = address_of(response.request)
        problem = f"{where} answered {response.status_code} with {len(body)} bytes of {kind}"
    raise ResponseShapeError(
        f"{problem} that are not whole, valid JSON. Open that address with the key in a browser to see what it says."
    )


def _integer_or_text(digits: str) -> int | str:
    if len(digits) <= 20 and -(2**63) <= (number := int(digits)) < 2**63:
        return number
    return digits


def _no_constant(name: str) -> None:
    # RFC 8259, 6: NaN and Infinity are no JSON. The standard library takes them, orjson does not.
    raise ValueError(f"{name} is not JSON")
