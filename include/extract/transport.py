"""One HTTP exchange by libcurl, for a `requests` session: in C, while Python does something else.

In: a prepared GET, and what the session knows of timeouts, certificates and proxies. Out: requests' own `Response`,
read whole, or requests' own errors. urllib3 does the same in Python under Python's one lock, which with eight requests
at once took nearly half of the time of a load (docs/decisions/0014).
"""

import math
import os
import re
import threading
from typing import Any

import pycurl
import requests
from requests.adapters import BaseAdapter
from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    prepend_scheme_if_needed,
    select_proxy,
)
from urllib3 import HTTPHeaderDict
from urllib3.util.wait import wait_for_read

from include.errors import ConfigurationError
from include.extract.failures import address_of
from include.extract.limits import BODY_BYTES, TIMEOUTS_OF_A_REQUEST
from include.extract.response import ApiResponse
from include.extract.unpack import TooLarge, unpacked
from include.redaction import redact, shown

# Most pages in one piece.
BUFFER_BYTES = 128 * 1024

# https://curl.se/libcurl/c/libcurl-errors.html; what is not here is a connection that failed.
_ERRORS: dict[int, type[requests.RequestException]] = {
    pycurl.E_URL_MALFORMAT: requests.exceptions.InvalidURL,
    pycurl.E_COULDNT_RESOLVE_PROXY: requests.exceptions.ProxyError,
    pycurl.E_PARTIAL_FILE: requests.exceptions.ChunkedEncodingError,
    pycurl.E_BAD_CONTENT_ENCODING: requests.exceptions.ContentDecodingError,
    pycurl.E_SSL_CONNECT_ERROR: requests.exceptions.SSLError,
    pycurl.E_PEER_FAILED_VERIFICATION: requests.exceptions.SSLError,
}
# RFC 9110, 5.1 and 5.5.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAK = re.compile(r"[\r\n\0]")
_UNREADABLE_CERTIFICATES = (pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_CERTPROBLEM)


class CurlAdapter(BaseAdapter):
    """Safe to use from any thread: each keeps one connection, and uses it again."""

    def __init__(self) -> None:
        super().__init__()
        self._of_thread = threading.local()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send once and read the whole answer, also with `stream`. Blocks signals while it waits.

        `timeout`: seconds to connect, and seconds without a byte, the latter rounded up to whole ones; None: curl's. All of
        it takes `TIMEOUTS_OF_A_REQUEST` times the latter at the most. Raises requests' connection errors and timeouts
        (transient), InvalidURL, ConfigurationError and TooLarge (permanent).
        """
        assert request.method in ("GET", "POST"), "the API is only read; a POST is a search"
        assert request.url
        curl = self._handle()
        header_lines: list[bytes] = []
        body = _Body()
        curl.setopt(pycurl.URL, request.url)
        curl.setopt(
            pycurl.HTTPHEADER,
            [*(_header_line(*header) for header in request.headers.items()), *_set_body(curl, request)],
        )
        curl.setopt(pycurl.HEADERFUNCTION, header_lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, body.take)
        _set_timeouts(curl, timeout)
        proxy = select_proxy(request.url, proxies)
        if any(url.lower().startswith("https:") for url in (request.url, proxy or "")):
            _set_certificates(curl, verify, cert)
        # An empty text keeps curl from looking into the environment, which the session has done.
        curl.setopt(pycurl.PROXY, prepend_scheme_if_needed(proxy, "http") if proxy else "")  # type: ignore[no-untyped-call]
        curl.setopt(pycurl.NOPROXY, "")
        sending = _SendOnce()
        curl.setopt(pycurl.PREREQFUNCTION, sending)
        try:
            curl.perform()
        except pycurl.error as error:
            failure = TooLarge(_too_large(request)) if body.is_too_large else _failure(curl, sending, *error.args)
        else:
            self._of_thread.socket = curl.getinfo(pycurl.ACTIVESOCKET)
            reason, headers = _head(header_lines)
            status = curl.getinfo(pycurl.RESPONSE_CODE)
            return self.answer(request, status, reason, headers, _unpacked(request, status, headers, body))
        raise failure

    def close(self) -> None:
        """Close the connections of all threads."""
        self._of_thread = threading.local()

    def _handle(self) -> Any:
        curl = getattr(self._of_thread, "curl", None)
        if curl is None:
            curl = self._of_thread.curl = pycurl.Curl()
            self._of_thread.socket = -1
        # Forgets all options, and keeps the connection.
        curl.reset()
        # curl's timeouts must not be signals where there are threads.
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.BUFFERSIZE, BUFFER_BYTES)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.MAXCONNECTS, 1)
        kept, self._of_thread.socket = self._of_thread.socket, -1
        # As in urllib3: what can be read while nothing was asked is the end. curl looks after a second only.
        if kept >= 0 and wait_for_read(kept, timeout=0):
            curl.setopt(pycurl.FRESH_CONNECT, 1)
        return curl

    def answer(
        self, request: requests.PreparedRequest, status: int, reason: str, headers: HTTPHeaderDict, body: bytes
    ) -> requests.Response:
        """The response, of what came."""
        return ApiResponse(request, status, reason, headers, body)


class _Body:
    """Takes the body as it comes, up to the limit."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> int:
        self._size += len(piece)
        if self.is_too_large:
            # Not what came: curl ends the transfer.
            return 0
        self._pieces.append(piece)
        return len(piece)

    @property
    def is_too_large(self) -> bool:
        return self._size > BODY_BYTES

    def whole(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def _set_body(curl: Any, request: requests.PreparedRequest) -> list[bytes]:
    """The method and what it sends; returns the headers that this takes: those of curl's own are left out."""
    if request.method == "GET" and request.body is None:
        return []
    body = request.body or b""
    assert isinstance(body, str | bytes), "a body is read whole before it is sent"
    curl.setopt(pycurl.POSTFIELDS, body.encode() if isinstance(body, str) else body)
    # A search with a body may be a GET as well.
    curl.setopt(pycurl.CUSTOMREQUEST, request.method)
    # Not to be asked whether the body may follow; and what it is, only the caller knows.
    return [b"Expect:"] + ([] if "Content-Type" in request.headers else [b"Content-Type:"])


def _unpacked(request: requests.PreparedRequest, status: int, headers: HTTPHeaderDict, body: _Body) -> bytes:
    encoding = headers.get("Content-Encoding")
    if not encoding:
        return body.whole()
    try:
        return unpacked(body.whole(), encoding, BODY_BYTES)
    except (TooLarge, requests.RequestException) as error:
        if status >= 400:
            # The status says what is wrong; what it says beside that cannot be read.
            return b""
        if not isinstance(error, TooLarge):
            raise
        problem = _too_large(request)
    raise TooLarge(problem)


def _too_large(request: requests.PreparedRequest) -> str:
    return (
        f"{address_of(request)} answered with more than {BODY_BYTES // 1024**2} MiB in one page, the limit. Set a smaller "
        "`page_size`."
    )


class _SendOnce:
    """Called before a request goes out. curl would send it again, uncounted, where a connection it kept is closed."""

    def __init__(self) -> None:
        self.was_sent = False

    def __call__(self, *_: Any) -> int:
        if self.was_sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self.was_sent = True
        return int(pycurl.PREREQFUNC_OK)


def _set_timeouts(curl: Any, timeout: Any) -> None:
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if connect is not None:
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, math.ceil(connect * 1000))
    if read is not None:
        # Less than one byte a second, for so long.
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, math.ceil(read))
        # One byte a second would go on for ever.
        curl.setopt(pycurl.TIMEOUT_MS, math.ceil(read * 1000 * TIMEOUTS_OF_A_REQUEST))


