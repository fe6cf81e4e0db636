"""Serves the demo catalogue as a small real datasets API on loopback.

In: the records of `demo.catalogue` and an API key. Out: an ASGI app, and `python -m demo.api`, which
serves it:

    GET /v1/datasets?api_key=&offset=&limit=&updated_since=&updated_before=
        200 {"data": [record, ...], "total": records after the filter, "offset": ..., "limit": ...}
    GET /v1/publishers?api_key=&page=&page_size=
        200 {"publishers": [{"id", "name", "kind"}, ...], "total": all of them, "pages": pages of that size}
    GET /v1/publishers/<id>/datasets?api_key=&offset=&limit=
        200 as /v1/datasets, of one publisher; 404 where there is none
    GET /health
        200 {"status": "ok", "records": all records}; no key

Every refusal is {"error": "one sentence"}. No answer and no log line holds a query string, as the key is in
it.
"""

import argparse
import hmac
import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from demo.catalogue import Record, load_catalogue

HOST = "127.0.0.1"
MAX_LIMIT = 100
API_KEY_VARIABLE = "DEMO_API_KEY"
# A client that stops reading must not hold up the end of `make run`.
SHUTDOWN_TIMEOUT_SECONDS = 2


def create_app(records: Sequence[Record], api_key: str) -> Starlette:
    """An ASGI app that serves `records`, in their order, to requests that carry `api_key`.

    Each record needs an `updated_at` in ISO 8601 with an offset or `Z`; the filter is `updated_since`
    inclusive and `updated_before` exclusive. Answers 401 without the key, 400 for a parameter it cannot
    read, 404 for another path and 405 for another method.
    """
    expected_key = api_key.encode()
    served = [(datetime.fromisoformat(record["updated_at"]), _fragment(record)) for record in records]

    publishers, of_publisher = _by_publisher(records)

    def check_key(request: Request) -> None:
        if not hmac.compare_digest(request.query_params.get("api_key", "").encode(), expected_key):
            raise HTTPException(401, "The query parameter api_key is missing or wrong.")

    def offset_page(request: Request, found: Sequence[orjson.Fragment]) -> Response:
        offset = _integer(request, "offset", default=0, minimum=0)
        limit = min(_integer(request, "limit", default=MAX_LIMIT, minimum=1), MAX_LIMIT)
        page = found[offset : offset + limit]
        return _json({"data": page, "total": len(found), "offset": offset, "limit": limit})

    async def datasets(request: Request) -> Response:
        check_key(request)
        since, before = _instant(request, "updated_since"), _instant(request, "updated_before")
        found = [
            fragment
            for updated_at, fragment in served
            if (since is None or updated_at >= since) and (before is None or updated_at < before)
        ]
        return offset_page(request, found)

    async def all_publishers(request: Request) -> Response:
        check_key(request)
        page = _integer(request, "page", default=1, minimum=1)
        size = min(_integer(request, "page_size", default=20, minimum=1), MAX_LIMIT)
        found = [publishers[number] for number in sorted(publishers)]
        rows = found[(page - 1) * size : page * size]
        return _json({"publishers": rows, "total": len(found), "pages": -(-len(found) // size)})

    async def datasets_of(request: Request) -> Response:
        check_key(request)
        number = request.path_params["id"]
        if number not in of_publisher:
            raise HTTPException(404, f"There is no publisher {number}.")
        return offset_page(request, of_publisher[number])

    async def health(_: Request) -> Response:
        return _json({"status": "ok", "records": len(served)})

    app = Starlette(
        routes=[
            Route("/v1/datasets", datasets),
            Route("/v1/publishers", all_publishers),
            Route("/v1/publishers/{id:int}/datasets", datasets_of),
            Route("/health", health),
        ],
        exception_handlers={HTTPException: _error},
    )
    # The redirect from /v1/datasets/ would repeat the query string, and with it the key, in its Location.
    app.router.redirect_slashes = False
    return app


def _by_publisher(records: Sequence[Record]) -> tuple[dict[int, Record], dict[int, list[orjson.Fragment]]]:
    """The publishers, and the datasets of each, by the publisher's id."""
    publishers = {record["owner"]["id"]: record["owner"] for record in records}
    datasets: dict[int, list[orjson.Fragment]] = {number: [] for number in publishers}
    for record in records:
        datasets[record["owner"]["id"]].append(_fragment(record))
    return publishers, datasets


def _fragment(record: Record) -> orjson.Fragment:
    """A record serialised once, at start, for every page that will hold it."""
    return orjson.Fragment(orjson.dumps(record))


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


async def _error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)


def _integer(request: Request, name: str, *, default: int, minimum: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    # int() alone also takes "1_0", " 1" and digits of other scripts.
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) < minimum:
        raise HTTPException(400, f"The query parameter {name} must be an integer of at least {minimum}.")
    return int(text)


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise HTTPException(
            400, f"The query parameter {name} must be an ISO 8601 time with Z or an offset (send + as %2B)."
        )
    return instant


class _AnnouncingServer(uvicorn.Server):
    """Says where it listens once it does: a line on stdout and, if asked for, the port in a file."""

    def __init__(self, config: uvicorn.Config, port_file: Path | None) -> None:
        super().__init__(config)
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        if self._port_file is not None:
            # Whoever waits for the file must never read half of it.
            unfinished = self._port_file.with_name(f"{self._port_file.name}.{os.getpid()}")
            unfinished.write_text(f"{port}\n")
            unfinished.replace(self._port_file)
        print(f"Demo API listening on http://{HOST}:{port}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the catalogue on loopback until SIGTERM or SIGINT, then exit with 0.

    Exits with 2 without a key, with uvicorn's 3 when the port is taken. A file already at `--port-file` is
    replaced only once the server listens, so the caller removes an old one before it waits.
    """
    # uvicorn hands a signal on, after its shutdown, to the handler it found: without these the process would
    # end as killed. They also end it while the catalogue still loads.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

    parser = argparse.ArgumentParser(prog="python -m demo.api", description="Serve the demo datasets API.")
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one (default)")
    parser.add_argument("--port-file", type=Path, help="file that gets the port once the server listens")
    parser.add_argument("--api-key", default=os.environ.get(API_KEY_VARIABLE), help=f"defaults to ${API_KEY_VARIABLE}")
    options = parser.parse_args(arguments)
    if not options.api_key:
        parser.error(f"an API key is needed: set {API_KEY_VARIABLE} or pass --api-key")

    config = uvicorn.Config(
        create_app(load_catalogue(), options.api_key),
        host=HOST,
        port=options.port,
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
    )
    _AnnouncingServer(config, options.port_file).run()


if __name__ == "__main__":
    main()
