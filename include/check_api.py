"""`make check` and `bin/check-api`: what the API of a connection is like, and which options to set. Composes two rooms.

In: the id of an Airflow connection, or what the environment says (`SOURCES__<API>__…`). Out: sentences on stdout, and exit code 0
where it was found how to read, else 1 with a sentence as the last line. A secret is printed by none of it.
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any

from include import apis
from include.apis.api import Api
from include.configure.api_connection import api_values
from include.configure.declaration import read_declaration
from include.configure.lookup import look_up
from include.configure.options import SourceOptions
from include.configure.provider import register_connections
from include.configure.resolution import options_of
from include.errors import ConfigurationError, PermanentError
from include.extract.probe.declaration import declaration_of
from include.extract.probe.findings import Findings, as_json
from include.extract.probe.sentences import BEFOREHAND, lines_of
from include.extract.probe.steps import probe
from include.redaction import redact, redact_log_records

SUFFIX = "_api"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="bin/check-api", description=f"Asks an API {BEFOREHAND}: says what to set.")
    parser.add_argument("conn_id", nargs="?", default="datasets_api", help="of type http (default: datasets_api)")
    parser.add_argument("--path", help="the collection, below the address (default: the option `path`)")
    given = parser.parse_args(arguments)
    redact_log_records()
    try:
        api, is_declared = _api(given.conn_id)
        options = _options(api, given.conn_id, given.path)
        _say(f"Asks {redact(str(options.base_url))} {BEFOREHAND}.")
        findings = probe(options)
    except PermanentError as error:
        _say(redact(str(error)))
        return 1
    _say(*lines_of(findings))
    return _conclude(api, given.conn_id, is_declared, findings, options)


def _api(conn_id: str) -> tuple[Api, bool]:
    """The API of the catalogue whose connection that is, else one that has nothing declared; and whether there is one."""
    for module in pkgutil.iter_modules(apis.__path__):
        values = vars(importlib.import_module(f"{apis.__name__}.{module.name}")).values()
        for value in values:
            if isinstance(value, Api) and value.conn_id == conn_id:
                return value, True
    name = conn_id.removesuffix(SUFFIX)
    if not conn_id.endswith(SUFFIX) or not name.isidentifier() or name != name.lower():
        raise ConfigurationError(
            f"The connection to an API is called `<api>{SUFFIX}`, in lower case, as `datasets{SUFFIX}` is; `{conn_id}` is not."
        )

    def config() -> Any:
        return {"resources": [{"name": name, "endpoint": {"path": "/"}}]}

    return Api(name, resources=(name,), config=config), False


def _options(api: Api, conn_id: str, path: str | None) -> SourceOptions:
    """Those of the first resource. How the key is sent may be left open: the probe finds out."""
    register_connections(api, api_values(look_up(conn_id)), None)
    declaration = read_declaration(api)
    name = next(iter(declaration.resources))
    said: dict[str, Any] = {"path": path} if path else {}
    try:
        return options_of(declaration, said, [name])[name]
    except PermanentError:
        # A key that nobody says how to send, or none where one is declared.
        return options_of(declaration, {**said, "auth": "none"}, [name])[name]


def _conclude(api: Api, conn_id: str, is_declared: bool, findings: Findings, options: SourceOptions) -> int:
    if findings.problem or findings.selector is None:
        _say(redact(findings.problem or "Nothing was found."))
        return 1
    if not is_declared:
        _say(f"\nTo declare it, in include/apis/{api.name}.py:\n", declaration_of(api.name, options.path, findings))
    if extra := findings.options if is_declared else findings.beside_the_declaration:
        _say(f"\nTo {'set in' if is_declared else 'add to'} the extra of the connection `{conn_id}`:\n", as_json(extra))
    _say("\nFound how to read it: all of this was seen in these few answers only; a load proves the rest.")
    return 0


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
