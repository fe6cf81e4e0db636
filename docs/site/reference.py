"""Makes docs/reference from the code: options, settings, columns of the history, messages.

    PYTHONPATH=. .venv/bin/python docs/site/reference.py

A test compares what is there with what this makes. The meaning of each is on the page that the reference links; here stands what the code
itself says, so that nothing can be left out.
"""

import ast
import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from include.configure.options import SourceOptions
from include.configure.settings import PROJECT, Settings
from include.report.history import LoadReport

FOLDER = PROJECT / "docs" / "reference"
MADE = "Made from the code by `docs/site/reference.py`."
ERRORS = re.compile(r"\w*(Error|Failed|Interrupted|Unreadable\w*)")


def options() -> str:
    """Each option, its type and its default."""
    hints = typing.get_type_hints(SourceOptions)
    defaults = vars(SourceOptions())
    lines = [
        f"| `{name}` | {_type(hints[name])} | {_value(defaults[name])} |"
        for name in SourceOptions.get_resolvable_fields()
    ]
    head = f"# Options, from the code\n\n{MADE} What each means: [Options](../options.md). The declaration of an API may say another default.\n\n"
    return head + _table("option | type | default of the code", lines)


def settings() -> str:
    """Each environment variable, what it has to be, and its default."""
    lines = [
        f"| `{field.validation_alias}` | {field.description} | {_value(field.default)} |"
        for field in Settings.model_fields.values()
    ]
    head = f"# Settings, from the code\n\n{MADE} What each means: [Options](../options.md), in its last table. Empty is not set.\n\n"
    return head + _table("variable | has to be | default", lines)


def report() -> str:
    """Each column of the history."""
    hints = typing.get_type_hints(LoadReport)
    lines = [f"| `{field.name}` | {_type(hints[field.name])} |" for field in fields(LoadReport)]
    head = f"# Columns of `_load_reports`, from the code\n\n{MADE} What each means: [What is checked](../checks.md), under History.\n\n"
    return head + _table("column | type", lines)


def messages() -> str:
    """Each sentence that is raised as an error of the project's, by the module that says it."""
    text = f"# Messages, from the code\n\n{MADE} `…` is filled in when it is said. The causes: [Troubleshooting](../troubleshooting.md).\n"
    for file in sorted((PROJECT / "include").rglob("*.py")):
        said = list(dict.fromkeys(_raised(ast.parse(file.read_text()))))
        if said:
            text += f"\n## {file.relative_to(PROJECT)}\n\n" + "".join(f"- {_code(sentence)}\n" for sentence in said)
    return text


PAGES = {"options.md": options, "settings.md": settings, "report.md": report, "messages.md": messages}


def _raised(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ERRORS.fullmatch(_name(node.func)) and node.args:
            sentence = _text(node.args[0])
            if len(sentence.strip("… ")) > 15:
                yield sentence


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value) if isinstance(value, ast.Constant) else "…" for value in values)
    return "…"


def _code(sentence: str) -> str:
    return f"`` {sentence} ``" if "`" in sentence else f"`{sentence}`"


def _type(hint: Any) -> str:
    shown = inspect.formatannotation(hint).replace("typing.", "")
    shown = re.sub(r"Annotated\[(\w+), [^\]]*\]+", r"\1", shown)
    return f"`{re.sub(r'[a-z_]+[.](?=[a-zA-Z])', '', shown)}`".replace("|", "or")


def _value(value: Any) -> str:
    match value:
        case None:
            return "none"
        case Path():
            return f"`{value.relative_to(PROJECT)}`"
    return f"`{value}`"


def _table(heads: str, lines: list[str]) -> str:
    return f"| {heads} |\n|{' --- |' * (heads.count('|') + 1)}\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make())


if __name__ == "__main__":
    main()
