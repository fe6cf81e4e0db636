"""How a request says who asks, in the words of dlt's REST API configuration.

In: the options. Out: what the client's configuration has under `auth`. Nothing is sent here.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import requests
from dlt.common.configuration import configspec
from dlt.sources.helpers.rest_client.auth import APIKeyAuth, HttpBasicAuth

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
            return {
                "auth": ClientCredentials(
                    token_session or partial(open_session, 1), user, secret, **options.auth_fields
                )
            }
    if options.api_key_location == "cookie":
        return {"auth": CookieKey(name=options.api_key_param, api_key=options.api_key or "")}
    return {
        "auth": {
            "type": "api_key",
            "name": options.api_key_param,
            "api_key": options.api_key,
            "location": options.api_key_location,
        }
    }


def _basic(user: str, password: str) -> str:
    return str(HttpBasicAuth(username=user, password=password)(_nobody()).headers["Authorization"]).removeprefix(
        "Basic "
    )


def _nobody() -> requests.PreparedRequest:
    return requests.Request("GET", "http://localhost/").prepare()


@configspec
class CookieKey(APIKeyAuth):
    """The key in a cookie, which dlt's own class leaves out (1.31.0, `auth.py`)."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the cookie to those that are there."""
        cookies = [request.headers.get("Cookie", ""), f"{self.name}={self.api_key}"]
        request.headers["Cookie"] = "; ".join(filter(None, cookies))
        return request
