"""The options of the source, each with its default and its check.

In: values, from wherever they come (`resolution.py`). Out: one `SourceOptions` for each resource.
"""

import functools
import json
import re
from contextlib import suppress
from dataclasses import field
from typing import Any

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.jsonpath import compile_path
from dlt.common.typing import TSecretStrValue
from jsonpath_ng import JSONPath  # type: ignore[import-untyped]
from jsonpath_ng.exceptions import JSONPathError  # type: ignore[import-untyped]

from include.configure.choices import CursorFormat, Deletes, KeyLocation, Nested, SyncModeName
from include.errors import ConfigurationError

# RFC 9110, 5.5: visible characters, in Latin-1, with spaces and tabs only between them.
_HEADER_VALUE = re.compile(r"[!-~\x80-\xff]([ \t!-~\x80-\xff]*[!-~\x80-\xff])?")

# RFC 9110, 5.6.2: a token.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@configspec
class SourceOptions(BaseConfiguration):
    """How to read one API collection. Every field is an option that a user may set; None: not set."""

    base_url: str | None = None
    auth: Any = "api_key"
    """How a request says who asks: a kind, or dlt's configuration of one without its secrets."""
    api_key: TSecretStrValue | None = None
    """The key, token, password or client's secret; required unless `auth` is `none`."""
    username: str | None = None
    """The user or the client's id, where `auth` has one."""
    path: str = "/"
    data_selector: str | None = "data"
    """JSONPath of the list of records; `$`: the body itself is the list; None: dlt finds it in the first answer."""
    paginator: Any = "offset"
    """How the API pages: a kind, or dlt's configuration of one."""
    maximum_offset: int | None = None
    """The largest position that the API gives; a larger collection is read in slices of time."""
    total_path: str | None = "total"
    """JSONPath of the number of records in the collection; not found in a response: there is none."""
    page_size: int = 100
    overlap: bool = True
    """Offset pages overlap by one record, so that what moves between two of them is seen."""
    read_twice: bool = False
    """The collection is read a second time, and loaded only if both found exactly the same records."""
    offset_param: str = "offset"
    limit_param: str | None = "limit"
    """None: the size of a page is not sent."""
    api_key_param: str = "api_key"
    api_key_location: KeyLocation = "query"
    params: dict[str, Any] = field(default_factory=dict)
    """Fixed query parameters, sent with each request."""
    headers: dict[str, Any] = field(default_factory=dict)
    """Fixed headers, sent with each request."""
    primary_key: Any = "id"
    """The field that tells records apart: a name, a dotted path, or a list of them that do so together; None: their content."""
    sync_mode: SyncModeName = "merge"
    """What a run does that asks for no other mode in its form."""
    cursor_path: str | None = None
    """The field that says when a record changed; None: every run is a snapshot."""
    start_param: str | None = None
    end_param: str | None = None
    cursor_format: CursorFormat = "iso8601_z"
    """How `start_param` and `end_param` are written."""
    max_parallel_requests: int = 8
    requests_per_second: float | None = None
    retry_statuses: list[int] = field(default_factory=list)
    """Statuses that HTTP tries again, beside 429, 500, 502, 503 and 504."""
    nested: Nested = "tables"
    lookback_days: float = 0
    ignore_fields: Any = field(default_factory=list)
    """Fields, each a name or a dotted path, that do not make a record changed."""
    deletes: Deletes = "ignore"
    """What becomes of rows whose records a snapshot no longer has."""
    max_delete_share: float = 0.2
    """So much of a table, at most, may go at once."""

    def on_resolved(self) -> None:
        """Refuse values that could only fail later. Permanent."""
        self._check_requests()
        self._check_authentication()
        self._check_records()

    def _check_requests(self) -> None:
        for name in ("page_size", "max_parallel_requests"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"The option `{name}` has to be at least 1; it is {getattr(self, name)}.")
        if not isinstance(self.params, dict):
            raise ConfigurationError("The option `params` has to be an object of names and values.")
        if not all(type(status) is int and 400 <= status <= 599 for status in self.retry_statuses):
            raise ConfigurationError(
                "The option `retry_statuses` has to be a list of statuses from 400 to 599, such as [408, 425]."
            )
        if self.requests_per_second is not None and self.requests_per_second <= 0:
            raise ConfigurationError("The option `requests_per_second` has to be above 0, or not set for no limit.")

    def _check_authentication(self) -> None:
        if self.auth_kind == "oauth2_client_credentials" and not self.auth_fields.get("access_token_url"):
            raise ConfigurationError(
                "The option `auth` has no `access_token_url`, the address that gives the tokens: set it, as in "
                '{"type": "oauth2_client_credentials", "access_token_url": "https://…/token"}.'
            )
        if not isinstance(self.headers, dict):
            raise ConfigurationError("The option `headers` has to be an object of names and values.")
        in_header = self.auth_kind == "bearer" or (self.auth_kind == "api_key" and self.api_key_location == "header")
        in_header = in_header or (self.auth_kind == "api_key" and self.api_key_location == "cookie")
        if in_header and self.api_key is not None and not _HEADER_VALUE.fullmatch(self.api_key):
            # http.client would name the value in its error.
            raise ConfigurationError(
                "The API key cannot be sent in a header: it is empty, has a space or line break at an end, or holds "
                "characters that a header cannot carry. Check the password of the API's connection."
            )
        if self.api_key_location != "query" and not _HEADER_NAME.fullmatch(self.api_key_param):
            raise ConfigurationError(
                "The option `api_key_param` is no name of a header: letters, digits and hyphens, such as `X-Api-Key`."
            )
        if not self.api_key_param or not self.api_key_param.isprintable():
            raise ConfigurationError("The option `api_key_param` is empty, or has line breaks or control characters.")

    @property
    def auth_kind(self) -> str:
        """The kind of `auth`; `own`: an object that somebody has made."""
        if isinstance(self.auth, str):
            return self.auth
        return str(self.auth["type"]) if isinstance(self.auth, dict) else "own"

    @property
    def auth_fields(self) -> dict[str, Any]:
        """What `auth` says beside its kind."""
        return (
            {name: value for name, value in self.auth.items() if name != "type"} if isinstance(self.auth, dict) else {}
        )

    def missing(self) -> list[str]:
        """The required options that nobody has set."""
        missing = [] if self.base_url else ["base_url"]
        match self.auth_kind:
            case "http_basic":
                # Some take the key as the user, without a password.
                missing += [] if self.api_key or self.username else ["username", "api_key"]
            case "oauth2_client_credentials":
                missing += [name for name in ("username", "api_key") if not getattr(self, name)]
            case "api_key" | "bearer":
                missing += ["api_key"] if self.api_key is None else []
        return missing

    @property
    def paginator_kind(self) -> str:
        """The kind of `paginator`; `own`: an object that somebody has made."""
        if isinstance(self.paginator, str):
            return self.paginator
        return str(self.paginator["type"]) if isinstance(self.paginator, dict) else "own"

    @property
    def paginator_fields(self) -> dict[str, Any]:
        """What `paginator` says beside its kind."""
        if not isinstance(self.paginator, dict):
            return {}
        return {name: value for name, value in self.paginator.items() if name != "type"}

    def _check_records(self) -> None:
        if self.lookback_days < 0:
            raise ConfigurationError("The option `lookback_days` has to be 0 or more.")
        if not 0 <= self.max_delete_share <= 1:
            raise ConfigurationError(
                f"The option `max_delete_share` has to be a share of the table's rows, from 0 to 1; it is {self.max_delete_share:g}."
            )
        if ignored_key := next((path for path in self.key_paths if path in self.ignored_paths), None):
            raise ConfigurationError(
                f"The option `ignore_fields` names the key `{ignored_key}`, which tells records apart. Take it off."
            )
        if self.sync_mode in ("merge", "scd2") and not self.key_paths:
            raise ConfigurationError(
                f"The sync mode `{self.sync_mode}` needs the option `primary_key`, the field that tells records apart. Set it, or choose "
                "`replace` or `append`."
            )
        if self.nested == "json" and any("." in path for path in self.key_paths):
            raise ConfigurationError(
                "The option `primary_key` names a field inside a nested object, which is a column of its own only where "
                "the option `nested` is `tables`."
            )
        if (self.start_param or self.end_param) and not self.cursor_path:
            raise ConfigurationError(
                "The options `start_param` and `end_param` need `cursor_path`, the field that they filter on."
            )

    @property
    def ignored_paths(self) -> tuple[str, ...]:
        """The paths of `ignore_fields`. Raises ConfigurationError (permanent)."""
        return _paths("ignore_fields", self.ignore_fields)

    @property
    def key_paths(self) -> tuple[str, ...]:
        """The paths of the fields that tell records apart together; none: their content does.

        Raises ConfigurationError (permanent).
        """
        return _paths("primary_key", self.primary_key)


def _paths(option: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) and given.lstrip().startswith("["):
        # As the environment has to write a list.
        with suppress(ValueError):
            given = json.loads(given)
    if given is None or given == "" or given == []:
        return ()
    paths = [given] if isinstance(given, str) else given
    if not isinstance(paths, list | tuple) or not paths or not all(isinstance(path, str) and path for path in paths):
        raise ConfigurationError(
            f"The option `{option}` has to be the name of a field, a dotted path, or a list of them."
        )
    return tuple(dict.fromkeys(paths))


@functools.cache
def json_path(option: str, path: str) -> JSONPath:
    """`path` compiled, once per process: it takes 20 ms. Raises ConfigurationError (permanent) that names `option`."""
    try:
        return compile_path(path)
    except JSONPathError:
        raise ConfigurationError(f"The option `{option}` is no JSONPath; it is `{path}`.") from None
