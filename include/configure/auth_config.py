"""dlt's configuration of authentication in the words of the project's options.

In: a name, an object of the configuration, or an object of dlt's. Out: values of options: `auth` is the kind, with what is its alone;
the secret and its user are `api_key` and `username`, which a connection says in its password and login.
"""

import json
from contextlib import suppress
from typing import Any

from dlt.sources.helpers.rest_client.auth import (
    APIKeyAuth,
    AuthConfigBase,
    BearerTokenAuth,
    HttpBasicAuth,
    OAuth2ClientCredentials,
)
from requests.auth import AuthBase

from include.errors import ConfigurationError

KINDS = ("api_key", "bearer", "http_basic", "oauth2_client_credentials", "none")
# What dlt calls the secret and the user of each kind.
_SECRETS = {
    "api_key": ("", "api_key"),
    "bearer": ("", "token"),
    "http_basic": ("username", "password"),
    "oauth2_client_credentials": ("client_id", "client_secret"),
}
_OF_API_KEY = {"name": "api_key_param", "location": "api_key_location"}
_OF_OAUTH2 = (
    *("access_token_url", "access_token_request_data", "default_token_expiration", "token_endpoint_auth_method"),
    "scope",
)


def auth_options(given: Any) -> dict[str, Any]:
    """The options that say what `given` says; a name alone says the kind alone. Raises ConfigurationError (permanent)."""
    if isinstance(given, str):
        if not given.lstrip().startswith("{"):
            return {"auth": _known(given)}
        # As the environment has to write an object.
        with suppress(ValueError):
            given = json.loads(given)
    if isinstance(given, AuthBase):
        given = _config_of(given)
    if isinstance(given, AuthBase) and not isinstance(given, AuthConfigBase):
        raise ConfigurationError(
            f"The option `auth` is an object of the class `{type(given).__name__}`, which dlt's REST source does not take: let the class "
            "extend `AuthConfigBase` of dlt.sources.helpers.rest_client.auth."
        )
    if not isinstance(given, dict | AuthConfigBase):
        raise ConfigurationError("The option `auth` has to be a name or an object of dlt's configuration.")
    if isinstance(given, AuthConfigBase):
        # Somebody's own: what it does is its own.
        return {"auth": given}
    config = {name: value for name, value in given.items() if value is not None}
    # As dlt, where an object has no type.
    kind = _known(config.pop("type", "bearer"))
    return _options(kind, config)


def declared_auth(given: Any) -> dict[str, Any]:
    """As `auth_options`; a name alone means what it means in dlt, whose key is in the header `Authorization`."""
    return auth_options({"type": given} if isinstance(given, str) and given != "none" else given)


def _options(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"auth": kind}
    user, secret = _SECRETS.get(kind, ("", ""))
    for name, option in ((user, "username"), (secret, "api_key")):
        if name in config:
            options[option] = config.pop(name)
    if kind == "api_key":
        options["api_key_param"] = config.pop("name", "Authorization")
        location = config.pop("location", "header")
        options["api_key_location"] = "query" if location == "param" else location
    elif kind == "oauth2_client_credentials":
        options["auth"] = {"type": kind, **{name: config.pop(name) for name in _OF_OAUTH2 if name in config}}
        config.pop("access_token", None)
        # Ours has the retries and the redaction of the API's own session.
        config.pop("session", None)
    if config:
        raise ConfigurationError(
            f"The option `auth` has the fields {', '.join(f'`{name}`' for name in config)}, which the type `{kind}` does not know."
        )
    return options


def _known(kind: Any) -> str:
    if kind not in KINDS:
        raise ConfigurationError(
            f"The option `auth` is `{kind}`, which is none: {', '.join(f'`{one}`' for one in KINDS)}."
        )
    return str(kind)


def _config_of(auth: AuthBase) -> Any:
    """The configuration that would make an object of dlt's own classes; the object itself where it is of another class."""
    match auth:
        case APIKeyAuth() if type(auth) is APIKeyAuth:
            return {"type": "api_key", "name": auth.name, "api_key": auth.api_key, "location": auth.location}
        case BearerTokenAuth() if type(auth) is BearerTokenAuth:
            return {"type": "bearer", "token": auth.token}
        case HttpBasicAuth() if type(auth) is HttpBasicAuth:
            return {"type": "http_basic", "username": auth.username, "password": auth.password}
        case OAuth2ClientCredentials() if type(auth) is OAuth2ClientCredentials:
            return {
                "type": "oauth2_client_credentials",
                "access_token_url": auth.access_token_url,
                "client_id": auth.client_id,
                "client_secret": auth.client_secret,
                "access_token_request_data": auth.access_token_request_data or None,
                "default_token_expiration": auth.default_token_expiration,
            }
    return auth
