"""The datasets API that the benchmarks read: deterministic records, and as slow or unreliable as asked for.

    python -m benchmarks.server PORT --records 100000 --latency-ms 50 --error-percent 2 --requests-per-second 20

Any path but these is the collection by offset; `/v1/pages` has it by page number (from 1), `/v1/links` by a link to the next page, and
`/v1/parents` and `/v1/parents/<id>/datasets` have as many parents as the collection has pages, each with one page of it.

`/stats` answers with the number of requests since it was last asked.
"""

import argparse
import asyncio
import time
from typing import Any
from urllib.parse import parse_qsl

import orjson
import uvicorn

PAGE_SIZE = 100


def record(number: int) -> dict[str, Any]:
    """One dataset, with a nested object and a nested list."""
    return {
        "id": number,
        "name": f"dataset {number}",
        "description": "lorem ipsum dolor sit amet " * 3,
        "created_at": "2024-01-01T00:00:00Z",
        "updated_at": f"2026-01-{number % 28 + 1:02d}T00:00:{number % 60:02d}Z",
        "size": number * 1000,
        "score": number / 7,
        "is_public": number % 2 == 0,
        "owner": {"id": number % 97, "name": f"owner {number % 97}", "email": f"o{number % 97}@example.org"},
        "tags": ["a", "b", f"t{number % 13}"],
        "license": "mit" if number % 3 else None,
    }


class Api:
    """The ASGI application. Records are written once, so that the server costs little of the machine."""

    def __init__(self, records: int, latency_ms: float, error_percent: float, requests_per_second: int) -> None:
        self._latency_seconds = latency_ms / 1000
        self._error_every = round(100 / error_percent) if error_percent else 0
        self._per_second = requests_per_second
        self._records = [orjson.dumps(record(number)) for number in range(records)]
        self._end = b'],"total":%d}' % records
        self._requests = 0
        self._failed: set[int] = set()
        self._second, self._in_second = 0, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, body, headers = 200, b"", []
        if scope["path"] == "/stats":
            body = str(self._requests).encode()
            self._requests, self._failed = 0, set()
        else:
            self._requests += 1
            if self._latency_seconds:
                await asyncio.sleep(self._latency_seconds)
            query = dict(parse_qsl(scope["query_string"].decode()))
            offset, body = self._answer(scope["path"], query)
            status = self._status(offset)
            body = body if status == 200 else b"{}"
            headers = [(b"retry-after", b"1")] if status != 200 else []
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """The offset that is asked for, and what is there."""
        kind = path.removeprefix("/v1/").split("/")
        if kind[0] == "parents" and len(kind) == 1:
            return int(query.get("offset", 0)), self._parents(int(query.get("offset", 0)))
        if kind[0] == "parents":
            offset = int(kind[1]) * PAGE_SIZE if not int(query.get("offset", 0)) else len(self._records)
            return offset, self._page(offset, b'],"total":%d}' % len(self._records[offset : offset + PAGE_SIZE]))
        if kind[0] == "pages":
            offset = (int(query.get("page", 1)) - 1) * PAGE_SIZE
            return offset, self._page(offset)
        offset = int(query.get("offset", 0))
        following = offset + PAGE_SIZE
        if kind[0] == "links" and following < len(self._records):
            return offset, self._page(offset, b'],"next":"/v1/links?offset=%d"}' % following)
        return offset, self._page(offset, b'],"next":null}' if kind[0] == "links" else None)

    def _page(self, offset: int, end: bytes | None = None) -> bytes:
        # Any offset: pages may overlap.
        return b'{"data":[' + b",".join(self._records[offset : offset + PAGE_SIZE]) + (end or self._end)

    def _parents(self, offset: int) -> bytes:
        count = -(-len(self._records) // PAGE_SIZE)
        rows = [{"id": number} for number in range(offset, min(offset + PAGE_SIZE, count))]
        return orjson.dumps({"data": rows, "total": count})

    def _status(self, offset: int) -> int:
        if self._per_second:
            now = int(time.monotonic())
            self._second, self._in_second = now, self._in_second + 1 if now == self._second else 1
            if self._in_second > self._per_second:
                return 429
        # The first request of each so-manieth page, whatever the order.
        if self._error_every and offset // PAGE_SIZE % self._error_every == 1 and offset not in self._failed:
            self._failed.add(offset)
            return 503
        return 200


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--error-percent", type=float, default=0)
    parser.add_argument("--requests-per-second", type=int, default=0)
    given = parser.parse_args()
    api = Api(given.records, given.latency_ms, given.error_percent, given.requests_per_second)
    uvicorn.run(api, host="127.0.0.1", port=given.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
