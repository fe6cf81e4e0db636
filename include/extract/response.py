"""An answer of the API, read whole, as requests' own `Response`.

In: what came. Out: a response whose body is there, and whose JSON is read once however often it is asked.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, iter_slices
from urllib3 import HTTPHeaderDict

from include.extract.json_body import parse_json, utf8_body


class ApiResponse(requests.Response):
    """As requests makes it, but for `raw`, which has nothing left to read.

    `then` is what becomes of the JSON when it has been read, given the body in UTF-8 too; None: nothing.
    """

    def __init__(
        self,
        request: requests.PreparedRequest,
        status: int,
        reason: str,
        headers: HTTPHeaderDict,
        body: bytes,
        then: Callable[[bytes, Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.request = request
        self.url = request.url or ""
        self.status_code = status
        self.reason = reason
        self.headers = CaseInsensitiveDict(headers)
        self.encoding = get_encoding_from_headers(self.headers)
        # Where requests keeps it, and where a declaration's hook may put another one.
        self._content = body
        self._then = then
        self._parsed: list[Any] = []
        self._parsed_of: bytes | None = None
        self.is_nothing = False
        """There is nothing here, whatever the answer was."""
        self.answered_at = 0.0
        """When the answer had come, in seconds of the session's clock, which only goes forward."""
        if "Set-Cookie" in headers:
            # Where requests looks for cookies.
            self.raw = SimpleNamespace(_original_response=SimpleNamespace(msg=headers))

    @property
    def content(self) -> bytes:
        """The body, unpacked."""
        return self._content or b""

    def json(self, **_: Any) -> Any:
        """The JSON value of the body, always the same object. Raises ResponseShapeError (permanent)."""
        if not self._parsed or self._parsed_of is not self._content:
            value = parse_json(self)
            self._parsed, self._parsed_of = [], self._content
            self._parsed.append(self._then(utf8_body(self), value) if self._then else value)
        return self._parsed[0]

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """The body in pieces: bytes, or text with `decode_unicode`."""
        content: Any = self.text if decode_unicode else self.content
        pieces: Iterator[Any] = iter_slices(content, chunk_size or max(1, len(content)))
        return pieces

    def close(self) -> None:
        """Nothing to do: the connection went back when the answer had come."""


def nothing_there(response: requests.Response) -> ApiResponse:
    """In place of `response`: the answer that there is nothing."""
    empty = ApiResponse(response.request, 204, "No Content", HTTPHeaderDict(), b"null")
    empty.answered_at = getattr(response, "answered_at", 0.0)
    empty.is_nothing = True
    return empty
