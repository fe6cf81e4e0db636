"""The HTTP session to the API: what is retried, how long, how fast, and what an error may say.

In: retry numbers (dlt's own `RUNTIME__REQUEST_*`) and the request budget. Out: a `requests` session, safe to use
from several threads. It retries `RETRIED_STATUSES`, refused or broken connections and timeouts, with
exponential backoff, honours Retry-After (RFC 9110, 10.2.3: seconds or HTTP date), and tells a long one to the
scheduler instead of holding a worker. Every error that leaves it is free of secrets.
"""

import json
import re
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import orjson
import requests
from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.specs import RuntimeConfiguration
from dlt.sources.helpers.requests import Client
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.util.retry import Retry

from include.errors import ConfigurationError, ResponseShapeError, TransientError
from include.extract.request_budget import RequestBudget
from include.extract.transport import CurlAdapter
from include.redaction import redact, redact_data

RETRIED_STATUSES = (429, 500, 502, 503, 504)
CONNECT_TIMEOUT_SECONDS = 10.0
# The longest Retry-After that is believed: a week (as in `retry_policy`). urllib3 alone would cut it to six hours.
LONGEST_RETRY_AFTER_SECONDS = 7 * 24 * 60 * 60

# A number beyond 64 bits has 19 digits or more. Much faster to find than with a regular expression.
_ANY_DIGIT_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19
_QUERY = re.compile(r"\?[^\s'\")]*")


@configspec
class HttpConfiguration(RuntimeConfiguration):
    """dlt's runtime options with this project's defaults: at most 3 retries, waits of 2, 4 and 8 seconds.

    `request_max_retry_delay` (seconds) is the longest wait inside a task; beyond it the scheduler waits.
    """

    request_max_attempts: int = 4
    request_backoff_factor: float = 2
    request_max_retry_delay: float = 60

    __section__: ClassVar[str] = "runtime"


def open_session(max_parallel_requests: int, budget: RequestBudget | None = None) -> requests.Session:
    """A session with this project's retries, for any number of threads; `budget` is what they share, None: one each.

    Raises as `ApiAdapter.send` does.
    """
    configuration = resolve_configuration(HttpConfiguration())
    client = Client(
        request_timeout=(CONNECT_TIMEOUT_SECONDS, configuration.request_timeout),
        # dlt's REST client raises for statuses itself and would warn about a session that does too.
        raise_for_status=False,
        status_codes=RETRIED_STATUSES,
        request_max_attempts=configuration.request_max_attempts,
        request_backoff_factor=configuration.request_backoff_factor,
        request_max_retry_delay=configuration.request_max_retry_delay,
    )
    session = client.session
    budget = budget or RequestBudget(max_parallel_requests)
    adapter = ApiAdapter(configuration.request_max_retry_delay, configuration.request_backoff_factor, budget)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    _retry_once_per_page(session)
    _read_environment_once(session)
    return session


def _read_environment_once(session: requests.Session) -> None:
    """Look up proxies and certificates once for each host; requests reads the whole environment for each request."""
    merge = session.merge_environment_settings
    known: dict[str, Any] = {}

    def merge_once(url: str, *given: Any) -> Any:
        origin = str(_origin(urlsplit(url))) + repr(given)
        if origin not in known:
            known[origin] = merge(url, *given)
        return dict(known[origin])

    session.merge_environment_settings = merge_once  # type: ignore[method-assign, assignment]


