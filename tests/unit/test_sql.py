"""Names and values in SQL: quoted by a library, in one place."""

import ast
import re
from pathlib import Path

import duckdb
import pytest

from include.load import sql

INCLUDE = Path(__file__).parents[2] / "include"
AWKWARD = ["it's", 'a "name"', "back\\slash\\", "`x`", "; DROP TABLE t; --", "%s :a {b}", "名前", ""]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_text_is_read_back_as_it_is(text: str) -> None:
    with duckdb.connect() as connection:
        name = sql.name(f"n{text}", "duckdb")
        found = connection.execute(f"SELECT {sql.literal(text, 'duckdb')} AS {name}")
        assert [column[0] for column in found.description] == [f"n{text}"]
        assert found.fetchall() == [(text,)]


def test_mysql_reads_a_backslash_as_an_escape() -> None:
    assert sql.literal("\\' OR 1", "mysql") == "'\\\\'' OR 1'"
    assert sql.name("a`b", "mysql") == "`a``b`"


def test_nothing_else_quotes_by_itself() -> None:
    """No statement of ours has a quotation mark around something that is filled in, and none escapes by replacing."""
    found = []
    for file in INCLUDE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|DROP|CREATE|ALTER|SET|COPY|TRUNCATE)\b", text) and (
                    re.search("['\"`]\0|\0['\"`]", text)
                ):
                    found.append(f"{file}:{node.lineno}")
            if isinstance(node, ast.Call) and [getattr(arg, "value", None) for arg in node.args] in (
                ["'", "''"],
                ['"', '""'],
            ):
                found.append(f"{file}:{node.lineno}")
    assert found == []
