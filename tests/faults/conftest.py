"""Fixtures of the fault tests: what a test may leave half-way is its own."""

from collections.abc import Iterator

import pytest

from tests.support.mariadb import Database, database


@pytest.fixture
def mariadb() -> Iterator[Database]:
    """A dataset of this test's own."""
    with database() as made:
        yield made
