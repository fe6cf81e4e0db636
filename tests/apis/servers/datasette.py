"""Datasette: a table of SQLite as an API. Its facts, under `servers["datasette"].url`:

- GET /library/articles.json?_shape=objects&_json=author&_json=tags: records `rows`, total `filtered_table_rows_count`,
  next page `next_url` (a whole link, null on the last), or as a cursor `next` to be sent as `_next`; besides a Link header.
  Without `_shape=objects` a record is a list; without `_json=` a nested value is a text.
- GET /library/articles.json?_shape=array&…: the body is the list; next page in the header Link, rel="next"; no total.
- Page size `_size`, 20 unless asked otherwise, 50 at most: **more is a 400**. There are no offsets.
- The key is `id`, in whose order the rows come. `modified` is ISO 8601 with `Z`; the window is `modified__gte`
  (inclusive) with `modified__lt` (exclusive), and the total is that of the window.
- Nobody is asked for a key. **A parameter that is not known filters for a column of that name: no rows, 200**
  (400 where its name is a word of SQL, as `limit` and `offset` are).
"""

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
