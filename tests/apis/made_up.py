"""What records are made of: the same for the same number, and unlike each other.

Texts are remembered: doubles are made anew for each test.
"""

import functools
import uuid
from datetime import UTC, datetime, timedelta

_SUBJECTS = ("Air quality", "Bicycle counts", "Rivers", "Schools", "Budgets", "Trees", "Accidents", "Prices", "Species")
_PLACES = ("Zürich", "Paris", "Łódź", "Montréal", "Nairobi", "São Paulo", "Seoul", "Tromsø")
_FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
# A prime, so that the steps below come to each place before they come to one again.
_PLACES_IN_TIME = 10007


def title(number: int) -> str:
    return f"{_SUBJECTS[number % len(_SUBJECTS)]} in {_PLACES[number % len(_PLACES)]} {number}"


def owner(number: int) -> str:
    return ("city", "state", "institute", "museum", "river-board")[number % 5]


def words(number: int) -> list[str]:
    """Keywords; some records have none."""
    return [subject.lower() for subject in _SUBJECTS[: number % 4]]


@functools.cache
def identifier(number: int, kind: str = "dataset") -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://catalogue.test/{kind}/{number}"))


def created(number: int) -> datetime:
    """When the record appeared: later for larger numbers."""
    return _FIRST_DAY - timedelta(days=400) + timedelta(hours=number)


def changed(number: int) -> datetime:
    """When it last changed, in 2025: two records at each moment, in another order than that of their numbers."""
    return _FIRST_DAY + timedelta(minutes=50 * (number // 2 * 7919 % _PLACES_IN_TIME))


@functools.cache
def text(moment: datetime, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return moment.strftime(form)
