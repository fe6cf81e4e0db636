"""The API that an Airflow connection names: where it is, its key, the options of its source.

In: the connection. Out: `ApiValues`. Nothing is looked up, opened or sent here.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from include.configure.connections import AirflowConnection, ConnectionFields


@dataclass(frozen=True)
class ApiValues:
    """Where the API is, who asks, and the source's options: all keys of the connection's extra, unchanged.

    `base_url` None: the declaration says where. `api_key` None: the connection has no password, which is right for an API that
    asks for none (the option `auth`). `username` None: it has no login.
    """

    base_url: str | None
    api_key: str | None = field(repr=False)
    username: str | None = field(repr=False)
    options: Mapping[str, object] = field(repr=False)  # may hold a token in `params`


def api_values(connection: AirflowConnection | None) -> ApiValues:
    """The API behind an `http` connection: host, schema, port, or a whole URL as host; the key as password, its user as login.

    The scheme is https unless `schema` or the URL says http: a key is not sent in the clear by default. None: there is no
    such connection, and the declaration, or the environment, says everything. Raises ConfigurationError (permanent) for a field
    that is wrong.
    """
    if connection is None:
        return ApiValues(None, None, None, {})
    given = ConnectionFields(connection)
    if given.conn_type not in ("http", "https"):
        raise given.error("type", "must be `http`: the API is read over HTTP")
    key, user = given.get("password"), given.get("login")
    return ApiValues(
        _base_url(given),
        None if key is None else str(key),
        None if user is None else str(user),
        given.extra,
    )


def _base_url(given: ConnectionFields) -> str:
    host = str(given.need("host", meaning="the API's host name, or its whole URL")).strip()
    scheme = str(given.get("schema") or "").lower()
    if scheme not in ("", "http", "https"):
        # Airflow's URI form has no place for a path: what stands after the slash arrives as schema.
        raise given.error("schema", "must be `http` or `https`; a path belongs into `host`, as in https://host/path")
    if "://" not in host:
        host = f"{scheme or 'https'}://{_bracketed(host)}"
    if not host.isprintable() or any(mark in host for mark in "?#\\ "):
        raise given.error("host", "must be a host name or a URL without query, fragment and blanks")
    if (url := _split_url(host)) is None or not url.hostname or url.scheme not in ("http", "https"):
        raise given.error("host", "must be a host name, or a URL that begins with http:// or https://")
    if "@" in url.netloc:
        raise given.error("host", "must not hold a user or a password; the API key belongs into `password`")
    if scheme and scheme != url.scheme:
        raise given.error("schema", "says otherwise than the URL in `host`; clear one of them")
    port = given.get("port")
    if port and url.port not in (None, int(port)):
        raise given.error("port", "says otherwise than the URL in `host`; clear one of them")
    netloc = url.netloc.removesuffix(":")
    if port and url.port is None:
        netloc += f":{port}"
    return f"{url.scheme}://{netloc}{url.path}".rstrip("/")


def _bracketed(host: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host


def _split_url(text: str) -> SplitResult | None:
    """None: not a URL. The error is dropped here, because its text quotes the value."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises for a port that is not one
    except ValueError:
        return None
    return url
