"""Which failures Airflow tries again, and when.

In: the exception of a failed task: a `LoadFailed`, which carries what is to become of it. Out: Airflow's `RetryDecision`.
Airflow asks the policy in the task's process and never goes past the task's `retries`.
"""

from datetime import timedelta

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.definitions.context import Context

from include.decide.failure import failure_of

# The longest wait that an API is granted: a week. Beyond some, a date overflows.
LONGEST_DELAY_SECONDS = 7 * 24 * 60 * 60


class CausalRetryPolicy(RetryPolicy):
    """Fails at once what a retry cannot mend, retries what it may, and waits as long as the API asks."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """The decision that the failure carries; Airflow's default where nobody knows it."""
        failure = failure_of(exception)
        if failure.is_permanent is None:
            return RetryDecision.default()
        if failure.is_permanent:
            return RetryDecision.fail(str(failure))
        return RetryDecision.retry(_delay(failure.retry_after_seconds), str(failure))


def _delay(seconds: float | None) -> timedelta | None:
    """None: Airflow's own exponential delay."""
    return None if seconds is None else timedelta(seconds=min(seconds, LONGEST_DELAY_SECONDS))
