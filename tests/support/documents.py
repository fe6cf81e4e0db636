"""What a page of the documentation tells its reader to write, for tests that do it.

In: Markdown. Out: sections, and the code blocks in them.
"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def sections(page: str) -> dict[str, str]:
    """The text below each heading of the second level, by heading."""
    parts = re.split(r"^## (.+)\n", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of that language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def block(text: str, language: str) -> str:
    """The only code block of that language."""
    (only,) = blocks(text, language)
    return only


def as_connection(conn_id: str, fields: dict[str, Any]) -> Any:
    """The fields of a connection, as Airflow's own object has them."""
    nothing = dict.fromkeys(("conn_type", "host", "schema", "login", "password", "port"))
    extra = fields.get("extra") or {}
    given = {name: value for name, value in fields.items() if name != "extra"}
    return SimpleNamespace(conn_id=conn_id, **{**nothing, **given}, extra_dejson=extra)
