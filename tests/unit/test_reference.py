"""docs/reference is what docs/site/reference.py makes of the code as it is."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("options.md", "settings.md", "report.md", "messages.md")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "site" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_the_reference_is_that_of_the_code(reference: ModuleType, name: str) -> None:
    assert tuple(reference.PAGES) == NAMES
    remade = "PYTHONPATH=. .venv/bin/python docs/site/reference.py"
    assert (DOCS / "reference" / name).read_text() == reference.PAGES[name](), f"make it again: {remade}"


def test_a_message_that_is_raised_is_listed(reference: ModuleType) -> None:
    assert "The option `page_size`" not in reference.messages()
    assert "The option `…` has to be at least 1; it is …." in reference.messages()
