"""What goes wrong in a test of faults, and what it proves: a marker for the test, and all of them as a table.

In: test modules whose tests carry `proves`. Out: the rows of the table in docs/reliability.md.
"""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import pytest

DESTINATIONS = ("PostgreSQL", "DuckDB", "SQLite", "MariaDB")
HEAD = f"| what happens | what is proven | {' | '.join(DESTINATIONS)} | test |"


def proves(case: str, proven: str, *destinations: str) -> pytest.MarkDecorator:
    """The test proves it for these destinations; none: for all four."""
    assert set(destinations) <= set(DESTINATIONS)
    return pytest.mark.proves(case, proven, destinations or DESTINATIONS)


def table(modules: Iterable[ModuleType]) -> list[str]:
    """Its lines. One row for what is proven by the tests of a file."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for module in modules:
        for test in vars(module).values():
            for case, proven, destinations in _marks(test, module):
                found.setdefault((case, proven, module.__name__.rpartition(".")[2]), set()).update(destinations)
    rows = (
        f"| {case} | {proven} | {' | '.join('yes' if name in where else '' for name in DESTINATIONS)} "
        f"| [{file}](../tests/faults/{file}.py) |"
        for (case, proven, file), where in found.items()
    )
    return [HEAD, "| --- " * HEAD.count(" |") + "|", *rows]


def _marks(test: Any, module: ModuleType) -> list[tuple[str, str, tuple[str, ...]]]:
    if not callable(test) or getattr(test, "__module__", None) != module.__name__:
        return []
    return [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "proves"]
