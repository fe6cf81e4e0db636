"""How a request says who asks, in the words of dlt's REST API configuration.

In: the options. Out: what the client's configuration has under `auth`. Nothing is sent here.
"""

from collections.abc import Mapping
from typing import Any

from include.configure.options import SourceOptions


def auth_of(options: SourceOptions) -> Mapping[str, Any]:
    """The part `auth` of dlt's client configuration; empty where the API asks for no key."""
    match options.auth:
        case "none":
            return {}
        case "bearer":
            return {"auth": {"type": "bearer", "token": options.api_key}}
    return {
        "auth": {
            "type": "api_key",
            "name": options.api_key_param,
            "api_key": options.api_key,
            "location": options.api_key_location,
        }
    }
