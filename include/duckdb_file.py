"""A DuckDB file that stays open while it is loaded.

In: the file. Out: a context. DuckDB writes what it still holds in memory into the file when the last connection of the
process closes, and dlt closes its connection after each job: a load of 100,000 records with child tables did that
three times, for a quarter of its time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


@contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Hold one connection to `path`; the process's other connections share its database.

    Raises duckdb.IOException when another process has the file open (transient).
    """
    with duckdb.connect(str(path)):
        yield
