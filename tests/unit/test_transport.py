"""What libcurl has to do as requests' own adapter does it: cookies, encodings, certificates, proxies, connections."""

import gzip
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from include.errors import ConfigurationError
from include.extract import transport
from include.extract.transport import CurlAdapter
from include.extract.unpack import TooLarge
from tests.support.api_server import HANG, Answer, ApiServer, numbered
from tests.unit.conftest import Loader

BODY = b'{"data": []}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + BODY


@contextmanager
def canned(*answers: bytes, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server that gives each connection one of `answers`, in turn, and closes it; and what it was sent."""
    heads: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
                with tls.wrap_socket(connection, server_side=True) if tls else connection as peer:
                    heads.append(peer.recv(65536))
                    peer.sendall(answer)
            except OSError:
                # A client that does not trust us goes away; at the end the listener does.
                continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}/v1", heads


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", CurlAdapter())
        session.mount("https://", CurlAdapter())
        yield session


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_the_answer_is_what_requests_makes_of_it(session: requests.Session) -> None:
    answer = (
        b"HTTP/1.1 404 Not here\r\nContent-Type: text/plain; charset=latin-1\r\nX-Two: a\r\nx-two:b\r\nX-None:\r\n"
        b"Content-Length: 1\r\n\r\n\xe9"
    )
    with canned(answer, answer) as (url, _):
        ours, theirs = session.get(url), requests.get(url, timeout=5)
    for response in (ours, theirs):
        assert (response.status_code, response.reason, response.text) == (404, "Not here", "é")
        assert dict(response.headers)["X-Two"] == "a, b"
        assert not response.is_redirect
    assert dict(ours.headers) == dict(theirs.headers)
    assert ours.url == theirs.url
    with pytest.raises(requests.HTTPError, match="404 Client Error: Not here"):
        ours.raise_for_status()


def test_what_is_sent_is_what_requests_sends(session: requests.Session) -> None:
    headers: dict[str, str | bytes] = {"X-Latin": "é".encode("latin-1"), "X-Empty": "", "X-Key": "k"}
    with canned(PLAIN, PLAIN) as (url, heads):
        for sender in (session, requests.Session()):
            sender.get(url, params={"q": "a b/ü"}, headers=headers, timeout=5)
    ours, theirs = (sorted(line.strip() for line in head.split(b"\r\n")[1:]) for head in heads)
    assert ours == theirs
    assert heads[0].split(b"\r\n")[0] == b"GET /v1?q=a+b%2F%C3%BC HTTP/1.1" == heads[1].split(b"\r\n")[0]


def test_cookies_are_kept_and_sent_again(session: requests.Session) -> None:
    answer = PLAIN.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n\r\n")
    with canned(answer, PLAIN) as (url, heads):
        session.get(url)
        session.get(url)
    assert b"Cookie:" not in heads[0]
    assert b"Cookie: a=1; b=2" in heads[1] or b"Cookie: b=2; a=1" in heads[1]


def test_a_compressed_body_is_unpacked(session: requests.Session) -> None:
    body = gzip.compress(BODY)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    with canned(head.encode() + body, head.encode() + b"x" * len(body)) as (url, _):
        assert session.get(url).content == BODY
        with pytest.raises(requests.exceptions.ContentDecodingError):
            session.get(url)


def test_chunks_trailers_and_early_heads_are_taken_apart(session: requests.Session) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
    # Closed, and said so: a kept connection would be used again before its end is seen.
    chunks = (
        b"HTTP/1.1 200 Fine\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n"
        + BODY[:6]
        + b"\r\n6\r\n"
        + BODY[6:]
    )
    with canned(early + chunks + b"\r\n0\r\nX-After: 2\r\n\r\n", chunks) as (url, _):
        response = session.get(url)
        assert (response.content, response.reason) == (BODY, "Fine")
        assert "X-Early" not in response.headers
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            session.get(url)


def test_no_answer_is_a_connection_error_and_another_protocol_too(session: requests.Session) -> None:
    for answer in (b"", b"HTTP/1.1 200", b"220 mail.example.com ESMTP\r\n"):
        with canned(answer) as (url, heads), pytest.raises((requests.ConnectionError, requests.ReadTimeout)):
            session.get(url, timeout=2)
        assert len(heads) == 1
    with pytest.raises(requests.ConnectionError, match=r"(?i)resolve"):
        session.get("http://nobody.invalid/")


def test_a_connection_that_was_closed_while_idle_costs_nothing(session: requests.Session) -> None:
    with canned(PLAIN, PLAIN, PLAIN) as (url, heads):
        for _ in range(3):
            session.get(url)
            time.sleep(0.05)
    assert len(heads) == 3


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_certificate_of_an_unknown_authority_is_refused(session: requests.Session, tls: ssl.SSLContext) -> None:
    with canned(PLAIN, tls=tls) as (url, heads), pytest.raises(requests.exceptions.SSLError, match="certificate"):
        session.get(url)
    assert not any(heads)


def test_the_authorities_are_those_of_the_environment(
    session: requests.Session,
    authority: trustme.CA,
    tls: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with canned(PLAIN, tls=tls) as (url, _):
        assert session.get(url).content == BODY
    # Trusted, but issued to another name.
    with canned(PLAIN, tls=tls) as (url, heads), pytest.raises(requests.exceptions.SSLError):
        session.get(url.replace("127.0.0.1", "localhost"))
    assert not any(heads)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="one file"):
        session.get("https://127.0.0.1:9/")
    # Where nothing is encrypted, nobody looks at certificates.
    with canned(PLAIN) as (url, _):
        assert session.get(url).content == BODY


def test_a_certificate_is_not_looked_at_where_the_caller_says_so(
    session: requests.Session, tls: ssl.SSLContext
) -> None:
    with canned(PLAIN, tls=tls) as (url, _):
        # Nor at the name that it is issued to.
        assert session.get(url.replace("127.0.0.1", "localhost"), verify=False).content == BODY


def test_a_client_shows_its_own_certificate(
    session: requests.Session, authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    own = tmp_path / "client.pem"
    authority.issue_cert("client.example.com").private_key_and_cert_chain_pem.write_to_path(str(own))
    with canned(PLAIN, PLAIN, tls=tls) as (url, _):
        for cert in (str(own), (str(own), str(own))):
            assert session.get(url, verify=False, cert=cert).content == BODY


def test_certificates_that_cannot_be_read_are_a_sentence(
    session: requests.Session, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with canned(PLAIN, tls=tls) as (url, _), pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
        session.get(url)


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_of_the_environment_is_used(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with ApiServer() as proxy:
        monkeypatch.setenv("http_proxy", f"{scheme}{'user:pass@' if scheme else ''}127.0.0.1:{proxy.port}")
        session.get("http://api.invalid/v1?offset=0")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with canned(PLAIN) as (url, heads):
            session.get(url)
    assert [request.target for request in proxy.requests] == ["http://api.invalid/v1?offset=0"]
    assert proxy.requests[0].headers.get("Proxy-Authorization") == ("Basic dXNlcjpwYXNz" if scheme else None)
    assert len(heads) == 1


def test_a_tunnel_through_a_proxy_is_no_answer(
    session: requests.Session, authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """CONNECT, then TLS inside: the proxy's own head is not taken for the API's."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        asked.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 Tunnel\r\nX-Proxy: 1\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as peer:
            peer.recv(65536)
            peer.sendall(PLAIN)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        proxies = {"https": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        response = session.get("https://127.0.0.1:9/v1", proxies=proxies, verify=str(bundle))
    assert asked[0].startswith(b"CONNECT 127.0.0.1:9 ")
    assert (response.reason, response.content) == ("OK", BODY)
    assert "X-Proxy" not in response.headers


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_only_reading_is_possible(session: requests.Session, method: str) -> None:
    with pytest.raises(AssertionError):
        getattr(session, method)("http://127.0.0.1:9/")


BODIES: list[tuple[dict[str, Any], bytes, str | None]] = [
    ({"json": {"a": "é"}}, b'{"a": "\\u00e9"}', "application/json"),
    ({"data": {"a": "é"}}, b"a=%C3%A9", "application/x-www-form-urlencoded"),
    ({"data": "é".encode()}, "é".encode(), None),
    ({"data": b"x" * 2_000_000}, b"x" * 2_000_000, None),
    ({}, b"", None),
]


@pytest.mark.parametrize(("given", "body", "content_type"), BODIES, ids=["json", "form", "bytes", "large", "empty"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_search_sends_its_body_as_requests_would(
    session: requests.Session, method: str, given: dict[str, Any], body: bytes, content_type: str | None
) -> None:
    with ApiServer() as server:
        for _ in range(2):
            # On one connection: what one request sent is not sent with the next.
            assert getattr(session, method)(server.url + "/v1/datasets", **given).ok
            session.get(server.url + "/v1/datasets")
    first, plain, again, _ = server.requests
    for request in (first, again):
        assert (request.method, request.body) == (method.upper(), body)
        assert request.headers.get("Content-Type") == content_type
        assert "Expect" not in request.headers
    assert (plain.method, plain.body, "Content-Type" in plain.headers) == ("GET", b"", False)


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_signal_ends_the_read_while_the_api_is_silent(loader: Loader, parallel: int) -> None:
    class Terminated(BaseException):
        pass

    def end(*_: Any) -> None:
        raise Terminated

    def silent(_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGUSR1)
        return HANG

    earlier = signal.signal(signal.SIGUSR1, end)
    try:
        with ApiServer(numbered(250)) as server:
            server.script(silent)
            started = time.monotonic()
            with pytest.raises(Terminated):
                loader.read(server, max_parallel_requests=parallel)
            assert time.monotonic() - started < 10
    finally:
        signal.signal(signal.SIGUSR1, earlier)


def test_a_slow_answer_that_keeps_coming_is_no_timeout(session: requests.Session) -> None:
    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(PLAIN[:-10])
            for byte in PLAIN[-10:]:
                time.sleep(0.15)
                connection.sendall(bytes([byte]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        answer = session.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=(1, 1))
    assert answer.content == BODY


def test_compressed_pages_are_loaded(loader: Loader) -> None:
    def squeeze(request: Any) -> Answer | None:
        page = server.page(request)
        body = gzip.compress(json.dumps(page.body).encode())
        return Answer(200, body, {"Content-Encoding": "gzip"})

    with ApiServer(numbered(250)) as server:
        server.script(squeeze)
        assert len(loader.read(server, max_parallel_requests=4)) == 250


def test_one_byte_after_the_other_has_an_end(session: requests.Session) -> None:
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(PLAIN.replace(b"12", b"100000"))
            while not ended.wait(0.02):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            session.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=(1, 0.1))
        ended.set()
    assert time.monotonic() - started < 5


def test_a_word_that_is_no_encoding_is_passed_over(session: requests.Session) -> None:
    with canned(PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Encoding: utf-8\r\n\r\n")) as (url, _):
        assert session.get(url).json() == {"data": []}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_has_a_largest_size(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, packed: bool, announced: bool
) -> None:
    monkeypatch.setattr(transport, "BODY_BYTES", 1024**2)
    body = bytes(1024**2 + 1)
    content = gzip.compress(body) if packed else body
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Encoding: gzip\r\n" if packed else b"")
    head += f"Content-Length: {len(content)}\r\n".encode() if announced else b""
    with canned(head + b"\r\n" + content) as (url, _), pytest.raises(TooLarge, match="1 MiB") as caught:
        session.get(f"{url}?k=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [("X-Key\r\nX-Other", "1"), ("X Key", "1"), ("X-Key", "1\r\nX-Other: 1"), ("X-Key", "1\n")]
)
def test_no_header_begins_another_one(session: requests.Session, name: str, value: str) -> None:
    request = requests.Request("GET", "http://127.0.0.1:9/").prepare()
    # As dlt's authentication does it, where requests looks at nothing.
    request.headers[name] = value
    with pytest.raises(ConfigurationError, match="api_key_param"):
        session.send(request)
