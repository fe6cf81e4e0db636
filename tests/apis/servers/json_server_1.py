"""json-server 1 (beta): the same file as for 0.17, another API. Its facts, under `servers["json-server-1"].url`:

- GET /articles?_page=1&_per_page=50: records `data`, total `items`, number of pages `pages`, next page `next` (a number, null
  on the last). Without `_page` the body is the whole list. `_per_page` is 10 unless asked otherwise, without a cap.
- **A page beyond the last is the last one again**, and page 0 the first. There are no offsets.
- The key is `id`, **a string** whatever the file says; the order is that of the file. `modified` is ISO 8601 with `Z`; the
  window is `modified:gte` (inclusive) with `modified:lt` (exclusive), and the total is that of the window.
- A whole number is sent without a fraction (`4.0` as `4`). Nobody is asked for a key. **A parameter that is not known, `_start`
  and `_limit` too, filters for a field of that name: no records, 200.**
"""

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
