"""Fixtures of the fault tests: what a test may leave half-way is its own."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.mariadb import Database, database


@pytest.fixture
def mariadb() -> Iterator[Database]:
    """A dataset of this test's own."""
    with database() as made:
        yield made


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table of cases, with how each has ended here."""
    ends: dict[str, Counter[str]] = {}
    for how in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(how, []):
            for case, proven in dict(getattr(report, "user_properties", ())).get("proves", ()):
                ends.setdefault(f"{case}: {proven}", Counter())[how] += 1
    if ends:
        terminalreporter.section("What is proven (docs/reliability.md)")
        for case, counted in ends.items():
            terminalreporter.line(f"{', '.join(f'{number} {how}' for how, number in counted.items())}  {case}")


@pytest.fixture(autouse=True)
def _what_is_proven(request: pytest.FixtureRequest) -> None:
    """Told to the report of the test."""
    cases = [mark.args[:2] for mark in request.node.iter_markers("proves")]
    request.node.user_properties.append(("proves", cases))
