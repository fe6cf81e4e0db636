"""How a request says who asks, in the words of dlt's REST API configuration.

In: the options. Out: what the client's configuration has under `auth`. Nothing is sent here.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote_plus, unquote_plus, urlsplit, urlunsplit

import requests
from dlt.common.configuration import configspec
from dlt.common.configuration.specs.base_configuration import is_secret_hint
from dlt.sources.helpers.rest_client.auth import APIKeyAuth, AuthConfigBase, HttpBasicAuth

from include.configure.options import SourceOptions
from include.extract.oauth2 import ClientCredentials
from include.extract.session import open_session
from include.redaction import register


def auth_of(options: SourceOptions, token_session: Callable[[], requests.Session] | None = None) -> Mapping[str, Any]:
    """The part `auth` of dlt's client configuration; empty where the API asks for no key.

    `token_session` opens a session that fetches tokens; None: one of its own.
    """
    match options.auth_kind:
        case "none":
            return {}
        case "own":
            _register_secrets_of(options.auth)
            return {"auth": options.auth}
        case "bearer":
            return {"auth": {"type": "bearer", "token": options.api_key}}
        case "http_basic":
            user, password = options.username or "", options.api_key or ""
            register(_basic(user, password))
            # An object: dlt would look for what is empty elsewhere.
            return {"auth": HttpBasicAuth(username=user, password=password)}
        case "oauth2_client_credentials":
            user, secret = options.username or "", options.api_key or ""
            register(_basic(user, secret))
            return {
                "auth": ClientCredentials(
                    token_session or partial(open_session, 1), user, secret, **options.auth_fields
                )
            }
    kind = {"cookie": CookieKey, "query": QueryKey}.get(options.api_key_location, APIKeyAuth)
    return {"auth": kind(options.api_key_param, options.api_key or "", options.api_key_location)}


def _register_secrets_of(auth: AuthConfigBase) -> None:
    """Of an object of somebody's own: what its class says is secret."""
    for name, hint in type(auth).get_resolvable_fields().items():
        value = getattr(auth, str(name), None)
        if is_secret_hint(hint) and isinstance(value, str):
            register(value)


def _basic(user: str, password: str) -> str:
    return str(HttpBasicAuth(username=user, password=password)(_nobody()).headers["Authorization"]).removeprefix(
        "Basic "
    )


def _nobody() -> requests.PreparedRequest:
    return requests.Request("GET", "http://localhost/").prepare()


@configspec
class QueryKey(APIKeyAuth):
    """The key in the query, once: some APIs repeat it in the link to the next page."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the key in place of one that is there."""
        parts = urlsplit(request.url or "")
        if f"{quote_plus(self.name)}=" in parts.query:
            kept = [pair for pair in parts.query.split("&") if unquote_plus(pair.partition("=")[0]) != self.name]
            request.url = urlunsplit(parts._replace(query="&".join(kept)))
        return super().__call__(request)


@configspec
class CookieKey(APIKeyAuth):
    """The key in a cookie, which dlt's own class leaves out (1.31.0, `auth.py`)."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the cookie to those that are there."""
        cookies = [request.headers.get("Cookie", ""), f"{self.name}={self.api_key}"]
        request.headers["Cookie"] = "; ".join(filter(None, cookies))
        return request
