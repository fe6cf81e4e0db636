"""What each sync mode means to dlt. Which destinations can do it is said in `include/load`.

In: the name of a mode. Out: a frozen `SyncMode`: write disposition, keys, whether it takes a window. docs/sync-modes.md has
the table of all combinations; this module is where it is true.
"""

from dataclasses import dataclass

from dlt.common.schema.typing import TWriteDispositionConfig

from include.configure.choices import SyncModeName

# The columns that `append` adds: which run a row belongs to, and when it came.
RUN_COLUMN = "_run_id"
LOADED_AT_COLUMN = "_loaded_at"
# When a record was found to have vanished from the API; null: it is there.
DELETED_AT_COLUMN = "_deleted_at"


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
