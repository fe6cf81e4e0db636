"""Where requests may go, and where credentials may.

In: the address of the connection, and the hosts that the declaration names. Out: each request as it is; without credentials; or a
sentence. A link of the API, or a field of a record that is the address of a child, may lead anywhere.
"""

from collections.abc import Collection
from contextlib import suppress
from copy import copy
from urllib.parse import SplitResult, urlsplit

import requests
from requests.auth import AuthBase

from include.errors import ConfigurationError
from include.redaction import redact, shown

Origin = tuple[str, str | None, int | None]


class Hosts:
    """`base_url` None: requests may go anywhere, as nobody has said where the API is."""

    def __init__(self, base_url: str | None, others: Collection[str] = (), own_params: Collection[str] = ()) -> None:
        """`own_params`: the fixed query parameters, which may hold a token and stay with the API."""
        self._own_params = frozenset(own_params)
        self._origins: set[Origin] | None = None
        self._others = {host.lower() for host in others}
        # One that cannot be read fails when it is asked.
        with suppress(ValueError):
            self._origins = origins_of_same_host(urlsplit(base_url)) if base_url else None
        self._is_secure = (base_url or "").lower().startswith("https:")
        # Nearly all requests go where the one before went.
        self._checked = ""

    def check(self, request: requests.Request) -> requests.Request:
        """`request`, without its credentials where it leads to a host that the declaration names beside the API's.

        Raises ConfigurationError (permanent) for any other host, and where it would go from https to http.
        """
        address = request.url or ""
        if self._origins is None or address == self._checked:
            return request
        try:
            origin = origin_of(urlsplit(address))
        except ValueError:
            raise ConfigurationError(
                "The API gave an address of its next page, or of a child, that cannot be read. Nothing was loaded."
            ) from None
        if origin in self._origins:
            self._checked = address
            return request
        if (origin[1] or "") in self._others and not (self._is_secure and origin[0] != "https"):
            return self._without_credentials(request)
        host = shown(redact(origin[1] or "?"))
        if origin[1] in {own for _, own, _ in self._origins} and self._is_secure:
            raise ConfigurationError(
                f"The API gave an address of its next page, or of a child, that leads from https to http at {host}; the credentials are "
                "not sent in the clear. Ask the API's owner to mend its links, or page by another kind of paginator."
            )
        raise ConfigurationError(
            f"The API gave an address of its next page, or of a child, that leads to another host, {host}; the credentials are not "
            "sent there. If that host may be asked without them, name it in `other_hosts` of the API in include/apis; if the API "
            "has moved, change the host of its connection."
        )

    def _without_credentials(self, request: requests.Request) -> requests.Request:
        bare = copy(request)
        bare.auth, bare.headers = _NoAuth(), {}
        if isinstance(bare.params, dict):
            bare.params = {name: value for name, value in bare.params.items() if name not in self._own_params}
        return bare


class _NoAuth(AuthBase):
    """Nothing: without an object here, requests would look for a login in the user's ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def origins_of_same_host(url: SplitResult) -> set[Origin]:
    """The origin of `url`, and with TLS its usual port and its own."""
    scheme, host, port = origin_of(url)
    return {(scheme, host, port)} | ({("https", host, 443), ("https", host, port)} if scheme == "http" else set())


def origin_of(url: SplitResult) -> Origin:
    """Scheme, host and port. Raises ValueError where the port is none."""
    default_port = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.hostname, url.port or default_port
