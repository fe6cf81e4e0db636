"""What HTTP tries again, how often, and after how long: the numbers of the retries, in one object.

In: dlt's own `RUNTIME__REQUEST_*`, and the statuses that somebody adds. Out: `Retries`, and tenacity's controller made
of it. A wait that the API asks for replaces the backoff; one that is too long for a worker is no retry, but the
scheduler's (`failures.raise_failure`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import requests
from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.specs import RuntimeConfiguration
from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_exponential

from include.extract.clock import Clock
from include.extract.failures import asked_wait_seconds

RETRIED_STATUSES = (429, 500, 502, 503, 504)
# Statuses by which an API asks everybody to wait, not only this request.
BUSY_STATUSES = (429, 503)
# dlt's own (`dlt.sources.helpers.requests.retry.DEFAULT_RETRY_EXCEPTIONS`).
RETRIED_ERRORS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@configspec
class HttpConfiguration(RuntimeConfiguration):
    """dlt's runtime options with this project's defaults: at most 3 retries, waits of 2, 4 and 8 seconds.

    `request_max_retry_delay` (seconds) is the longest wait inside a task; beyond it the scheduler waits.
    """

    request_max_attempts: int = 4
    request_backoff_factor: float = 2
    request_max_retry_delay: float = 60

    __section__: ClassVar[str] = "runtime"


@dataclass(frozen=True)
class Retries:
    """`attempts` counts the first try; `backoff_seconds` is the first wait, doubled each time up to the longest."""

    attempts: int
    backoff_seconds: float
    longest_wait_seconds: float
    statuses: frozenset[int]

    @classmethod
    def of(cls, configuration: HttpConfiguration, further_statuses: Iterable[int] = ()) -> Self:
        """The numbers that dlt has resolved."""
        return cls(
            attempts=configuration.request_max_attempts,
            backoff_seconds=configuration.request_backoff_factor,
            longest_wait_seconds=configuration.request_max_retry_delay,
            statuses=frozenset({*RETRIED_STATUSES, *further_statuses}),
        )

    def asks_too_much(self, response: requests.Response, now: float) -> bool:
        """Whether the API asks for a wait that is longer than a worker waits; `now`: seconds since 1970."""
        seconds = asked_wait_seconds(response, now)
        return response.status_code in BUSY_STATUSES and seconds is not None and seconds > self.longest_wait_seconds

    def controller(self, clock: Clock) -> Retrying:
        """Calls a function that sends, until it answers. The last answer is returned, the last error raised, as it is."""
        backoff = wait_exponential(multiplier=self.backoff_seconds, max=self.longest_wait_seconds)

        def wait_seconds(state: RetryCallState) -> float:
            asked = None if _error(state) else asked_wait_seconds(_answer(state), clock.time())
            return min(asked, self.longest_wait_seconds) if asked else backoff(state)

        def is_tried_again(state: RetryCallState) -> bool:
            if error := _error(state):
                return isinstance(error, RETRIED_ERRORS)
            answer = _answer(state)
            return answer.status_code in self.statuses and not self.asks_too_much(answer, clock.time())

        return Retrying(
            sleep=clock.sleep,
            wait=wait_seconds,
            retry=is_tried_again,
            stop=stop_after_attempt(self.attempts),
            reraise=True,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )


def http_configuration() -> HttpConfiguration:
    """What environment and `config.toml` say, under `runtime`."""
    return resolve_configuration(HttpConfiguration())


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _answer(state: RetryCallState) -> requests.Response:
    assert state.outcome
    answer: requests.Response = state.outcome.result()
    return answer
