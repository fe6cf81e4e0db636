"""What killed runs left behind of their staging, and whose it is.

In: dlt's open client of a run, and how its kind of destination finds and drops a place. Out: this run's own place, with
our mark in it; the places of dead runs are gone. A place is a schema, a database or a file. Only what this project can have
named (`<dataset>_staging_` and 12 hex digits) and has marked is dropped: others have names of that kind, too.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

# The table that says so. What is called so in a warehouse names the project, as nothing else would.
MARK = "_staged_by_datasets_airflow"


def place_of(run_digest: str) -> str:
    """dlt's `staging_dataset_name_layout` for a run with this digest of 12 hex digits; `%s` is the dataset."""
    return f"%s_staging_{run_digest}"


@contextmanager
def place_of_its_own(
    client: Any, marked: Callable[[Any, str], Iterable[str]], drop: Callable[[Any, str], None]
) -> Iterator[None]:
    """For kinds with a lock, whose holder is alone: every other place is a dead run's.

    `marked` lists places that hold a table, by dlt's SQL client and the table's name; `drop` drops one.
    """
    mark(client)
    sweep(client, lambda: marked(client.sql_client, MARK), lambda name: drop(client.sql_client, name))
    yield


def mark(client: Any, say_more: Callable[[str], None] = lambda _: None) -> None:
    """Make this run's place, with the mark in it. `say_more` is called with the mark's name, in the same transaction."""
    with client.with_staging_dataset(), client.maybe_ddl_transaction():
        if not client.is_storage_initialized():
            client.sql_client.create_dataset()
        table = client.sql_client.make_qualified_table_name(MARK)
        client.sql_client.execute_sql(f"CREATE TABLE IF NOT EXISTS {table} (since TIMESTAMP)")
        say_more(table)


def sweep(client: Any, marked: Callable[[], Iterable[str]], drop: Callable[[str], None]) -> None:
    """Drop the marked places of dead runs of the client's dataset. What may not be dropped is a log line."""
    own = client.sql_client.staging_dataset_name
    ours = re.compile(re.escape(f"{client.sql_client.dataset_name}_staging_") + "[0-9a-f]{12}")
    try:
        found = [name for name in marked() if ours.fullmatch(name) and name != own]
    except Exception as error:
        log.warning("What killed runs staged could not be looked for (%s); it is of no more use.", _line(error))
        return
    for name in found:
        try:
            drop(name)
        except Exception as error:
            log.warning(
                "A killed run has left `%s`, and this run may not drop it (%s). It is of no more use: drop it as its owner.",
                name,
                _line(error),
            )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
