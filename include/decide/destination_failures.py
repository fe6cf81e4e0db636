"""What a database's own error means: the table of PostgreSQL, DuckDB, MariaDB, MySQL and SQLite, and of the disk.

In: one cause of a failure. Out: what failed and what to do, naming the connection; None: the table does not know it, and
dlt's own class decides. No driver is imported: an error of it is here only where it is. Codes: PostgreSQL's manual, appendix A
(SQLSTATE); MariaDB's and MySQL's "Error Reference"; where a driver gives no code, as before a connection is there, the text.
"""

import errno
import re
from collections.abc import Iterable
from typing import NamedTuple

from include.decide.known_failure import Known

_IN_CONNECTION = "of the connection `{destination}`"


class _Rule(NamedTuple):
    """`sign` is looked for in the code, a space, and the text."""

    sign: str
    known: Known


_UNKNOWN_HOST = Known(
    "The host name of the destination is not known",
    False,
    f"Check the host {_IN_CONNECTION}, and whether this machine has a name server that knows it.",
)
_REFUSED_LOGIN = Known(
    "The destination refuses the login",
    True,
    f"Check login and password {_IN_CONNECTION}, and from where that user may come.",
)
_NO_DATABASE = Known(
    "The database of the destination does not exist",
    True,
    f"Check the database (`schema`) {_IN_CONNECTION}, or make it.",
)
_NO_RIGHT = Known(
    "The user of the destination lacks a right",
    True,
    f"Grant it to the login {_IN_CONNECTION}: it makes schemas and tables, and writes into them.",
)
_FULL = Known(
    "The disk of the destination is full",
    False,
    f"Make room on the server {_IN_CONNECTION}; nothing of this run was loaded.",
)
_DOWN = Known(
    "The destination cannot be reached",
    False,
    f"Check host and port {_IN_CONNECTION}, and whether the server is up and takes connections.",
)
_BUSY = Known(
    "Another transaction stood in the way of this load",
    False,
    f"The next try may pass; if it goes on, look for what else writes at the host {_IN_CONNECTION}.",
)
_READ_ONLY = Known(
    "The destination may only be read", True, f"Name a server that takes writes as host {_IN_CONNECTION}."
)
_TOO_LARGE = Known(
    "A row or a table has more or larger columns than the destination can hold",
    True,
    "Set the option `nested` to `json`, so that nested values stay in one column each, or ask the API for fewer fields "
    f"(`params`), or choose another destination: the host {_IN_CONNECTION} has that limit.",
)

_POSTGRES = (
    _Rule("could not translate host name", _UNKNOWN_HOST),
    _Rule(
        r"^28|authentication failed|no pg_hba\.conf entry|no password supplied|role .* does not exist", _REFUSED_LOGIN
    ),
    _Rule(r"^3D000|database .* does not exist", _NO_DATABASE),
    _Rule(r"^42501|permission denied for", _NO_RIGHT),
    _Rule(r"^53100|No space left on device", _FULL),
    _Rule(r"^25006", _READ_ONLY),
    # Such as 8,160 bytes for a row: 1,020 numbers. psycopg2 counts it among what may pass.
    _Rule(r"^54", _TOO_LARGE),
    _Rule(r"^40001|^40P01|^55P03|^57014", _BUSY),
    # Too many connections; it shuts down or starts.
    _Rule(r"^08|^53300|^57P", _DOWN),
)
_MARIADB = (
    _Rule(r"^2003 .*(Name or service not known|name resolution|nodename nor servname)", _UNKNOWN_HOST),
    _Rule("^(1045|1698) ", _REFUSED_LOGIN),
    _Rule("^1049 ", _NO_DATABASE),
    _Rule("^(1044|1142|1143|1227) ", _NO_RIGHT),
    _Rule("^(1021|1114) ", _FULL),
    _Rule("^(1290|1792|1836) ", _READ_ONLY),
    _Rule("^(1117|1118) ", _TOO_LARGE),
    _Rule("^(1205|1213) ", _BUSY),
    _Rule("^(1040|1053|2002|2003|2006|2013) ", _DOWN),
)
_OF_FILE = "the connection `{destination}`, or DATASETS_DUCKDB_PATH where there is no such connection"
_LOCKED = Known(
    "The database file of the destination is open in another program",
    False,
    f"Close it there (a shell, a notebook, another Airflow), or name another file in {_OF_FILE}.",
)
_NO_FILE = Known(
    "The database file of the destination cannot be opened",
    True,
    f"Give the user that runs tasks the right to write the file and its folder, or name another one in {_OF_FILE}.",
)
_DUCKDB = (
    _Rule("Could not set lock on file|used by another process", _LOCKED),
    _Rule("No space left on device|not enough space|disk quota exceeded", _FULL),
    _Rule(
        "not a valid DuckDB database file|different version",
        Known("The file of the destination is no database of this DuckDB", True, f"Name another file in {_OF_FILE}."),
    ),
    _Rule("Cannot open file|Permission denied|read-only", _NO_FILE),
)
_SQLITE = (
    _Rule("database is locked", _LOCKED),
    _Rule("disk is full", _FULL),
    _Rule("unable to open database file|readonly database", _NO_FILE),
)


def destination_failure(cause: BaseException) -> Known | None:
    """Of the drivers' errors."""
    match type(cause).__module__.partition(".")[0]:
        case "psycopg2":
            code = getattr(cause, "pgcode", None)
            # libpq knows no codes before it is connected, nor when the connection breaks.
            is_link = code is None and type(cause).__name__ in ("OperationalError", "InterfaceError")
            return _by_rules(_POSTGRES, f"{code or ''} {cause}") or (_DOWN if is_link else None)
        case "pymysql" | "MySQLdb":
            return _by_rules(_MARIADB, " ".join(map(str, cause.args)))
        case "duckdb" | "_duckdb":
            return _by_rules(_DUCKDB, str(cause))
        case "sqlite3":
            return _by_rules(_SQLITE, str(cause))
    return None


def operating_system_failure(cause: BaseException) -> Known | None:
    """Of the disk and the network of this machine, where no library has said more."""
    if not isinstance(cause, OSError):
        return None
    if cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return Known(
            "A disk of this machine is full", False, "Make room there, for the temporary files and the destination."
        )
    if isinstance(cause, PermissionError) or cause.errno == errno.EROFS:
        return Known(
            "A file or folder of this machine may not be written",
            True,
            f"Give the user that runs tasks the right to write it, or name another one in {_OF_FILE}.",
        )
    if isinstance(cause, FileNotFoundError | NotADirectoryError):
        # May be gone for now: a disk that is not mounted.
        advice = f"Make its folder and give the user that runs tasks the right to write there, or name another one in {_OF_FILE}."
        return Known("A file or folder of this machine is not there and cannot be made", False, advice)
    if isinstance(cause, ConnectionError | TimeoutError):
        return Known("A connection broke", False, "Check the connections `{api}` and `{destination}`.")
    return None


def _by_rules(rules: Iterable[_Rule], text: str) -> Known | None:
    return next((rule.known for rule in rules if re.search(rule.sign, text, re.S)), None)
