"""The HTTP session to the API: one request after the other is asked for, and answered from what was fetched ahead.

In: how many requests at once and a second, and where they may go; what each request carries of its read (`read_hook.py`). Out: a
`requests` session that retries, honours waits, follows redirects on the same host only, and whose errors hold no
secret. dlt's REST client asks it for `prepare_request`, `merge_environment_settings` and `send`.
"""

from collections.abc import Collection, Iterable
from copy import copy
from functools import partial
from itertools import count
from typing import Any, Self
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
from dlt.sources.helpers.requests import Session
from dlt.sources.helpers.rest_client.exceptions import IgnoreResponseException
from requests.hooks import default_hooks, dispatch_hook
from urllib3 import HTTPHeaderDict

from include.errors import ConfigurationError
from include.extract.clock import SYSTEM_CLOCK, Clock
from include.extract.failures import address_of, asked_wait_seconds
from include.extract.hosts import Hosts, origin_of, origins_of_same_host
from include.extract.json_body import is_cut, utf8_body
from include.extract.limits import ERROR_BODY_BYTES
from include.extract.own_key import OwnKey
from include.extract.prefetch import Fetch, OpenReads
from include.extract.quota import quotas_of
from include.extract.read_hook import ReadHook, read_of
from include.extract.request_budget import RequestBudget
from include.extract.response import ApiResponse
from include.extract.retries import BUSY_STATUSES, RETRIED_STATUSES, HttpConfiguration, Retries, http_configuration
from include.extract.traffic import Traffic
from include.extract.transport import CurlAdapter
from include.extract.unpack import ENCODINGS
from include.redaction import redact, register_login, shown, without_queries

__all__ = ["CONNECT_TIMEOUT_SECONDS", "RETRIED_STATUSES", "ApiSession", "HttpConfiguration", "open_session"]

CONNECT_TIMEOUT_SECONDS = 10.0


def open_session(
    parallel: int,
    requests_per_second: float | None = None,
    retry_statuses: Iterable[int] = (),
    api_key: str | None = None,
    clock: Clock | None = None,
    base_url: str | None = None,
    other_hosts: Collection[str] = (),
    own_params: Collection[str] = (),
) -> "ApiSession":
    """A session that sends at most `parallel` requests at once, from threads of its own.

    `requests_per_second` None: no ceiling. `retry_statuses` are retried beside `RETRIED_STATUSES`. `api_key` is looked for in
    records (`OwnKey`); None: there is none. `clock` None: the machine's. Requests go to the host of `base_url` (None: to any),
    and, without credentials and without the query parameters `own_params`, to `other_hosts`.
    """
    clock = clock or SYSTEM_CLOCK
    configuration = http_configuration()
    return ApiSession(
        timeout_seconds=(CONNECT_TIMEOUT_SECONDS, configuration.request_timeout),
        retries=Retries.of(configuration, retry_statuses),
        budget=RequestBudget(parallel, requests_per_second, clock),
        parallel=parallel,
        own_key=OwnKey(api_key),
        clock=clock,
        hosts=Hosts(base_url, other_hosts, own_params),
    )


