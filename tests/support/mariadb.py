"""A dataset of a test's own on the MariaDB server of this machine: schemas are databases there.

In: nothing. Out: a `Database`, without a database of its name before and after; the test is skipped where there is no server.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest
import sqlalchemy

PLACE = ("127.0.0.1", 3306)


class Database:
    """A dataset that is not there yet."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self.name = f"datasets_test_{uuid.uuid4().hex[:12]}"
        self.url = engine.url.render_as_string(hide_password=False)
        self._engine = engine

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows; tables are named with their database."""
        with self._engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(sql))
            return [tuple(row) for row in result] if result.returns_rows else []


@contextmanager
def database() -> Iterator[Database]:
    """A `Database`, whose name no other test has; it goes with what was staged beside it."""
    if not find_spec("pymysql"):
        pytest.skip("pymysql is not installed: pip install -r requirements-destinations/mysql.txt")
    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("mysql+pymysql", "root", "", *PLACE, "test"))
    made = Database(engine)
    try:
        made.query("SELECT 1")
    except sqlalchemy.exc.OperationalError as error:
        pytest.skip(f"MariaDB cannot be reached at {PLACE[0]}:{PLACE[1]} ({error.orig})")
    yield made
    for (name,) in made.query(
        f"SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '{made.name}%'"
    ):
        made.query(f"DROP DATABASE {name}")
    engine.dispose()
