"""The destination of this run: from the connection, or the embedded DuckDB file.

In: the connection and the run's own name. Out: an `OpenDestination`, which answers what a load asks on its way. It stages
in a place of this run alone (`include/load/staging.py`): concurrent runs that share dlt's staging tables lose rows silently.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.destination import Destination
from dlt.common.schema.typing import TTableSchema

from include.configure.connections import AirflowConnection
from include.decide.sync_mode import SyncMode
from include.errors import ConfigurationError
from include.load.destinations import duckdb
from include.load.kind import DestinationKind, DestinationValues
from include.load.kinds import kind_of
from include.load.known_table import check_history
from include.load.left_over import place_of
from include.load.proof import LoadProof, ProvenDestination

if TYPE_CHECKING:
    from include.load.delta import DeltaDataset


@dataclass(frozen=True)
class OpenDestination:
    """Where this run loads into: its kind, the values of dlt's configuration, and dlt's destination."""

    kind: DestinationKind
    values: DestinationValues
    dlt_destination: Destination[Any, Any]

    def check_mode(self, mode: SyncMode) -> None:
        """Raise ConfigurationError (permanent) when the destination cannot do the mode."""
        able = self.kind.modes(self.values, self.dlt_destination.capabilities())
        if mode.name not in able:
            possible = ", ".join(f"`{name}`" for name in able)
            raise ConfigurationError(
                f"The destination `{self.dlt_destination.destination_name}` cannot do the sync mode `{mode.name}`; it can do {possible}. "
                "Choose another mode, or another destination: docs/destinations.md has the table of both."
            )

    def check_nested(self, nested: str) -> None:
        """Raise ConfigurationError (permanent) when nested values cannot be kept as the option `nested` says."""
        self.kind.check_nested(self.values, nested)

    def check_table(self, mode: SyncMode, table: TTableSchema | None) -> None:
        """Raise ConfigurationError (permanent) when a load of `mode` would spoil the table.

        `table` is the table as the destination knows it; None: there is none yet.
        """
        if table is not None:
            check_history(mode, table)
            self.kind.check_table(self.values, mode, table)

    def lock(self, dataset_name: str) -> AbstractContextManager[object]:
        """The lock between runs that load into `dataset_name`; waits for the run that holds it.

        PostgreSQL takes any number of runs at once. For warehouses nothing here can make runs wait: docs/side-by-side.md says to
        give them one writer.
        """
        return self.kind.lock(self.values, dataset_name)

    def kept_open(self) -> AbstractContextManager[object]:
        """What stays open from the lock to the end of the load."""
        return self.kind.kept_open(self.values)

    def prove(self, proofs: Iterable[LoadProof]) -> None:
        """Have the load prove this before its commit, where the destination has transactions that ours can look into."""
        if isinstance(self.dlt_destination, ProvenDestination):
            self.dlt_destination.proofs = {proof.table: proof for proof in proofs}

    def hints(self, mode: SyncMode, key_columns: Sequence[str], run_name: str) -> dict[str, Any]:
        """Hints for dlt's resource that the destination needs, in place of those of the mode."""
        return self.kind.hints(self.values, mode, key_columns, run_name)

    def dataset(self, pipeline: dlt.Pipeline, table: str) -> "dlt.Dataset | DeltaDataset":
        """What to ask in SQL what `table` has after the load."""
        return self.kind.dataset(self.values, pipeline, table)


def open_destination(connection: AirflowConnection | None, run_name: str) -> OpenDestination:
    """The destination of the connection, staging under the name of this run; credentials resolve when it connects.

    None: the embedded DuckDB file. Raises ConfigurationError (permanent) when a field of the connection is missing or
    wrong, or what the destination needs is not installed.
    """
    kind: DestinationKind
    if connection is None:
        embedded = duckdb.Kind()
        kind, values = embedded, embedded.embedded()
    else:
        kind = kind_of(connection)
        values = kind.values_of(connection)
    if missing := kind.missing_requirement(values):
        raise ConfigurationError(missing)
    # The same name at each try: what a killed try left in the staging tables is used again, then removed.
    run = hashlib.sha256(run_name.encode()).hexdigest()[:12]
    settings: dict[str, Any] = {"staging_dataset_name_layout": place_of(run)}
    if kind.replace_strategy:
        settings["replace_strategy"] = kind.replace_strategy
    return OpenDestination(kind, values, kind.open(**settings))
