"""Compares a load with what the API promised: every record that was read has to be in the table.

In: what the read saw and the dataset after the load. Out: the number of the table's rows that this load wrote;
or an error that fails the run. `total` is only a stop rule to dlt (facts.md 19); here it is a promise.
"""

from collections.abc import Hashable, Iterable, Iterator
from itertools import islice

import dlt

from include.errors import TransientError
from include.pagination import ReadProgress

# Keys per statement when missing ones are looked for; far below every destination's limit.
KEYS_PER_QUERY = 500


def reconcile(
    dataset: dlt.Dataset, table: str, primary_key: str, load_ids: list[str], expected: int, progress: ReadProgress
) -> int:
    """Rows of `table` that carry one of `load_ids`.

    `expected` is the number of distinct records handed to the load: fewer than were read when a window left some
    out. Raises TransientError when rows are missing: loading again may mend it, and the run must not be green.
    """
    if not load_ids or expected == 0:
        return 0
    ids = ", ".join(f"'{load_id}'" for load_id in load_ids)
    loaded = int(dataset(f"SELECT COUNT(*) FROM {table} WHERE _dlt_load_id IN ({ids})").fetchone()[0])
    if loaded >= expected:
        return loaded
    # Another run may have written the same records since, and marked them with its own load.
    missing = _missing(dataset, table, primary_key, progress.ids) if expected == len(progress.ids) else expected - loaded
    if missing:
        raise TransientError(
            f"The load is incomplete: {expected} records were read from the API, {missing} of them are not in the table "
            f"`{table}`. The run fails so that nobody trusts the table; another try loads them again."
        )
    return loaded


def _missing(dataset: dlt.Dataset, table: str, primary_key: str, ids: Iterable[Hashable]) -> int:
    missing = 0
    for batch in _batches(ids):
        keys = ", ".join(_literal(key) for key in batch)
        query = f"SELECT COUNT(DISTINCT {primary_key}) FROM {table} WHERE {primary_key} IN ({keys})"
        missing += len(batch) - int(dataset(query).fetchone()[0])
    return missing


def _batches(ids: Iterable[Hashable]) -> Iterator[list[Hashable]]:
    iterator = iter(ids)
    while batch := list(islice(iterator, KEYS_PER_QUERY)):
        yield batch


def _literal(key: Hashable) -> str:
    return str(key) if isinstance(key, int | float) else "'" + str(key).replace("'", "''") + "'"
