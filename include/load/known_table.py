"""The table as earlier loads have left it in dlt's schema.

In: the sync mode, and dlt's description of the table. Out: an error before the first request, where this load would spoil
the table; the description without what would change this load's meaning.
"""

from typing import Any

import dlt
from dlt.common import json
from dlt.common.destination.client import WithStateSync
from dlt.common.schema import Schema
from dlt.common.schema.typing import TTableSchema
from dlt.destinations.job_client_impl import SqlJobClientBase

from include.decide.sync_mode import SyncMode
from include.errors import ConfigurationError
from include.load.stored_schema import forget_our_normalizer


def take_stored_schema(pipeline: dlt.Pipeline, schema_name: str) -> None:
    """Bring the stored schema of this name into `pipeline`, which belongs to dlt alone. Raises what the destination raises."""
    opened: Any = pipeline.destination_client()
    with opened as client:
        forget_our_normalizer(client, schema_name)
    pipeline.sync_destination()
    if pipeline.default_schema_name is None:
        _take_stored_schema(pipeline, schema_name)


def known_table(pipeline: dlt.Pipeline, table: str) -> TTableSchema | None:
    """The table as the destination knows it, without the keys that earlier loads left; None: there is none yet.

    To be asked after `take_stored_schema`.
    """
    known = pipeline.default_schema.tables.get(table) if pipeline.default_schema_name else None
    if known is not None:
        forget_keys(known)
    return known


def is_gone(pipeline: dlt.Pipeline, table: str) -> bool:
    """Whether the table is not there: what earlier loads have put into it, if they did, is to be read again.

    To be asked after `take_stored_schema`. Raises what the destination raises.
    """
    opened: Any = pipeline.destination_client()
    if pipeline.default_schema_name is None or not isinstance(opened, SqlJobClientBase):
        return False
    with opened as client:
        is_there, _ = client.get_storage_table(table)
    return not is_there


def _take_stored_schema(pipeline: dlt.Pipeline, schema_name: str) -> None:
    # dlt takes a schema by its state, which a first load that was killed, or somebody's DROP, has not left: the tables are there.
    opened: Any = pipeline.destination_client()
    if not isinstance(opened, WithStateSync):
        return
    with opened as client:  # type: ignore[attr-defined]  # as all of dlt's clients
        stored = client.get_stored_schema(schema_name)
    if stored is not None:
        pipeline.schemas.save_schema(Schema.from_dict(json.loads(stored.schema)))
        pipeline.default_schema_name = schema_name  # type: ignore[assignment]  # None until a pipeline has one


def check_history(mode: SyncMode, table: TTableSchema) -> None:
    """Raise ConfigurationError (permanent) when the table was made for another kind of history."""
    if "name" not in table:
        return
    keeps_history = any(column.get("x-valid-to") for column in table["columns"].values())
    if keeps_history == (mode.name == "scd2") or not table["columns"]:
        return
    kept = "keeps history (scd2)" if keeps_history else "keeps no history"
    raise ConfigurationError(
        f"The table `{table['name']}` {kept}, and the sync mode `{mode.name}` would spoil it. Load into it in the mode that "
        "it was made with, or drop the destination's schema to begin anew."
    )


def forget_keys(table: TTableSchema) -> None:
    """Take off, in place, the keys that earlier loads left in the table's schema; the source says its own.

    dlt adds up what it has ever been told: an append into a table of a merge would still match rows by their id.
    """
    for column in table["columns"].values():
        column.pop("primary_key", None)
        column.pop("merge_key", None)
