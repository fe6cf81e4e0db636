"""json-server 0.17: a file of JSON as an API. Its facts, under `servers["json-server-0.17"].url`:

- GET /articles: the body is the list, **whole where nothing of the below is asked for**. The total is in the header
  X-Total-Count, and only in pages.
- Page numbers: `_page` (from 1), `_limit` (10 unless asked otherwise, without a cap). The header Link has rel="next", none
  on the last page. A page beyond the last is an empty list; page 0 is page 1.
- Offsets: `_start` (from 0), `_limit`; beyond the end an empty list.
- The key is `id`, a number; the order is that of the file. `modified` is ISO 8601 with `Z`; the window is `modified_gte` with
  `modified_lte`, **both inclusive**, and the total is that of the window. There is no exclusive end.
- A whole number is sent without a fraction (`4.0` as `4`). Nobody is asked for a key. A parameter that is not known is
  ignored, but one that ends in `_gte`, `_lte`, `_ne` or `_like` filters.
"""

import json
from pathlib import Path

from tests.apis.servers.content import RECORDS
from tests.apis.servers.environments import HERE, node_environment
from tests.apis.servers.family import Family


def write_articles(folder: Path) -> None:
    """The file that json-server serves, db.json: one collection, `articles`."""
    (folder / "db.json").write_text(json.dumps({"articles": RECORDS}))


FAMILY = Family(
    name="json-server-0.17",
    install=lambda: node_environment("json-server-0.17", HERE / "json-server-0.17"),
    prepare=write_articles,
    command=lambda environment, port: [
        *("node", str(environment / "node_modules" / "json-server" / "lib" / "cli" / "bin.js"), "db.json"),
        *("--host", "127.0.0.1", "--port", str(port), "--quiet"),
    ],
    ready_path="/articles/1",
)
