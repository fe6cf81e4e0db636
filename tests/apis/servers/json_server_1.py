"""json-server 1 (beta): the same file as for 0.17, another API."""

from tests.apis.servers.environments import HERE, node_environment
from tests.apis.servers.family import Family
from tests.apis.servers.json_server_0 import write_articles

FAMILY = Family(
    name="json-server-1",
    install=lambda: node_environment("json-server-1", HERE / "json-server-1"),
    prepare=write_articles,
    command=lambda environment, port: [
        *("node", "--require", str(HERE / "json-server-1" / "loopback.cjs")),
        *(str(environment / "node_modules" / "json-server" / "lib" / "bin.js"), "db.json", "--port", str(port)),
    ],
    ready_path="/articles/1",
)
