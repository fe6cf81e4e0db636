"""What somebody has been told of a task, so that one cause is told once.

In: the name of a task. Out: a small Airflow variable, `alerts_told.<dag>.<task>`, which is there while something is wrong.
"""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Told:
    """`cause`: of the failure that was told last, as a fingerprint; empty: the last run was good. `failures`: runs since the last good
    one. `warned`: the warnings of the last good run.
    """

    cause: str = ""
    failures: int = 0
    warned: tuple[str, ...] = ()


NOTHING_TOLD = Told()


def read_told(task: str) -> Told:
    """What was told of `task`."""
    from airflow.sdk import Variable

    text = Variable.get(_key(task), default=None)
    if not text:
        return NOTHING_TOLD
    values = json.loads(text)
    return Told(values["cause"], values["failures"], tuple(values["warned"]))


def keep_told(task: str, told: Told) -> None:
    """Remember it until the next run."""
    from airflow.sdk import Variable

    if told == NOTHING_TOLD:
        Variable.delete(_key(task))
    else:
        Variable.set(_key(task), json.dumps(asdict(told)), description="What was told of failures and warnings.")


def _key(task: str) -> str:
    return f"alerts_told.{task}"
