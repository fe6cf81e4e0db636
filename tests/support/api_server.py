"""A real HTTP server on loopback that plays a datasets API, good or bad.

In: records and how this API speaks. Out: pages over HTTP/1.1 keep-alive, and a log of every request that came.

    with ApiServer(records=[{"id": 1}]) as server:
        server.url                          # http://127.0.0.1:<port>
        server.records.insert(0, {...})     # read anew for each request
        server.fail(2, Answer(503))         # the first two requests of each offset
        server.script(lambda request: Answer(200, "<html>") if request.offset == 100 else None)
        server.count(offset=0), server.offsets, server.requests[-1].query

Answers for a script: an `Answer`, `HANG` (nothing comes), `CLOSE` (the connection drops), or None: the normal page.
A script may change `server.records` and return None: that is a collection which moves while it is read.
"""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

# Longer than any client of a test waits; the end of the server ends it at once.
HANG_SECONDS = 30


@dataclass(frozen=True)
class Request:
    """One request as it arrived. `offset` is None where the query has none; `at_seconds` is monotonic."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    target: str
    offset: int | None
    client_port: int
    at_seconds: float
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What goes back. `body`: bytes and text as they are, anything else as JSON.

    `cut_after` ends the connection after so many bytes of a body that was announced whole.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    reason: str | None = None


class _Silence:
    """An answer that is none."""


HANG, CLOSE = _Silence(), _Silence()
Script = Callable[[Request], Answer | _Silence | None]


@dataclass
class ApiServer:
    """Serves `records` page by page at `path`; a context manager that listens on a free port.

    `records_at` and `total_at` are dotted paths in the body (`$`: the body is the list; None: no total is given).
    `key` is asked for as `key_param` in the query or as a header (`key_in`); None: everybody may read.
    `page_cap` is the largest page, whatever `limit` says. With `start_param` and `end_param` the records are
    filtered by `cursor`, as texts, from start inclusive to end exclusive, or the other way round with
    `start_exclusive`, `end_inclusive`.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    path: str = "/v1/datasets"
    records_at: str = "data"
    total_at: str | None = "total"
    key: str | None = None
    key_param: str = "api_key"
    key_in: str = "query"
    offset_param: str = "offset"
    limit_param: str = "limit"
    page_cap: int | None = None
    cursor: str = "updated_at"
    start_param: str | None = None
    end_param: str | None = None
    start_exclusive: bool = False
    end_inclusive: bool = False

    def __post_init__(self) -> None:
        self.requests: list[Request] = []
        self._scripts: list[Script] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        self._server = _Listener(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Behave as at the start, on the same port."""
        for one in fields(self):
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            setattr(self, one.name, default)
        self.requests.clear()
        self._scripts.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def offsets(self) -> list[int | None]:
        """The offsets asked for, in order."""
        return [request.offset for request in self.requests]

    def count(self, offset: int | None = None) -> int:
        """How many requests came; with `offset`, how many for that page."""
        return len(self.requests) if offset is None else Counter(self.offsets)[offset]

    def script(self, script: Script) -> None:
        """Ask `script` for an answer before all others; one that returns None leaves it to the earlier ones."""
        self._scripts.insert(0, script)

    def fail(self, times: int, *answers: Answer | _Silence, offset: int | None = None) -> None:
        """Answer the first `times` requests of each offset (or of `offset` only) with `answers`, in turn."""
        seen: Counter[int | None] = Counter()

        def failing(request: Request) -> Answer | _Silence | None:
            if offset is not None and request.offset != offset:
                return None
            with self._lock:
                seen[request.offset] += 1
                turn = seen[request.offset]
            return answers[(turn - 1) % len(answers)] if turn <= times else None

        self.script(failing)

    def connection_json(self, key: str | None = None, **extra: Any) -> str:
        """The value of AIRFLOW_CONN_DATASETS_API for this server; `extra` are options of the source."""
        connection = {"conn_type": "http", "host": self.url, "password": key or self.key or "key", "extra": extra}
        return json.dumps(connection)

    def page(self, request: Request) -> Answer:
        """The normal answer to `request`; for scripts that change only a part of it."""
        if request.path != self.path:
            return Answer(404, {"error": "there is nothing here"})
        if self.key is not None and self._key_of(request) != self.key:
            return Answer(401, {"error": "the key is missing or wrong"})
        found = [record for record in list(self.records) if self._in_window(record, request.query)]
        limit = int(request.query.get(self.limit_param, 100))
        limit = min(limit, self.page_cap or limit)
        first = request.offset or 0
        body: Any = found[first : first + limit]
        if self.records_at != "$":
            body = _at(self.records_at, body)
            if self.total_at is not None:
                _merge(body, _at(self.total_at, len(found)))
        return Answer(200, body)

    def _key_of(self, request: Request) -> str | None:
        return (request.headers if self.key_in == "header" else request.query).get(self.key_param)

    def _in_window(self, record: Mapping[str, Any], query: Mapping[str, str]) -> bool:
        start = query.get(self.start_param) if self.start_param else None
        end = query.get(self.end_param) if self.end_param else None
        value = str(record.get(self.cursor)) if start or end else ""
        if start is not None and (value < start or (self.start_exclusive and value == start)):
            return False
        return end is None or value < end or (self.end_inclusive and value == end)

    def _answer(self, request: Request) -> Answer | _Silence:
        with self._lock:
            self.requests.append(request)
        for script in list(self._scripts):
            if (answer := script(request)) is not None:
                return answer
        return self.page(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One write per answer, and one that is larger than the buffer does not wait for what was sent before to be
            # acknowledged: Nagle's algorithm costs 40 ms each.
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                split = urlsplit(self.path)
                query = dict(parse_qsl(split.query, keep_blank_values=True))
                offset = query.get(server.offset_param, "")
                request = Request(
                    method=self.command,
                    path=split.path,
                    query=query,
                    headers=self.headers,
                    target=self.path,
                    offset=int(offset) if offset.isdigit() else None,
                    client_port=self.client_address[1],
                    at_seconds=time.monotonic(),
                    body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
                )
                answer = server._answer(request)
                if isinstance(answer, Answer):
                    self._send(answer)
                    return
                if answer is HANG:
                    server._closing.wait(HANG_SECONDS)
                self.close_connection = True

            do_POST = do_GET

            def _send(self, answer: Answer) -> None:
                as_is = isinstance(answer.body, bytes | str)
                text = answer.body if as_is else json.dumps(answer.body, ensure_ascii=False)
                body = text if isinstance(text, bytes) else text.encode()
                self.send_response(answer.status, answer.reason)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[: answer.cut_after])
                self.wfile.flush()
                self.close_connection = self.close_connection or answer.cut_after is not None

            def log_message(self, *_: Any) -> None:
                """Nothing: what came is in `ApiServer.requests`."""

        return Handler


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    # Threads are not awaited: a client that keeps its connection open would hold the end of the test.
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A client that went away is part of many tests."""


def refused_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _at(path: str, value: Any) -> Any:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def _merge(body: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(body.get(name), dict) and isinstance(value, dict):
            _merge(body[name], value)
        else:
            body[name] = value


def numbered(count: int, first: int = 0) -> list[dict[str, Any]]:
    """`count` small records with the ids `first`, `first` + 1, …"""
    return [{"id": number, "name": f"dataset {number}"} for number in range(first, first + count)]