def _retry_once_per_page(session: requests.Session) -> None:
    """Keep redirects out of the retries: a page behind one would be asked for 4 x 4 times.

    requests sends each redirect through `session.send` again, with `allow_redirects=False`, and there dlt has put
    its retries. What fails behind a redirect is tried again from the first address.
    """
    send_with_retries = session.send

    def send(request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if kwargs.get("allow_redirects") is False:
            return type(session).send(session, request, **kwargs)
        return send_with_retries(request, **kwargs)

    session.send = send  # type: ignore[method-assign]


class ApiAdapter(CurlAdapter):
    """One HTTP exchange, below the retries: sees each attempt and each redirect."""

    def __init__(self, longest_wait_seconds: float, backoff_factor: float, budget: RequestBudget) -> None:
        super().__init__()
        self._longest_wait_seconds = longest_wait_seconds
        self._backoff_factor = backoff_factor
        self._budget = budget

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send once.

        Raises requests' connection errors and timeouts (transient, retried by the session), TransientError when
        the API asks for a wait that is too long for a worker, ConfigurationError (permanent) when it redirects
        to another host.
        """
        try:
            with self._budget.turn():
                response = super().send(request, *args, **kwargs)
                if response.status_code >= 400:
                    # dlt shows it where `runtime.http_show_error_body` is set, and some APIs repeat the key.
                    response._content, response.encoding = redact(response.text).encode(), "utf-8"
                # Still in its turn: the next one may not go before the pause that this answer asks for is known.
                self._heed_wait(request, response)
        except requests.RequestException as error:
            failure = type(error)
            message = f"{_where(request)} failed: {redact(_without_queries(error))}"
        else:
            response.url = redact(response.url)
            response.reason = redact(response.reason)
            response.json = _read_once(response)  # type: ignore[method-assign]
            self._refuse_foreign_redirect(request, response)
            return response
        # Raised outside the handler: as context, the original would carry its text into every traceback.
        raise failure(message)

    def _refuse_foreign_redirect(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        if not response.is_redirect:
            return
        here = urlsplit(request.url or "")
        there = urlsplit(urljoin(request.url or "", response.headers["location"]))
        secured = (here.scheme, there.scheme) == ("http", "https") and here.hostname == there.hostname
        if _origin(here) != _origin(there) and not secured:
            raise ConfigurationError(
                f"{_where(request)} was redirected to another host, {redact(there.hostname or '?')}; the API key is "
                "not sent there. If the API has moved, change the host of its connection."
            )

    def _heed_wait(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        if response.status_code not in (429, 503):
            self._budget.answered()
            return
        seconds = retry_after_seconds(response)
        if seconds is not None and seconds > self._longest_wait_seconds:
            raise TransientError(
                f"{_where(request)} answered {response.status_code} and asks to come back in {seconds:.0f} s, longer "
                f"than the {self._longest_wait_seconds:.0f} s that a worker waits.",
                retry_after_seconds=seconds,
            )
        # When one request is told to wait, all wait. A 503 without a time may be about that one page.
        if seconds is not None or response.status_code == 429:
            self._budget.slow_down(self._backoff_factor if seconds is None else seconds)


def retry_after_seconds(response: requests.Response) -> float | None:
    """Seconds from now that Retry-After asks for, a week at the most; None: no header, or one that cannot be read."""
    header = response.headers.get("Retry-After")
    if header is None:
        return None
    try:
        return float(Retry(retry_after_max=LONGEST_RETRY_AFTER_SECONDS).parse_retry_after(header))
    except (Urllib3Error, ValueError, OverflowError):
        return None


def _read_once(response: requests.Response) -> Callable[..., Any]:
    """`response.json`, parsed once however often it is asked. Raises ResponseShapeError (permanent)."""
    # Only until it is read: a response that its own function holds would wait for the garbage collector.
    unread = [response]
    parsed: list[Any] = []

    def read(**_: Any) -> Any:
        if unread:
            parsed.append(parse_json(unread[0]))
            unread.clear()
        return parsed[0]

    return read


def parse_json(response: requests.Response) -> Any:
    """The JSON value of the body; integers beyond 64 bits as text.

    Raises ResponseShapeError (permanent) when there is none.
    """
    body = redact_data(response.content)
    try:
        # orjson turns integers beyond 64 bits into floats; the standard library keeps every digit.
        if _LONG_NUMBER in body.translate(_ANY_DIGIT_TO_ZERO):
            return json.loads(body, parse_int=_integer_or_text, parse_constant=_refuse_constant)
        return orjson.loads(body)
    except ValueError:
        kind = response.headers.get("Content-Type", "no content type").split(";")[0]
        problem = f"{_where(response.request)} answered {response.status_code} with {len(body)} bytes of {redact(kind)}"
    raise ResponseShapeError(
        f"{problem} that are not whole, valid JSON. Open that address with the key in a browser to see what it says."
    )


def _integer_or_text(digits: str) -> int | str:
    # dlt cannot write an integer beyond 64 bits, and few destinations can hold one: as text no digit is lost.
    if len(digits) <= 20 and -(2**63) <= (number := int(digits)) < 2**63:
        return number
    return digits


def _refuse_constant(name: str) -> None:
    # RFC 8259, 6: NaN and Infinity are no JSON. The standard library takes them, orjson does not.
    raise ValueError(f"{name} is not JSON")


def _where(request: requests.PreparedRequest) -> str:
    """The request in words, without its query: that is where the key is."""
    return f"{request.method} {urlunsplit(urlsplit(request.url or '')._replace(query='', fragment=''))}"


def _without_queries(error: Exception) -> str:
    return _QUERY.sub("?…", str(error))


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    default_port = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.hostname, url.port or default_port
