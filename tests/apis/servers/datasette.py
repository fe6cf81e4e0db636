"""Datasette: a table of SQLite as an API."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.apis.servers.content import RECORDS
from tests.apis.servers.environments import HERE, python_environment
from tests.apis.servers.family import Family


def _prepare(folder: Path) -> None:
    columns = "id INTEGER PRIMARY KEY, title TEXT, score REAL, reviewer TEXT, author TEXT, tags TEXT, modified TEXT"
    rows = [record | {name: json.dumps(record[name]) for name in ("author", "tags")} for record in RECORDS]
    with closing(sqlite3.connect(folder / "library.db")) as database, database:
        database.execute(f"CREATE TABLE articles ({columns})")
        database.executemany(
            "INSERT INTO articles VALUES (:id, :title, :score, :reviewer, :author, :tags, :modified)", rows
        )


FAMILY = Family(
    name="datasette",
    install=lambda: python_environment("datasette", HERE / "requirements-datasette.txt"),
    prepare=_prepare,
    command=lambda environment, port: [
        *(str(environment / "bin" / "python"), "-m", "datasette", "serve", "library.db"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--setting", "default_page_size", "20", "--setting", "max_returned_rows", "50"),
        *("--setting", "suggest_facets", "off"),
    ],
    ready_path="/library/articles.json?_size=1",
)
