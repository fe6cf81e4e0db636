"""Compares a load with what the API promised: every record that was read has to be in the table, and no other of that load.

In: what the load has proven before its commit (`include/load/proof.py`); where the destination has no transaction, the dataset
after the load. Out: the number of the table's rows that this load wrote; or an error that fails the run.
"""

from datetime import datetime

import dlt
from dlt.common.schema.utils import get_validity_column_names
from sqlglot import exp

from include.errors import TransientError
from include.load.delta import DeltaDataset
from include.load.proof import LoadProof


def reconcile(proof: LoadProof, dataset: dlt.Dataset | DeltaDataset, load_ids: list[str]) -> int:
    """Rows of the table that carry one of `load_ids`.

    Raises TransientError when they are not as many as the records that were read: loading again may mend it, and the run
    must not be green. The data is loaded then: a destination that undoes it has raised before.
    """
    if proof.loaded_rows is not None:
        return proof.loaded_rows
    if not load_ids or proof.read.rows == 0:
        return 0
    loaded = _count(dataset, proof.table, exp.column("_dlt_load_id", quoted=True).isin(*load_ids))
    found = loaded
    if proof.mode.name == "scd2":
        # Records that did not change stay under the load that brought them.
        _, until = get_validity_column_names(dataset.schema.tables[proof.table])
        found = _count(dataset, proof.table, exp.column(str(until), quoted=True).is_(exp.null()))
    if found != proof.read.rows:
        raise TransientError(
            f"{proof.difference('are in', found, proof.read.rows)} This destination has no transaction that would undo it: what was "
            "loaded is in the table. The run fails so that nobody trusts it; another try loads again."
        )
    return loaded


def _count(dataset: dlt.Dataset | DeltaDataset, table: str, rows: exp.Condition) -> int:
    query = exp.select(exp.Count(this=exp.Star())).from_(exp.table_(table, quoted=True)).where(rows)
    # sqlglot writes each name and each value as the destination reads them.
    row = dataset(query).fetchone()
    return int(row[0]) if row else 0


def read_until(pipeline: dlt.Pipeline) -> datetime | None:
    """When the last run had read everything; None: it has read nothing."""
    steps = pipeline.last_trace.steps if pipeline.last_trace else ()
    return next((step.finished_at for step in steps if step.step == "extract"), None)


def loads_of(pipeline: dlt.Pipeline) -> list[str]:
    """The ids of the loads of the last run; none, where there was nothing to load."""
    load_info = pipeline.last_trace.last_load_info if pipeline.last_trace else None
    return list(load_info.loads_ids) if load_info else []