class ApiSession(Session):
    """dlt's session, with this project's retries around each page and its redirects. Safe to use from any thread.

    The response hooks of a request run when its answer is handed over, in the thread that asked for it, and once, on
    the answer behind all redirects: a page that was fetched ahead is judged when the paginator gets there.
    """

    def __init__(
        self,
        timeout_seconds: tuple[float, float],
        retries: Retries,
        budget: RequestBudget,
        parallel: int,
        own_key: OwnKey,
        clock: Clock,
        hosts: Hosts,
    ) -> None:
        # dlt's REST client raises for statuses by its hooks, and would warn about a session that does too.
        super().__init__(timeout=timeout_seconds, raise_for_status=False)
        self.headers["Accept-Encoding"] = ENCODINGS
        self.own_key = own_key
        """Counts the values of records in which the key was replaced."""
        adapter = ApiAdapter(retries, budget, own_key, clock)
        self.mount("http://", adapter)
        self.mount("https://", adapter)
        self._retrying = retries.controller(clock)
        self._reads = OpenReads(parallel, budget)
        self._hosts = hosts
        # The last request that was prepared, what it asked for but the position, and what became of it.
        self._prepared: tuple[requests.Request, dict[str, Any], requests.PreparedRequest] | None = None
        self._settings: dict[str, Any] = {}

    def end_read(self, read: ReadHook | None = None) -> None:
        """The read is over, well or not: nothing more is sent for it. Another one may begin. None: all reads are."""
        self._reads.end(read)

    def fetch_ahead(self, request: requests.Request) -> None:
        """Send `request`, which will be asked for next, while the present page is processed."""
        if (read := read_of(request.hooks)) and not read.in_turn:
            fetch: Fetch = partial(self._fetch, read.traffic)
            self._reads.prefetch_of(read).fetch_ahead(self._bare(self.prepare_request(request)), fetch)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As requests does, five times as fast for the next page of the same request. Raises as `Hosts.check` does."""
        request = self._hosts.check(request)
        read = read_of(request.hooks)
        params = dict(request.params) if isinstance(request.params, dict) else {}
        position = params.pop(read.position.name, None) if read and read.position.name else None
        # dlt asks for each page with the same object. Cookies, and a login that is renewed, may be others each time.
        if (
            read is None
            or position is None
            or getattr(request.auth, "expires", False)
            or any(True for _ in self.cookies)
        ):
            return self._prepare(request)
        prepared = self._prepared
        if prepared is None or prepared[0] is not request or prepared[1] != params:
            prepared = self._prepared = (request, params, self._prepare(request))
        return read.position.move(prepared[2], int(position))

    def merge_environment_settings(
        self, url: str | bytes | None, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Proxies and certificates, looked up once for each host; requests reads the whole environment each time."""
        origin = f"{origin_of(urlsplit(str(url)))} {(proxies, stream, verify, cert)}"
        if origin not in self._settings:
            settings = self._settings[origin] = super().merge_environment_settings(url, proxies, stream, verify, cert)
            for address in (str(url), *settings["proxies"].values()):
                register_login(address)
        return dict(self._settings[origin])

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Answer `request`, after as many retries as it takes.

        Raises requests' connection errors and timeouts (transient), ConfigurationError (permanent) when the API
        redirects to another host, and what the request's response hooks raise.
        """
        kwargs["timeout"] = kwargs.get("timeout") or self.timeout
        if kwargs.get("allow_redirects") is False:
            # The hop of a redirect: a part of a request, whose retries are around it all. A page behind a redirect would
            # be asked for 4 x 4 times otherwise.
            return self._send_once(request, **kwargs)
        try:
            return self._page(request, **kwargs)
        except IgnoreResponseException:
            # A hook of the declaration says that this is no answer: dlt goes on without it.
            self.end_read(read_of(request.hooks))
            raise
        except BaseException:
            self.end_read()
            raise

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where `resp` redirects to, None: nowhere. Raises ConfigurationError (permanent) for another host."""
        if not resp.is_redirect:
            return None
        # As requests reads it, but that bytes which are no UTF-8 are no error of Python's.
        location = resp.headers["location"].encode("latin-1").decode("utf-8", "replace")
        return redirect_target(resp.request, location)

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        """Never: where a login may not go, no redirect goes (`redirect_target`)."""
        return False

    def __deepcopy__(self, _: Any) -> Self:
        # dlt copies the whole configuration of a REST source to check it. Connections cannot be copied, but shared.
        return self

    def _page(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        read = read_of(request.hooks)
        fetch: Fetch = partial(self._fetch, read.traffic if read else Traffic(), **kwargs)
        prefetch = self._reads.prefetch_of(read) if read else None
        response: requests.Response
        if read is None or prefetch is None or read.in_turn:
            response = fetch(self._bare(request))
        else:
            response = prefetch.take(self._bare(request), fetch)
        response = dispatch_hook("response", request.hooks, response, **kwargs)  # type: ignore[no-untyped-call]
        if response.ok and read is not None and read.position.of(request) is not None:
            # Read here (once: `ApiResponse`), so that an answer that cannot be read ends the others as well.
            response.json()
        return response

    def _bare(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request without its hooks, which run when its answer is handed over."""
        bare = copy(request)
        bare.hooks = default_hooks()
        return bare

    def _fetch(self, traffic: Traffic, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        kwargs = kwargs or {
            **self.merge_environment_settings(request.url, {}, None, None, None),
            "timeout": self.timeout,
        }
        attempts = count()

        def attempt() -> requests.Response:
            is_retry, response = next(attempts) > 0, None
            try:
                response = self._send_once(request, **kwargs)
            finally:
                traffic.sent(is_retry, response)
            check_whole(response)
            return response

        response: requests.Response = self._retrying(attempt)
        return response

    def _send_once(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """One exchange, and those of its redirects."""
        response: requests.Response = super().send(request, **kwargs)  # type: ignore[no-untyped-call]
        return response

    def _prepare(self, request: requests.Request) -> requests.PreparedRequest:
        try:
            return super().prepare_request(request)
        except requests.RequestException as error:
            failure = type(error)(redact(without_queries(str(error))))
        raise failure


class ApiAdapter(CurlAdapter):
    """One HTTP exchange, below the retries: sees each attempt and each redirect."""

    def __init__(self, retries: Retries, budget: RequestBudget, own_key: OwnKey, clock: Clock) -> None:
        super().__init__()
        self._own_key = own_key
        self._retries = retries
        self._budget = budget
        self._clock = clock

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send once, in a slot of the budget.

        Raises requests' connection errors and timeouts (transient), without the query.
        """
        try:
            with self._budget.slot():
                response = super().send(request, *args, **kwargs)
                # Still in its slot: the next one may not go before the pause that this answer asks for is known.
                self._heed_wait(response)
                return response
        except requests.RequestException as error:
            failure = type(error)(f"{address_of(request)} failed: {redact(without_queries(str(error)))}")
        # Raised outside the handler: as context, the original would carry its text into every traceback.
        raise failure

    def answer(
        self, request: requests.PreparedRequest, status: int, reason: str, headers: HTTPHeaderDict, body: bytes
    ) -> requests.Response:
        """The response, without the secrets that some APIs repeat in an error; dlt shows them where it is told to."""
        if status >= 400:
            body = redact(body[:ERROR_BODY_BYTES].decode("utf-8", "replace")).encode()
        response = ApiResponse(request, status, redact(reason), headers, body, self._own_key.remove)
        response.answered_at = self._clock.monotonic()
        # Where requests' own have it: an authentication may ask again.
        response.connection = self  # type: ignore[assignment]
        response.url = urlunsplit(urlsplit(response.url)._replace(query=""))
        if status >= 400:
            response.encoding = "utf-8"
        return response

    def _heed_wait(self, response: requests.Response) -> None:
        self._budget.heed(quotas_of(response.headers, self._clock.time()))
        if response.status_code not in BUSY_STATUSES:
            self._budget.answered()
            return
        now = self._clock.time()
        seconds = asked_wait_seconds(response, now)
        # When one request is told to wait, all wait; what is too long for a worker ends the read. A 503 without a time
        # may be about that one page.
        if self._retries.asks_too_much(response, now) or (seconds is None and response.status_code == 503):
            return
        self._budget.slow_down(self._retries.backoff_seconds if seconds is None else seconds)


def check_whole(response: requests.Response) -> None:
    """Raises requests' errors for a broken connection (transient) where an answer is none, or half of one."""
    status = response.status_code
    # 204 and 205 have no body (RFC 9110, 15.3); PostgREST's 206 is a page of a collection.
    if not 200 <= status < 300 or status in (204, 205):
        return
    body = utf8_body(response)
    if not body or body.isspace():
        raise requests.ConnectionError(f"{address_of(response.request)} answered {status} with an empty body")
    if is_cut(body):
        raise requests.exceptions.ChunkedEncodingError(
            f"{address_of(response.request)} answered {status} with half a body: {len(body)} bytes of JSON that end too "
            "early"
        )


def redirect_target(request: requests.PreparedRequest, location: str) -> str:
    """`location` as a whole address without a login, where the key may go: the same host and port, or its TLS.

    Raises ConfigurationError (permanent) for any other.
    """
    here = urlsplit(request.url or "")
    there = _parsed(urljoin(request.url or "", location)) if _parsed(location) else None
    if there is None:
        raise ConfigurationError(
            f"{address_of(request)} was redirected to an address that cannot be read. Check the host of the API's "
            "connection and the option `path`."
        )
    if origin_of(there) not in origins_of_same_host(here):
        raise ConfigurationError(
            f"{address_of(request)} was redirected to another host, {shown(redact(there.hostname or '?'))}; the API key is "
            "not sent there. If the API has moved, change the host of its connection."
        )
    return urlunsplit(there._replace(netloc=there.netloc.rpartition("@")[2]))


def _parsed(address: str) -> SplitResult | None:
    """None: a bracket is open, or the port is no number."""
    try:
        parts = urlsplit(address)
        origin_of(parts)
    except ValueError:
        return None
    return parts
