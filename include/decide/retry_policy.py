"""Which failures Airflow tries again, and when.

In: the exception of a failed task, with everything that caused it. Out: Airflow's `RetryDecision`. dlt wraps each
failure two or three times, so the whole chain of causes is walked. What an answer of the API means is decided where it
is read (`extract/failures.py`); here only the kinds of `include/errors.py` count, and those of requests and dlt.
Airflow asks the policy in the task's process and never goes past the task's `retries`.
"""

from datetime import timedelta

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.definitions.context import Context

from include.errors import PermanentError, TransientError, causes
from include.redaction import redact

# The longest wait that an API is granted: a week. Beyond some, a date overflows.
LONGEST_DELAY_SECONDS = 7 * 24 * 60 * 60


class CausalRetryPolicy(RetryPolicy):
    """Fails at once what a retry cannot mend, retries what it may, and waits as long as the API asks."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """The decision of the innermost cause that says anything; Airflow's default where none does."""
        for cause in reversed(list(causes(exception))):
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


def _delay(seconds: float | None) -> timedelta | None:
    """None: Airflow's own exponential delay."""
    return None if seconds is None else timedelta(seconds=min(seconds, LONGEST_DELAY_SECONDS))
