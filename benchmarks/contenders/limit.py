"""The raw limit: what the machine can do without any tool. URL, destination (a DuckDB file or a PostgreSQL URL).

Asynchronous requests, 16 at once, orjson, Arrow, one staging table, one merge by id. It knows these records' types,
checks nothing, and keeps no history: a bound, not a way to work.
"""

import asyncio
import gc
import io
import queue
import sys
import threading
from typing import Any

import aiohttp
import orjson
import pyarrow as pa
import uvloop

CONCURRENCY = 16
PAGE_SIZE = 100
BATCH_BYTES = 4 * 2**20
RETRIED = {429, 500, 502, 503, 504}
OWNER = pa.struct([("id", pa.int64()), ("name", pa.string()), ("email", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("description", pa.string()),
        ("created_at", pa.string()),
        ("updated_at", pa.string()),
        ("size", pa.int64()),
        ("score", pa.float64()),
        ("is_public", pa.bool_()),
        ("owner", OWNER),
        ("tags", pa.list_(pa.string())),
        ("license", pa.string()),
    ]
)


class DuckDb:
    """One transaction: a temporary table, then a merge by id."""

    def __init__(self, path: str) -> None:
        import duckdb

        self._connection = duckdb.connect(path)
        self._connection.execute("BEGIN")
        self._made = False

    def add(self, table: pa.Table) -> None:
        self._connection.register("page", table)
        into = "INSERT INTO staging" if self._made else "CREATE TEMP TABLE staging AS"
        self._connection.execute(f"{into} SELECT * FROM page")
        self._connection.unregister("page")
        self._made = True

    def finish(self) -> None:
        last = "SELECT * FROM staging QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC) = 1"
        self._connection.execute("CREATE TABLE IF NOT EXISTS datasets AS SELECT * FROM staging LIMIT 0")
        self._connection.execute("DELETE FROM datasets WHERE id IN (SELECT id FROM staging)")
        self._connection.execute(f"INSERT INTO datasets {last}")
        self._connection.execute("COMMIT")
        self._connection.close()


class Postgres:
    """One transaction: COPY into a temporary table, then an upsert by id."""

    def __init__(self, url: str) -> None:
        import psycopg2

        self._connection = psycopg2.connect(url)
        self._cursor = self._connection.cursor()
        columns = (
            "id bigint, name text, description text, created_at timestamptz, updated_at timestamptz, size bigint, "
            "score float8, is_public bool, owner jsonb, tags jsonb, license text"
        )
        self._cursor.execute("CREATE SCHEMA IF NOT EXISTS bench")
        self._cursor.execute(f"CREATE TABLE IF NOT EXISTS bench.datasets ({columns}, PRIMARY KEY (id))")
        self._cursor.execute(f"CREATE TEMP TABLE staging ({columns}) ON COMMIT DROP")

    def add(self, table: pa.Table) -> None:
        from pyarrow import csv

        for name in ("owner", "tags"):
            texts = [None if value is None else orjson.dumps(value).decode() for value in table[name].to_pylist()]
            table = table.set_column(table.schema.get_field_index(name), name, pa.array(texts, pa.string()))
        rows = io.BytesIO()
        csv.write_csv(table, rows, csv.WriteOptions(include_header=False))
        rows.seek(0)
        self._cursor.copy_expert("COPY staging FROM STDIN WITH (FORMAT csv)", rows)

    def finish(self) -> None:
        changed = ", ".join(f"{name} = excluded.{name}" for name in SCHEMA.names if name != "id")
        self._cursor.execute(
            "INSERT INTO bench.datasets SELECT DISTINCT ON (id) * FROM staging ORDER BY id, updated_at DESC "
            f"ON CONFLICT (id) DO UPDATE SET {changed}"
        )
        self._connection.commit()


def load(destination: str, batches: "queue.Queue[list[bytes] | None]", failures: list[BaseException]) -> None:
    """Take batches of bodies from the queue until None, then merge."""
    try:
        target = Postgres(destination) if destination.startswith("postgresql://") else DuckDb(destination)
        while (bodies := batches.get()) is not None:
            records = [record for body in bodies for record in orjson.loads(body)["data"]]
            target.add(pa.Table.from_pylist(records, schema=SCHEMA))
        target.finish()
    except BaseException as error:
        failures.append(error)
        while batches.get() is not None:
            pass


async def fetch(url: str, batches: "queue.Queue[list[bytes] | None]") -> None:
    """Read all pages, a bounded number of them ahead of the loader."""
    waiting: list[bytes] = []

    def feed(body: bytes) -> None:
        waiting.append(body)
        if sum(map(len, waiting)) > BATCH_BYTES:
            batches.put(waiting[:])
            waiting.clear()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

        async def page(offset: int) -> bytes:
            params: Any = {"api_key": "key", "offset": str(offset), "limit": str(PAGE_SIZE)}
            for attempt in range(6):
                async with session.get(f"{url}/v1/datasets", params=params) as response:
                    if response.status not in RETRIED:
                        response.raise_for_status()
                        return await response.read()
                await asyncio.sleep(float(response.headers.get("retry-after", 0.1 * 2**attempt)))
            raise RuntimeError(f"the page at {offset} failed six times")

        first = await page(0)
        feed(first)
        offsets = iter(range(PAGE_SIZE, orjson.loads(first)["total"], PAGE_SIZE))

        async def worker() -> None:
            for offset in offsets:
                body = await page(offset)
                while batches.full():
                    await asyncio.sleep(0.002)
                feed(body)

        await asyncio.gather(*[worker() for _ in range(CONCURRENCY)])
    if waiting:
        batches.put(waiting)
    batches.put(None)


def main() -> None:
    """Load everything; non-zero when anything failed."""
    gc.freeze()
    url, destination = sys.argv[1:]
    batches: queue.Queue[list[bytes] | None] = queue.Queue(4)
    failures: list[BaseException] = []
    loader = threading.Thread(target=load, args=(destination, batches, failures))
    loader.start()
    try:
        uvloop.run(fetch(url, batches))
    except BaseException:
        batches.put(None)
        raise
    loader.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    main()
