"""The project's own failures, told apart by whether a retry can mend them.

In: nothing. Out: exception classes whose text is one sentence saying what happened, where, and what to do; and the
one walk along what caused an exception.
`retry_policy` maps them, and those of requests, dlt and the databases, to Airflow's decision.
"""

from collections.abc import Iterator


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


def causes(error: BaseException | None, hidden: bool = False) -> Iterator[BaseException]:
    """`error` and all that caused it, outermost first, each once.

    `hidden`: also what `raise … from` hides, which stands in no traceback but is still held by the exception.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += reversed(list(_below(link, hidden)))


def _below(error: BaseException, hidden: bool) -> Iterator[BaseException | None]:
    yield error.__cause__
    if hidden or not (error.__cause__ or error.__suppress_context__):
        yield error.__context__
    # requests and urllib3 hand the error below them on as an argument.
    yield from (argument for argument in error.args if isinstance(argument, BaseException))
    if isinstance(error, BaseExceptionGroup):
        yield from error.exceptions
