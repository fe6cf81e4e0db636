"""A mail server and a webhook on loopback, as alerts meet them.

In: nothing. Out: `mailbox()` and `webhook()`, which keep what arrives.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

from aiosmtpd.controller import Controller

from tests.support.api_server import refused_port


@dataclass
class Mailbox:
    """`mails`: what has arrived, in order."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Called by the server for each mail."""
        self.mails.append(cast(EmailMessage, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"

    def connection_json(self, **extra: Any) -> str:
        """An Airflow connection to it, as a variable of the environment has it."""
        extra = {"to": ["oncall@example.org"], "from_email": "airflow@example.org"} | extra
        extra |= {"disable_ssl": True, "disable_tls": True, "timeout": 5, "retry_limit": 0}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra})


def text_of(mail: EmailMessage) -> str:
    """What a person reads."""
    body = mail.get_body(("html", "plain"))
    assert body is not None
    return str(body.get_content())


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server that takes everything."""
    # The controller asks its port whether it is up: 0 is none.
    box = Mailbox(refused_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop(no_assert=True)


@dataclass
class Webhook:
    """`calls`: path, and body as JSON, of what has arrived, in order. `status`: what it answers."""

    port: int = 0
    status: int = 200
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def connection_json(self, path: str = "services/T0/B0/of-the-tests") -> str:
        """An Airflow connection to it, as a variable of the environment has it."""
        fields = {"conn_type": "http", "host": "127.0.0.1", "port": self.port, "password": path}
        return json.dumps(fields)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A server to which messages are posted."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.calls.append((self.path, json.loads(body)))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_address[1]
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()
