"""Which failures Airflow tries again, and when.

In: the exception of a failed task, with everything that caused it. Out: Airflow's `RetryDecision`. dlt wraps each
failure two or three times, so the whole chain of causes is walked. Airflow asks the policy in
the task's process and never goes past the task's `retries`.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.definitions.context import Context

from include.errors import PermanentError, TransientError
from include.redaction import redact

# The longest wait that an API is granted: a week. Beyond some, a date overflows.
LONGEST_DELAY_SECONDS = 7 * 24 * 60 * 60


class CausalRetryPolicy(RetryPolicy):
    """Fails at once what a retry cannot mend, retries what it may, and waits as long as the API asks."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """The decision of the innermost cause that says anything; Airflow's default where none does."""
        for cause in reversed(list(_causes(exception))):
            decision = _decide(cause)
            if decision is not None:
                return decision
        return RetryDecision.default()


def _decide(cause: BaseException) -> RetryDecision | None:
    # Imported here: a DAG file imports this module at every parse, and needs neither library for that.
    import requests
    from dlt.common.destination.exceptions import SchemaUpdateError
    from dlt.common.exceptions import TerminalException, TransientException
    from requests import exceptions

    reason = redact(str(cause))
    match cause:
        case PermanentError():
            return RetryDecision.fail(reason)
        case TransientError():
            return RetryDecision.retry(_delay(cause.retry_after_seconds), reason)
        case requests.HTTPError() if cause.response is not None:
            return _decide_status(cause.response, reason)
        case (
            requests.TooManyRedirects()
            | exceptions.InvalidURL()
            | exceptions.MissingSchema()
            | exceptions.InvalidSchema()
        ):
            return RetryDecision.fail(f"{reason} Check the host of the API's connection and the option `path`.")
        case requests.ConnectionError() | requests.Timeout() | exceptions.ChunkedEncodingError():
            return RetryDecision.retry(reason=reason)
        # Two runs added the same column at the same moment: the second try finds it there.
        case SchemaUpdateError() | TransientException():
            return RetryDecision.retry(reason=reason)
        case TerminalException():
            return RetryDecision.fail(reason)
    return None


def _decide_status(response: Any, reason: str) -> RetryDecision:
    from include.extract.session import retry_after_seconds

    if response.status_code < 500 and response.status_code != 429:
        return RetryDecision.fail(f"{reason}. {_ADVICE.get(response.status_code, '')}".strip())
    return RetryDecision.retry(_delay(retry_after_seconds(response)), reason)


_ADVICE = {
    401: "The API refuses the key: check the password of the connection `datasets_api`.",
    403: "The key is known but may not read this: ask the API's owner for access.",
    404: "There is nothing at that address: check the connection's host and the option `path`.",
}


def _delay(seconds: float | None) -> timedelta | None:
    """None: Airflow's own exponential delay."""
    return None if seconds is None else timedelta(seconds=min(seconds, LONGEST_DELAY_SECONDS))


def _causes(exception: BaseException | None) -> Iterator[BaseException]:
    """`exception` and what caused it, outermost first, each once."""
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        yield exception
        # What `raise … from None` hides has been said better by what it raises.
        exception = exception.__cause__ or (None if exception.__suppress_context__ else exception.__context__)
