"""The API's own key, where the API repeats it in its records, such as in a link from a record to itself.

In: the key, and each page's body and parsed JSON. Out: the same JSON with the key replaced, and how many values that
were. A record is data: nothing else is replaced in it, no field's name ever is, and what stands outside of lists, such
as the link to the next page, is no record.
"""

import re
from typing import Any
from urllib.parse import quote, quote_plus

from include.redaction import REPLACEMENT

# A shorter key, or one without letters or without digits, may be a word or a number of the records.
CHARACTERS_AT_LEAST = 16
# `\u0073` for an `s`: no writer of JSON does that with a letter, a digit or one of `-._~`, but one may.
_ESCAPED = re.compile(rb"\\u00(?:2[dDeE]|3\d|[46][1-9A-Fa-f]|[57][0-9AaEeFf])")


class OwnKey:
    """Replaces `key` in records where it is a whole value, a whole parameter of an address, or a whole word."""

    def __init__(self, key: str | None) -> None:
        key = key or ""
        self.replaced_values = 0
        self._is_distinctive = (
            len(key) >= CHARACTERS_AT_LEAST
            and re.search(r"[^\W\d_]", key) is not None
            and re.search(r"\d", key) is not None
        )
        spellings = {key, quote(key), quote(key, safe=""), quote_plus(key)}
        spellings |= {re.sub("%[0-9A-F]{2}", lambda code: code.group().lower(), spelling) for spelling in spellings}
        any_spelling = "|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))
        # "%3D" is no part of a word.
        self._pattern = re.compile(rf"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{{2}}))(?:{any_spelling})(?!\w)")
        # The part that is written in one way only, but for `\u0073`; the longer, the faster it is found.
        self._constant = max(re.findall("[A-Za-z0-9._~-]+", key), key=len, default="").encode()

    def remove(self, body: bytes, value: Any) -> Any:
        """`value`, the JSON of `body`, without the key; changed in place. Looks into it only where the key may be."""
        if not self._is_distinctive or not self._may_be_in(body):
            return value
        if isinstance(value, list):
            return self._without(value)
        if isinstance(value, dict):
            for name, item in value.items():
                value[name] = self.remove(body, item) if isinstance(item, dict | list) else item
        return value

    def _may_be_in(self, body: bytes) -> bool:
        if self._constant in body:
            return True
        return b"\\" in body and b"\\u00" in body and _ESCAPED.search(body) is not None

    def _without(self, value: Any) -> Any:
        if isinstance(value, str):
            text, count = self._pattern.subn(REPLACEMENT, value)
            self.replaced_values += count > 0
            return text if count else value
        if isinstance(value, list):
            value[:] = map(self._without, value)
        elif isinstance(value, dict):
            for name, item in value.items():
                value[name] = self._without(item)
        return value
