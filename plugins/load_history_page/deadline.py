"""How old a table is, and whether that is too old.

In: the last load, the schedule, and how many hours after an interval's end its load is due. Out: an `Age`.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from load_history_page.reports import Load

# As the deployment's alerts are set.
VARIABLE = "DATASETS_DEADLINE_HOURS"


@dataclass(frozen=True)
class Age:
    """`due_at`: when the load of the last interval that is over has to be there, UTC; None: nobody said.

    `is_late`: that instant has passed, and the load is not there.
    """

    age: timedelta | None
    due_at: datetime | None
    is_late: bool


def deadline_hours() -> float | None:
    """The hours that the deployment grants; None: no deadline, or one that is no number."""
    try:
        hours = float(os.environ.get(VARIABLE) or "nan")
    except ValueError:
        return None
    return hours if 0 <= hours < 24 * 366 else None


def age_of(last: Load | None, interval_end: datetime | None, hours: float | None, now: datetime) -> Age:
    """The age of `last`. `interval_end`: of the newest interval that the schedule has made a run for."""
    finished_at = last.finished_at if last else None
    age = now - finished_at if finished_at else None
    if interval_end is None or hours is None:
        return Age(age, None, False)
    due_at = interval_end + timedelta(hours=hours)
    # What began to be read after the end of the interval has all of it.
    is_there = bool(last and last.started_at and last.started_at >= interval_end)
    return Age(age, due_at, now > due_at and not is_there)
