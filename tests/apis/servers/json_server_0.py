"""json-server 0.17: a file of JSON as an API."""

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
