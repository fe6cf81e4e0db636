"""The project's own failures, told apart by whether a retry can mend them.

In: nothing. Out: exception classes whose text is one sentence saying what happened, where, and what to do.
`retry_policy` maps them, and those of requests, dlt and the databases, to Airflow's decision.
"""


class PermanentError(Exception):
    """A failure that another try cannot mend; somebody has to change something first."""


class ConfigurationError(PermanentError):
    """A connection, option or run parameter is missing or wrong. Names the field, never its value."""


class ResponseShapeError(PermanentError):
    """The API answered 200 with something that is not the promised shape. Nothing of it was loaded."""


class TransientError(Exception):
    """A failure that a later try may not meet.

    `retry_after_seconds` is the wait the other side asked for; None: it did not say.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
