"""How the API wants to be told who asks: each way is tried, in the order of how common it is.

In: the options, with a key or without. Out: the way that was accepted, as options; what each line says holds no secret.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from dlt.sources.rest_api.config_setup import create_auth

from include.configure.options import SourceOptions
from include.extract.auth import auth_of
from include.extract.probe.asking import Asker, Reply

_REFUSED = (401, 403)


@dataclass(frozen=True)
class Accepted:
    """`options`: what to set; None: as it is. `sentence`: what was found. `reply`: the answer; a bad one: no way was accepted."""

    reply: Reply
    sentence: str
    options: dict[str, Any] | None = None


def find_way(asker: Asker, options: SourceOptions) -> Accepted:
    """Ask without the key, then with it in each way until one is accepted; that one is the asker's from then on."""
    reply = asker.ask()
    if reply.status not in _REFUSED:
        # Also where nothing is at that address, or nobody answers.
        return _without_key(options, reply)
    if not (options.api_key or options.username or options.auth_kind == "own"):
        return Accepted(reply, "is asked for, and there is none: put it into the password of the connection")
    for way in _ways(options):
        asker.auth = _auth(asker, options, way)
        reply = asker.ask()
        if reply.status not in _REFUSED and reply.problem is None:
            return Accepted(reply, f"is asked for; accepted {way.sentence}", way.options)
        if reply.status is None:
            break
    asker.auth = None
    return Accepted(reply, "is asked for, and was refused in each way that was tried")


def _without_key(options: SourceOptions, reply: Reply) -> Accepted:
    if not reply.is_good:
        return Accepted(reply, "could not be told: without a key there was no answer with records, and no refusal")
    if not options.api_key:
        return Accepted(reply, "is not asked for", {"auth": "none"})
    sentence = "is not asked for, and was not sent. If the API gives more to those who have one, set the option `auth`"
    return Accepted(reply, sentence, {"auth": "none"})


@dataclass(frozen=True)
class _Way:
    options: dict[str, Any]
    sentence: str
    prefix: str = ""


def _ways(options: SourceOptions) -> Iterator[_Way]:
    declared = options.auth_kind
    if declared == "api_key":
        place = {"query": "query parameter", "header": "header", "cookie": "cookie"}[options.api_key_location]
        yield _Way(_in(options.api_key_location, options.api_key_param), f"as the {place} `{options.api_key_param}`")
    elif declared != "none":
        yield _Way({}, f"by `{declared}`, as the connection or the declaration says")
    if options.username and declared != "http_basic":
        yield _Way({"auth": "http_basic"}, "by `http_basic`, with the login")
    if not options.api_key:
        return
    if " " in options.api_key:
        yield _Way(_in("header", "Authorization"), "as the header `Authorization`")
    if declared != "bearer":
        yield _Way({"auth": "bearer"}, "by `bearer`, as the header `Authorization: Bearer …`")
    yield _Way(_in("header", "X-API-Key"), "as the header `X-API-Key`")
    if (declared, options.api_key_param) != ("api_key", "api_key"):
        yield _Way(_in("query", "api_key"), "as the query parameter `api_key`")
    yield _Way(
        _in("header", "Authorization"),
        "as the header `Authorization: Token …`: let the password of the connection begin with `Token `",
        "Token ",
    )


def _in(location: str, name: str) -> dict[str, Any]:
    return {"auth": "api_key", "api_key_location": location, "api_key_param": name}


def _auth(asker: Asker, options: SourceOptions, way: _Way) -> Any:
    tried = options.copy()
    for name, value in way.options.items():
        setattr(tried, name, value)
    if way.prefix:
        tried.api_key = f"{way.prefix}{options.api_key}"
    # Tokens may come from another host.
    token_host = str(tried.auth_fields.get("access_token_url") or "") or None
    return create_auth(auth_of(tried, partial(asker.open_session, token_host)).get("auth"))
