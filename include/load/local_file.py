"""Destinations that are a file or folder of this machine: where it is, and one writer at a time.

In: a path as a connection has it. Out: an absolute path; a lock beside it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock

from include.configure.connections import ConnectionFields
from include.load.kind import Field, Values
from include.load.waiting import waiting_for

DATABASE_FILE = Field("database", ("host", "schema"), "the path of the database file")


def check_database_file(given: ConnectionFields, credentials: Values) -> None:
    """Raise ConfigurationError (permanent) unless `DATABASE_FILE` names one file."""
    # A URI with three slashes, as SQLAlchemy writes it, arrives with its path as schema.
    if given.get("host") and given.get("schema"):
        raise given.error("schema", "must be empty: the whole path of the database file belongs into `host`")
    if credentials["database"] == ":memory:":
        raise given.error("host", "must be a file: a database in memory is gone when the task ends")


def absolute(path: object) -> Path:
    """`path` as everybody on this machine would find it."""
    return Path(str(path)).expanduser().absolute()


def lock_beside(path: Path) -> AbstractContextManager[object]:
    """The lock of the file or folder; whoever holds it is the only writer. Waits without end."""
    # Beside the database, not on it: DuckDB locks its own file. The operating system frees it after a crash.
    return _waited_for(FileLock(f"{path}.lock"))


@contextmanager
def _waited_for(lock: FileLock) -> Iterator[None]:
    with waiting_for(f"the lock `{lock.lock_file}`"):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
