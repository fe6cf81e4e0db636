"""What each sync mode means to dlt, and which runs and destinations it fits.

In: the name of a mode. Out: a frozen `SyncMode`: write disposition, keys, whether it takes a window. The README has
the table of all combinations; this module is where it is true.
"""

from dataclasses import dataclass
from typing import Literal

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.schema.typing import TTableSchema, TWriteDispositionConfig

from include.errors import ConfigurationError

SyncModeName = Literal["merge", "replace", "append", "scd2"]

# The columns that `append` adds: which run a row belongs to, and when it came.
RUN_COLUMN = "_run_id"
LOADED_AT_COLUMN = "_loaded_at"


@dataclass(frozen=True)
class SyncMode:
    """One sync mode. `takes_window`: a window makes sense; without, the mode needs the whole collection."""

    name: SyncModeName
    write_disposition: TWriteDispositionConfig
    merge_strategy: str | None
    takes_window: bool

    @property
    def stamps_rows(self) -> bool:
        """Rows carry their run, and a run that is loaded again replaces what it added before."""
        return self.name == "append"


# The paginator hands on each record once: looking for the same again would cost a large load its memory.
_MERGE: TWriteDispositionConfig = {"disposition": "merge", "strategy": "delete-insert", "deduplicated": True}

SYNC_MODES: dict[SyncModeName, SyncMode] = {
    # Not "upsert": it fails when a load holds an id twice.
    "merge": SyncMode("merge", _MERGE, "delete-insert", takes_window=True),
    "replace": SyncMode("replace", "replace", None, takes_window=False),
    # dlt's own append would add the rows of a retried run twice: these are merged, with the run as the key.
    "append": SyncMode("append", _MERGE, "delete-insert", takes_window=True),
    "scd2": SyncMode("scd2", {"disposition": "merge", "strategy": "scd2"}, "scd2", takes_window=False),
}


def refuse_unsupported(
    mode: SyncMode, destination: str, capabilities: DestinationCapabilitiesContext, of_files: tuple[SyncModeName, ...]
) -> None:
    """Raise ConfigurationError (permanent) when the destination cannot do the mode; before any request is sent.

    `of_files` are the modes of a folder or bucket, which depend on what kind of tables it holds.
    """
    if destination == "filesystem":
        able = mode.name in of_files
    else:
        able = not mode.merge_strategy or mode.merge_strategy in (capabilities.supported_merge_strategies or ())
    if not able:
        possible = ", ".join(f"`{name}`" for name in (of_files if destination == "filesystem" else ("replace",)))
        raise ConfigurationError(
            f"The destination `{destination}` cannot do the sync mode `{mode.name}`; it can do {possible}. Choose another "
            "mode, or another destination: the README has the table of both."
        )


def refuse_other_history(mode: SyncMode, table: TTableSchema | None) -> None:
    """Raise ConfigurationError (permanent) when the table was made for another kind of history.

    `table` is the table as the destination knows it; None: there is none yet.
    """
    if table is None or "name" not in table:
        return
    keeps_history = any(column.get("x-valid-to") for column in table["columns"].values())
    if keeps_history == (mode.name == "scd2") or not table["columns"]:
        return
    kept = "keeps history (scd2)" if keeps_history else "keeps no history"
    raise ConfigurationError(
        f"The table `{table['name']}` {kept}, and the sync mode `{mode.name}` would spoil it. Load into it in the mode that "
        "it was made with, or drop the destination's schema to begin anew."
    )


def forget_keys(table: TTableSchema | None) -> None:
    """Take off, in place, the keys that earlier loads left in the table's schema; the source says its own.

    dlt adds up what it has ever been told: an append into a table of a merge would still match rows by their id.
    """
    for column in table["columns"].values() if table else ():
        column.pop("primary_key", None)
        column.pop("merge_key", None)
