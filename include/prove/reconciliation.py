"""Compares a load with what the API promised: every record that was read has to be in the table.

In: what the read saw and the dataset after the load. Out: the number of the table's rows that this load wrote;
or an error that fails the run. `total` is only a stop rule to dlt; here it is a promise.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import dlt
from sqlglot import exp

from include.decide.sync_mode import SyncMode
from include.errors import TransientError
from include.extract.completeness import ReadProgress
from include.load.delta import DeltaDataset

# Keys per statement when missing ones are looked for; far below every destination's limit.
KEYS_PER_QUERY = 500


def reconcile(
    dataset: dlt.Dataset | DeltaDataset,
    table: str,
    key_columns: Sequence[str],
    mode: SyncMode,
    load_ids: list[str],
    progress: ReadProgress,
) -> int:
    """Rows of `table` that carry one of `load_ids`.

    Raises TransientError when records that were read are not there: loading again may mend it, and the run must not
    be green.
    """
    if not load_ids or progress.rows == 0:
        return 0
    of_this_load = exp.column("_dlt_load_id", quoted=True).isin(*load_ids)
    loaded = _count(dataset, table, of_this_load)
    if loaded >= progress.rows:
        return loaded
    # Another run may have written the same records since, under its own load; and history (scd2) leaves a record that
    # did not change under the load that brought it. Rows of a stamped run are nobody else's.
    missing = progress.rows - loaded if mode.stamps_rows else _missing(dataset, table, key_columns, progress)
    if missing:
        raise TransientError(
            f"The load is incomplete: {progress.rows} records were read from the API, {missing} of them are not in the "
            f"table `{table}`. The run fails so that nobody trusts the table; another try loads them again."
        )
    return loaded


def _missing(
    dataset: dlt.Dataset | DeltaDataset, table: str, key_columns: Sequence[str], progress: ReadProgress
) -> int:
    """Records of this load that have no row of their key."""
    missing = 0
    columns = [exp.column(dataset.schema.naming.normalize_path(name), quoted=True) for name in key_columns]
    for batch in _batches(key for key in progress.ids if key not in progress.outside_window):
        keys = exp.select(*columns).distinct().from_(exp.table_(table, quoted=True)).where(_is_one_of(columns, batch))
        missing += len(batch) - _first_number(
            dataset, exp.select(exp.Count(this=exp.Star())).from_(keys.subquery("found"))
        )
    return missing


def _is_one_of(columns: list[exp.Column], keys: list[Any]) -> exp.Condition:
    if len(columns) == 1:
        return columns[0].isin(*keys)
    return exp.or_(*(exp.and_(*(column.eq(part) for column, part in zip(columns, key, strict=True))) for key in keys))


def _count(dataset: dlt.Dataset | DeltaDataset, table: str, rows: exp.Condition) -> int:
    return _first_number(
        dataset, exp.select(exp.Count(this=exp.Star())).from_(exp.table_(table, quoted=True)).where(rows)
    )


def _first_number(dataset: dlt.Dataset | DeltaDataset, query: exp.Select) -> int:
    # sqlglot writes each name and each key as the destination reads them.
    row = dataset(query).fetchone()
    return int(row[0]) if row else 0


def _batches(ids: Iterable[Hashable]) -> Iterator[list[Hashable]]:
    iterator = iter(ids)
    while batch := list(islice(iterator, KEYS_PER_QUERY)):
        yield batch


def loads_of(pipeline: dlt.Pipeline) -> list[str]:
    """The ids of the loads of the last run; none, where there was nothing to load."""
    load_info = pipeline.last_trace.last_load_info if pipeline.last_trace else None
    return list(load_info.loads_ids) if load_info else []
