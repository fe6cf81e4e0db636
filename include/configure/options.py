"""The options of the source, resolved by dlt's own configuration injection.

In: a catalogue entry and the run's parameters. Out: one `SourceOptions`. Precedence: run params > connection
extra > environment `SOURCES__DATASETS__<OPTION>` > `[sources.datasets]` in `dags/.dlt/config.toml` > the
catalogue's entry > the defaults below. The connection comes first because its provider is asked first
(`config_provider`); without Airflow (a Python shell) the rest of the chain works the same.
"""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any

from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigValueCannotBeCoercedException
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.configuration.specs.base_configuration import extract_inner_hint
from dlt.common.configuration.utils import deserialize_value
from dlt.common.jsonpath import compile_path
from dlt.common.typing import TSecretStrValue
from jsonpath_ng import JSONPath  # type: ignore[import-untyped]
from jsonpath_ng.exceptions import JSONPathError  # type: ignore[import-untyped]

from include.apis.datasets import Resource
from include.apis.names import API_CONN_ID
from include.configure.choices import Auth, CursorFormat, KeyLocation, Nested, SyncModeName
from include.errors import ConfigurationError

# RFC 9110, 5.5: visible characters, in Latin-1, with spaces and tabs only between them.
_HEADER_VALUE = re.compile(r"[!-~\x80-\xff]([ \t!-~\x80-\xff]*[!-~\x80-\xff])?")

# RFC 9110, 5.6.2: a token.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@configspec
class SourceOptions(BaseConfiguration):
    """How to read one API collection. Every field is an option that a user may set; None: not set."""

    base_url: str = None  # type: ignore[assignment]  # required: dlt's way to say so
    auth: Auth = "api_key"
    api_key: TSecretStrValue | None = None
    """The key or the token; required unless `auth` is `none`."""
    path: str = "/"
    data_selector: str = "data"
    """JSONPath of the list of records; `$`: the body itself is the list."""
    total_path: str | None = "total"
    """JSONPath of the number of records in the collection; not found in a response: there is none."""
    page_size: int = 100
    overlap: bool = True
    """Offset pages overlap by one record, so that what moves between two of them is seen."""
    offset_param: str = "offset"
    limit_param: str = "limit"
    api_key_param: str = "api_key"
    api_key_location: KeyLocation = "query"
    params: dict[str, Any] = field(default_factory=dict)
    """Fixed query parameters, sent with each request."""
    primary_key: Any = "id"
    """The field that tells records apart: a name, a dotted path, or a list of them that do so together."""
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
        in_header = self.auth == "bearer" or (self.auth == "api_key" and self.api_key_location == "header")
        if in_header and self.api_key is not None and not _HEADER_VALUE.fullmatch(self.api_key):
            # http.client would name the value in its error.
            raise ConfigurationError(
                "The API key cannot be sent in a header: it is empty, has a space or line break at an end, or holds "
                "characters that a header cannot carry. Check the password of the API's connection."
            )
        if self.api_key_location == "header" and not _HEADER_NAME.fullmatch(self.api_key_param):
            raise ConfigurationError(
                "The option `api_key_param` is no name of a header: letters, digits and hyphens, such as `X-Api-Key`."
            )
        if not self.api_key_param or not self.api_key_param.isprintable():
            raise ConfigurationError("The option `api_key_param` is empty, or has line breaks or control characters.")

    def _check_records(self) -> None:
        if self.lookback_days < 0:
            raise ConfigurationError("The option `lookback_days` has to be 0 or more.")
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
    def key_paths(self) -> tuple[str, ...]:
        """The paths of the fields that tell records apart together. Raises ConfigurationError (permanent)."""
        given = self.primary_key
        if isinstance(given, str) and given.lstrip().startswith("["):
            # As the environment has to write a list.
            with suppress(ValueError):
                given = json.loads(given)
        paths = [given] if isinstance(given, str) else given
        if (
            not isinstance(paths, list | tuple)
            or not paths
            or not all(isinstance(path, str) and path for path in paths)
        ):
            raise ConfigurationError(
                "The option `primary_key` has to be the name of a field, a dotted path, or a list of them."
            )
        return tuple(dict.fromkeys(paths))


@functools.cache
def json_path(option: str, path: str) -> JSONPath:
    """`path` compiled, once per process: it takes 20 ms. Raises ConfigurationError (permanent) that names `option`."""
    try:
        return compile_path(path)
    except JSONPathError:
        raise ConfigurationError(f"The option `{option}` is no JSONPath; it is `{path}`.") from None


def _as_written(name: str, value: object) -> Any:
    """A run parameter as the type of its option: dlt takes explicit values as they are, whatever they are."""
    hint = SourceOptions.get_resolvable_fields().get(name)
    if hint is None:
        raise ConfigurationError(f"There is no option `{name}`; see the README's table of options.")
    return None if value is None else deserialize_value(name, value, extract_inner_hint(hint, preserve_literal=True))


def resolve_options(resource: Resource, run_params: Mapping[str, object] | None = None) -> SourceOptions:
    """The options of `resource`; `run_params` win over every other place.

    Raises ConfigurationError (permanent) that names what is missing or cannot be read, never a value.
    """
    section = ("sources", resource.name)
    catalogue: dict[str, Any] = dict(resource.options)
    options = SourceOptions(**catalogue)
    # dlt takes sections off from the right, down to none, where the option `path` is the shell's PATH. A
    # configuration's own section stays: `sources.datasets.path`, then `datasets.path`, and no further.
    options.__section__ = resource.name  # type: ignore[misc]
    try:
        explicit = {name: _as_written(name, value) for name, value in (run_params or {}).items()}
        resolved = resolve_configuration(options, sections=("sources",), explicit_value=explicit or None)
    except ConfigFieldMissingException as error:
        raise _missing(section, error.traces) from None
    except ConfigValueCannotBeCoercedException as error:
        raise ConfigurationError(
            f"The option `{error.field_name}` of the source `{resource.name}` cannot be read as "
            f"{getattr(error.hint, '__name__', error.hint)}; see the README's table of options."
        ) from None
    if resolved.auth != "none" and resolved.api_key is None:
        raise _missing(section, ["api_key"])
    return resolved


def _missing(section: tuple[str, ...], names: Iterable[str]) -> ConfigurationError:
    return ConfigurationError(
        f"The source `{section[-1]}` has no {', '.join(f'`{name}`' for name in names)}: set the Airflow connection "
        f"`{API_CONN_ID}`, or, without Airflow, {', '.join('__'.join((*section, name)).upper() for name in names)}."
    )