def _set_certificates(curl: Any, verify: bool | str, cert: Any) -> None:
    if not verify:
        curl.setopt(pycurl.SSL_VERIFYPEER, 0)
        curl.setopt(pycurl.SSL_VERIFYHOST, 0)
    trusted = DEFAULT_CA_BUNDLE_PATH if isinstance(verify, bool) else verify
    if os.path.isdir(trusted):
        raise ConfigurationError(
            f"The trusted certificates are a folder, {trusted}. Name one file with all of them in REQUESTS_CA_BUNDLE."
        )
    curl.setopt(pycurl.CAINFO, trusted)
    curl.setopt(pycurl.PROXY_CAINFO, trusted)
    if cert:
        certificate, key = (cert, None) if isinstance(cert, str) else cert
        curl.setopt(pycurl.SSLCERT, certificate)
        if key:
            curl.setopt(pycurl.SSLKEY, key)


def _failure(curl: Any, sending: _SendOnce, code: int, message: str) -> Exception:
    os_error = curl.getinfo(pycurl.OS_ERRNO)
    if os_error and os.strerror(os_error) not in message:
        message = f"{message}: {os.strerror(os_error)}"
    if code in _UNREADABLE_CERTIFICATES:
        return ConfigurationError(
            f"A file of certificates cannot be read: {message}. Correct REQUESTS_CA_BUNDLE in the environment."
        )
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return (requests.ReadTimeout if sending.was_sent else requests.ConnectTimeout)(message)
    if code == pycurl.E_ABORTED_BY_CALLBACK:
        return requests.ConnectionError("The connection was closed before an answer came")
    return _ERRORS.get(code, requests.ConnectionError)(message)


def _head(lines: list[bytes]) -> tuple[str, HTTPHeaderDict]:
    """The reason and the headers of the answer: the last of several heads, and the trailer behind the body if any."""
    reason, headers = "", HTTPHeaderDict()
    for line in lines:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            reason, headers = "".join(text.split(None, 2)[2:]), HTTPHeaderDict()
        elif text:
            name, _, value = text.partition(":")
            headers.add(name, value.strip())
    return reason, headers


def _header_line(name: str | bytes, value: str | bytes) -> bytes:
    if not _HEADER_NAME.fullmatch(_text(name)) or _BREAK.search(_text(value)):
        # A line break would begin another header, or the body.
        raise ConfigurationError(
            f"The header `{shown(redact(_text(name)))}` cannot be sent: its name or value has characters that a header "
            "cannot carry. Check `api_key_param` and the password of the API's connection."
        )
    # With a colon and nothing behind it curl would leave the header out.
    line = f"{_text(name)}: {_text(value)}" if value else f"{_text(name)};"
    return line.encode("latin-1")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
