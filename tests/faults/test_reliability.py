"""The table of cases in docs/reliability.md is that of the tests, and each test of faults is in it."""

import importlib
from pathlib import Path
from types import ModuleType

from tests.support.airflow_run import PROJECT
from tests.support.cases import HEAD, table

DOCUMENT = PROJECT / "docs" / "reliability.md"


def modules() -> list[ModuleType]:
    """Those beside this one."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("test_*.py") if file != Path(__file__))
    return [importlib.import_module(f"tests.faults.{name}") for name in names]


def test_the_table_is_that_of_the_tests() -> None:
    text = DOCUMENT.read_text()
    written = text[text.index(HEAD) :].split("\n\n")[0].splitlines()
    assert written == table(modules()), "\n".join(["It should be:", *table(modules())])


def test_each_test_proves_something() -> None:
    for module in modules():
        tests = [test for name, test in vars(module).items() if name.startswith("test_") and callable(test)]
        for test in tests:
            assert any(mark.name == "proves" for mark in getattr(test, "pytestmark", [])), test
