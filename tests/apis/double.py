"""What all doubles have in common: the records, the counting, and how a catalogue's own rules are asked.

In: a `Request`. Out: an `Answer`. A catalogue writes `record` (the shape of its records) and `respond` (a function of the
request and of what is served, without a state of its own).
"""

import base64
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.apis.quota import Allowance, Quota
from tests.apis.serving import Faults, Record, Serving
from tests.support.api_server import Answer, Request


class Refused(Exception):
    """The API says no. In: the status and a sentence; each catalogue words it in its own shape."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Double(ABC):
    """A catalogue with `count` records. `records` is the truth, read anew for each request.

    `key` None: everybody may read. `quota` None: as often as one likes. `latency_seconds` passes before each answer.
    `clock` gives seconds since 1970.
    """

    count: int = 250
    key: str | None = None
    quota: Quota | None = None
    faults: Faults = field(default_factory=Faults)
    latency_seconds: float = 0
    clock: Callable[[], float] = time.time

    # Where the collection is; dotted paths in a record: its key, and when it changed (None: no record says so).
    path: ClassVar[str]
    primary_key: ClassVar[str] = "id"
    modified: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        self.records: list[Record] = [self.record(number) for number in range(self.count)]
        self._lock = threading.Lock()
        self._answered = 0
        self._in_progress = 0

    @staticmethod
    @abstractmethod
    def record(number: int) -> Record:
        """The record with that number, always the same."""

    @abstractmethod
    def respond(self, request: Request, serving: Serving) -> Answer:
        """The answer to `request`; raises `Refused`."""

    def serves(self, path: str) -> bool:
        """Whether there is anything at `path`."""
        return path == self.path

    def refusal(self, status: int, message: str) -> Answer:
        """How this API says no."""
        return Answer(status, {"error": message})

    def throttled(self, allowance: Allowance) -> Answer:
        """How this API says that one asks too often."""
        return self.refusal(429, "Too many requests.")

    def answer(self, request: Request) -> Answer:
        """Count `request` and answer it."""
        with self._counted() as serving:
            if self.latency_seconds:
                time.sleep(self.latency_seconds)
            if serving.allowance and serving.allowance.exceeded:
                return self.throttled(serving.allowance)
            try:
                if not self.serves(request.path):
                    raise Refused(404, f"There is nothing at {request.path}.")
                return self.respond(request, serving)
            except Refused as refused:
                return self.refusal(refused.status, str(refused))

    @contextmanager
    def _counted(self) -> Iterator[Serving]:
        with self._lock:
            self._in_progress += 1
            allowance = self.quota.take(self.clock()) if self.quota else None
            serving = Serving(list(self.records), self._answered, self.faults, allowance, self._in_progress)
            self._answered += 1
        try:
            yield serving
        finally:
            with self._lock:
                self._in_progress -= 1


def number(values: dict[str, Any], name: str, default: int, least: int = 0) -> int:
    """The whole number `name` of a query or a body; anything else than one of at least `least` is refused."""
    value = str(values.get(name, default))
    if not value.isdecimal() or int(value) < least:
        raise Refused(400, f"{name} has to be a whole number of at least {least}.")
    return int(value)


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that came with `request`; none is empty."""
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise Refused(400, "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Refused(400, "The body has to be an object.")
    return body


def link(request: Request, **query: Any) -> str:
    """The whole address of `request` with other values in the query."""
    asked = urlencode({**request.query, **query})
    return f"http://{request.headers['Host']}{request.path}{'?' if asked else ''}{asked}"


def token(position: int) -> str:
    """A cursor that says nothing to its reader."""
    return base64.urlsafe_b64encode(f"position:{position}".encode()).decode().rstrip("=")


def position(cursor: str) -> int:
    """Where `cursor` points to."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return int(text.removeprefix("position:"))
    except ValueError as error:
        raise Refused(400, "The cursor is not one of ours.") from error


def at(record: Record, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = record
    for name in path.split("."):
        value = value[name]
    return value


def ordered(found: list[Record], path: str, descending: bool = False) -> list[Record]:
    """`found` by the value at a dotted path; equal ones stay as they were."""
    return sorted(found, key=lambda record: at(record, path), reverse=descending)
