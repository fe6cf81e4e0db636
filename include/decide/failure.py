"""A failed load as one sentence, with what is to become of it: what the task raises.

In: the exception that ended a load, with everything that caused it; dlt wraps each failure two or three times. Out: a
`LoadFailed`. Who knows a cause best says it: this project's own errors are sentences already (`include/errors.py`); then the
tables of the API and of the destinations are asked, each about the innermost cause first; then dlt's own classes. What
nobody knows keeps the name of its type.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from include.decide.api_failures import api_failure
from include.decide.destination_failures import destination_failure, operating_system_failure
from include.decide.known_failure import Explain, Known
from include.errors import PermanentError, TransientError, causes
from include.redaction import cleaned, shown


class ConnIds(NamedTuple):
    """The connections of an API and of its destination, as a person knows them."""

    api: str
    destination: str


# Where nobody says which, as in the retry policy, which only asks whether to try again.
CONN_IDS = ConnIds("the API", "the destination")
# What is shown of a text that is not ours.
FOREIGN_CHARACTERS = 1_000
OWN_CHARACTERS = 5_000


class LoadFailed(Exception):
    """Why a load failed, in one sentence: what failed, where, what to do. It has no cause: the sentence says it.

    `is_permanent`: no later try can mend it; None: nobody knows. `retry_after_seconds`: the wait that the other side
    asked for; None: it did not say. `cause`: the name of the class of what says why.
    """

    def __init__(
        self, sentence: str, is_permanent: bool | None, retry_after_seconds: float | None = None, cause: str = ""
    ) -> None:
        super().__init__(sentence)
        self.is_permanent = is_permanent
        self.retry_after_seconds = retry_after_seconds
        self.cause = cause

    @property
    def reason(self) -> str:
        """The class of the failure in few words, to count failures by: `ResponseShapeError, permanent`."""
        kind = {True: "permanent", False: "transient", None: "unknown"}[self.is_permanent]
        return f"{self.cause or type(self).__name__}, {kind}"


def failure_of(error: BaseException, conn_ids: ConnIds = CONN_IDS) -> LoadFailed:
    """What the task raises in place of `error`; itself if it is one already. Its text holds no secret, and is one line.

    `conn_ids`: the connections that it names.
    """
    if isinstance(error, LoadFailed):
        return error
    chain = list(causes(error))
    for inner in reversed(chain):
        if isinstance(inner, PermanentError | TransientError):
            wait_seconds = inner.retry_after_seconds if isinstance(inner, TransientError) else None
            return LoadFailed(
                _line(inner, OWN_CHARACTERS), isinstance(inner, PermanentError), wait_seconds, type(inner).__name__
            )
    tables = (api_failure, destination_failure, _dlt_failure, operating_system_failure)
    return _by_tables(chain, tables, conn_ids) or _unknown(chain)


def _by_tables(chain: Sequence[BaseException], tables: Iterable[Explain], conn_ids: ConnIds) -> LoadFailed | None:
    for explain in tables:
        for cause in reversed(chain):
            if known := explain(cause):
                advice = known.advice.format(**conn_ids._asdict())
                sentence = f"{known.what}: {_ended(_line(cause))} {advice}"
                return LoadFailed(sentence, known.is_permanent, cause=type(cause).__name__)
    return None


def _dlt_failure(cause: BaseException) -> Known | None:
    from dlt.common.destination.exceptions import DestinationException, SchemaUpdateError
    from dlt.common.exceptions import TerminalException, TransientException

    check = "Check the connection `{destination}`, and what else changes the tables."
    match cause:
        case SchemaUpdateError():
            # Two runs added the same column at the same moment: the second try finds it there.
            return Known("The destination could not change a table", False, f"The next try may. {check}")
        case TransientException():
            return Known("The destination cannot go on now", False, check)
        case DestinationException() if isinstance(cause, TerminalException):
            return Known("The destination refuses", True, check)
        case TerminalException():
            advice = "Check the connections `{api}` and `{destination}`, and the options of the source."
            return Known("dlt refuses to go on", True, advice)
    return None


def _unknown(chain: Sequence[BaseException]) -> LoadFailed:
    # dlt's wrappers say in which step, and repeat what they wrap.
    step = next((f" in dlt's step `{cause.step}`" for cause in chain if hasattr(cause, "step")), "")
    causes_of_dlt = [cause for cause in chain if not type(cause).__module__.startswith("dlt.")] or [chain[-1]]
    first, root = causes_of_dlt[0], causes_of_dlt[-1]
    by = "" if root is first else f" It was caused by {_named(root)}"
    return LoadFailed(
        f"The load failed{step} for a reason that this project does not know: {_named(first)}{by} The whole chain of "
        "causes is in the log at the level DEBUG (AIRFLOW__LOGGING__LOGGING_LEVEL).",
        None,
        cause=type(root).__name__,
    )


def _named(cause: BaseException) -> str:
    text = _line(cause)
    return f"{type(cause).__name__}: {_ended(text)}" if text else f"{type(cause).__name__}."


def _line(cause: BaseException, characters: int = FOREIGN_CHARACTERS) -> str:
    return shown(" ".join(cleaned(str(cause)).split()), characters)


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
