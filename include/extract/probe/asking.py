"""Questions to an API within a budget of requests: each attempt, each redirect and each token counts.

In: the options of a source. Out: a `Reply` for each question, also where it failed; never an exception.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

from include.configure.options import SourceOptions
from include.errors import PermanentError, TransientError
from include.extract.clock import SYSTEM_CLOCK
from include.extract.failures import raise_failure
from include.extract.hosts import Hosts
from include.extract.own_key import OwnKey
from include.extract.request_budget import RequestBudget
from include.extract.retries import Retries, http_configuration
from include.extract.session import CONNECT_TIMEOUT_SECONDS, ApiSession
from include.redaction import redact, without_queries

MOST_REQUESTS = 20
REQUESTS_PER_SECOND = 5.0
# One that fails for a moment is asked for once more.
ATTEMPTS = 2


class OutOfRequests(PermanentError):
    """All that may be asked was asked."""


class CountedBudget(RequestBudget):
    """As its base, for so many requests and no more."""

    def __init__(self, most: int, requests_per_second: float) -> None:
        super().__init__(1, requests_per_second, SYSTEM_CLOCK)
        self.most = most
        self.asked = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """As its base. Raises OutOfRequests instead of sending one too many."""
        if self.asked >= self.most:
            raise OutOfRequests(f"All {self.most} requests are used.")
        self.asked += 1
        with super().slot():
            yield


@dataclass(frozen=True)
class Reply:
    """`status` None: no answer came. `problem`: why there is nothing to look at, a sentence; None: there is. `body`: JSON."""

    status: int | None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether there is JSON to look at."""
        return self.problem is None


class Asker:
    """Asks one address. `auth` None: nobody says who asks; it can be set at any time."""

    def __init__(self, options: SourceOptions) -> None:
        self.url = f"{str(options.base_url).rstrip('/')}/{options.path.lstrip('/')}".rstrip()
        self.address = self.url.partition("?")[0]
        self.auth: Any = None
        self._params = dict(options.params)
        self._headers = {name: str(value) for name, value in options.headers.items()}
        self._base_url = options.base_url
        rate = min(options.requests_per_second or REQUESTS_PER_SECOND, REQUESTS_PER_SECOND)
        self._budget = CountedBudget(MOST_REQUESTS, rate)
        self._session = self.open_session()
        self.limit_headers: dict[str, str] = {}
        """Headers by which the API speaks of its limit of requests, with the last values."""

    @property
    def asked(self) -> int:
        """How many requests went out."""
        return self._budget.asked

    @property
    def left(self) -> int:
        """How many more may."""
        return self._budget.most - self._budget.asked

    def open_session(self, base_url: str | None = None) -> ApiSession:
        """One more session in the same budget, for tokens. `base_url` None: that of the API."""
        configuration = http_configuration()
        return ApiSession(
            timeout_seconds=(CONNECT_TIMEOUT_SECONDS, configuration.request_timeout),
            retries=replace(Retries.of(configuration), attempts=ATTEMPTS),
            budget=self._budget,
            parallel=1,
            own_key=OwnKey(None),
            clock=SYSTEM_CLOCK,
            hosts=Hosts(base_url or self._base_url),
        )

    def given_params(self) -> set[str]:
        """The names of the parameters that somebody has set, in the options or behind the path."""
        return {*self._params, *(name for name, _ in parse_qsl(urlsplit(self.url).query))}

    def ask(self, params: Mapping[str, Any] | None = None, link: str | None = None) -> Reply:
        """The answer, with `params` beside those of the options; or that of a `link` which the API gave, as it stands."""
        url = urljoin(self.url, link) if link else self.url
        asked = None if link else {**self._params, **(params or {})}
        request = requests.Request("GET", url, headers=self._headers, params=asked, auth=self.auth)
        try:
            response = self._session.send(self._session.prepare_request(request))
            self.limit_headers.update(_limit_headers(response.headers))
            raise_failure(response)
            return Reply(response.status_code, response.json(), response.headers)
        except (PermanentError, TransientError, requests.RequestException) as error:
            said = getattr(error, "response", None)
            answered = said if said is not None else locals().get("response")
            return Reply(
                None if answered is None else answered.status_code,
                problem=redact(without_queries(str(error))),
            )


def _limit_headers(headers: Mapping[str, str]) -> dict[str, str]:
    names = ("ratelimit", "rate-limit", "retry-after", "quota")
    return {name: value for name, value in headers.items() if any(part in name.lower() for part in names)}
