"""The proof that a load is in its table: as many rows are staged as were read, and what is staged is what the table then has.

In: what the read saw, and dlt's open client. Out: the rows of the load; or an error. Where the destination has transactions it is
asked in that of the merge, so that the error undoes it: `ProvenStatementsJob`, by a factory that is a `ProvenDestination`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from dlt.common.data_writers.escape import format_datetime_literal as generic_literal
from dlt.common.destination.client import JobClientBase
from dlt.common.destination.reference import DestinationReference
from dlt.common.schema import Schema
from dlt.destinations.job_client_impl import SqlLoadJob

from include.decide.deletes import NOTHING_VANISHES, DeleteRule
from include.decide.sync_mode import SyncMode
from include.errors import TransientError
from include.extract.columnar.names import Field
from include.extract.completeness import ReadProgress
from include.load import sql
from include.load.changes import Changes
from include.load.counts import Counts, RowCounts
from include.load.merged_tables import MergedTables


@dataclass
class LoadProof:
    """What one load has to prove of one table. Made before the read, which fills in `read`; the merge fills in the rest."""

    table: str
    mode: SyncMode
    source: str
    """Where the records come from (`extract.source.name_of_source`)."""
    cursor_path: str | None
    read: ReadProgress
    keys: tuple[str, ...] = ()
    """The columns that tell records apart; none: their content does."""
    noise: tuple[Field, ...] = ()
    """Fields that do not make a record another."""
    rule: DeleteRule = NOTHING_VANISHES
    """What becomes of rows whose records have vanished."""
    superseded_rows: int = 0
    """Records that the table had in a newer version: they were not merged."""
    loaded_rows: int | None = None
    """Rows of the table that carry the load's id; None: nothing has been proven before the commit."""

    counts: RowCounts | None = None
    """What became of the rows; None: this destination has no transaction that tells."""
    superseded_by: str | None = None
    """The load that has merged a newer snapshot: nothing of this one was merged."""
    _changes: Changes | None = None

    @property
    def _rule(self) -> DeleteRule:
        """Only a read that is proven whole tells which records are gone."""
        return NOTHING_VANISHES if "not_proven" in self.read.notes else self.rule

    @property
    def report_counts(self) -> Counts:
        """The counts of the report, by its columns; None: not counted."""
        counts = RowCounts() if self.counts is None and self.read.rows == 0 else self.counts
        if counts is None:
            return {"superseded_rows": self.superseded_rows}
        return {
            "inserted_rows": counts.inserted,
            "updated_rows": counts.updated,
            "unchanged_rows": counts.unchanged,
            "superseded_rows": self.superseded_rows,
            "deleted_rows": counts.deleted,
        }

    @property
    def notes(self) -> dict[str, Any]:
        """What the load's report has to say of it, by name."""
        notes: dict[str, Any] = {"superseded_by": self.superseded_by}
        if self.superseded_by is None:
            notes["superseded_rows"] = self.superseded_rows
        if self._rule != self.rule:
            notes["deletes_left_out"] = self.read.notes["not_proven"]
        return {name: value for name, value in notes.items() if value}

    @property
    def child_rows(self) -> dict[str, dict[str, int]]:
        """By child table, how many of its rows the load has written and deleted, where it has."""
        children = self._changes.children if self._changes else {}
        return {name: vars(counts) for name, counts in children.items() if any(vars(counts).values())}

    def supersede(self, load_id: str) -> None:
        """Nothing was merged, because of what this load has merged."""
        self.superseded_by, self.loaded_rows, self.superseded_rows = load_id, 0, self.read.rows
        self.counts, self._changes = RowCounts(), None

    def begin(self, client: Any, schema: Schema) -> Changes:
        """The changes that dlt's merge is about to make, on the connection of its SQL `client`, in its transaction.

        Raises TransientError where not all that was read is staged.
        """
        # A retry within dlt's load has not proven anything yet.
        self.loaded_rows, self.superseded_rows = None, 0
        tables = MergedTables(client, schema, self.table, self.keys)
        self._compare("were staged for", tables.count(tables.staged), self.read.rows)
        self._changes = Changes(tables, self.mode, self._rule, self.noise)
        self.counts = self._changes.counts
        return self._changes

    def check(self, load_id: str) -> None:
        """Compare, in the merge's transaction, after the merge and before its commit.

        Raises TransientError where the counts differ: the merge is undone, and another try reads and stages anew.
        """
        assert self._changes
        tables, counts = self._changes.tables, self._changes.counts
        of_load = f"t.{tables.load_id} = {sql.literal(load_id)}"
        marked = self._changes.rows_with_the_load_id - counts.loaded
        left = counts.unchanged + self.superseded_rows
        self._compare("are in", tables.count(f"{tables.name} AS t WHERE {of_load}") - marked + left, self.read.rows)
        self._compare("are accounted for in", counts.loaded + left, self.read.rows)
        if self.mode.name == "scd2":
            self._check_versions(tables)
        if tables.children:
            # Where the table has nothing but this load, all child rows are of it.
            self._check_children(tables, of_load, is_whole=tables.count(tables.name) == counts.loaded)
        self._changes.count_children()
        self.loaded_rows = counts.loaded

    def _check_versions(self, tables: MergedTables) -> None:
        valid, version = f"{tables.name} AS t WHERE {tables.is_valid}", tables.row_key
        self._compare("are valid in", tables.count(valid), self.read.rows)
        staged = f"t.{version} IN (SELECT {version} FROM {tables.staged})"
        self._compare("are valid in", tables.count(f"{valid} AND {staged}"), self.read.rows)

    def _check_children(self, tables: MergedTables, of_load: str, is_whole: bool) -> None:
        # The load has marked rows, and not their children.
        written = f"SELECT t.{tables.row_key} FROM {tables.name} AS t WHERE {of_load} AND {tables.is_present}"
        for child in tables.children:
            found, expected = tables.count(child.name) if is_whole else None, tables.count(child.staged)
            if found != expected:
                # Child rows without a record, which somebody's DROP has left, are of no load.
                found = tables.count(f"{child.name} WHERE {child.root_key} IN ({written})")
            if found != expected:
                raise TransientError(
                    f"The load is not whole: {expected} rows were staged for the child table `{child.description['name']}`, and it has "
                    f"{found} of them. Nothing of this run was loaded; another try reads and stages again."
                )

    def _compare(self, where: str, found: int, rows: int) -> None:
        if found != rows:
            raise TransientError(
                f"{self.difference(where, found, rows)} Nothing of this run was loaded; another try reads again."
            )

    def difference(self, where: str, found: int, rows: int) -> str:
        """What differs, as a sentence. `where`: what is said of the rows that were counted, before the table's name."""
        if found < rows:
            return (
                f"The load is incomplete: {rows} records were read from the API, {rows - found} of them are missing among those "
                f"that {where} the table `{self.table}`."
            )
        return f"The load is not exact: {rows} records were read from the API, and {found} rows {where} the table `{self.table}`."


class ProvenStatementsJob(SqlLoadJob):
    """The merge or the replacement, of which nothing stays unless the table then has what was read."""

    @contextmanager
    def maybe_transaction(self, sql: str) -> Iterator[None]:
        """dlt's transaction around the statements: what they will change before them, the proof behind."""
        with super().maybe_transaction(sql):
            if proof := self.proof:
                with self.names_of_the_dataset() as client:
                    self.before_the_merge(client, proof)
            yield
            if proof:
                with self.names_of_the_dataset() as client:
                    self.after_the_merge(client, proof)

    def before_the_merge(self, client: Any, proof: LoadProof) -> None:
        """What vanished is taken out; what is staged and already there is not merged."""
        changes = proof.begin(client, self._schema)
        changes.find_vanished(self._load_id, self._now(client), self.older_loads(client))
        self.drop_superseded(client, proof)
        changes.leave_unchanged()

    def after_the_merge(self, client: Any, proof: LoadProof) -> None:
        """The proof."""
        proof.check(self._load_id)

    def drop_superseded(self, client: Any, proof: LoadProof) -> None:
        """Take out of what is staged what is older than the table's row. Here: nothing, as runs follow each other."""

    def older_loads(self, client: Any) -> str:
        """As SQL, that a row `t` was there before this load began to read. Here: all were, as runs follow each other."""
        return "1 = 1"

    def _now(self, client: Any) -> str:
        write = client.capabilities.format_datetime_literal or generic_literal
        no_zone = not client.capabilities.supports_tz_aware_datetime
        return str(write(datetime.now(UTC), client.capabilities.timestamp_precision, no_tz=no_zone))

    @contextmanager
    def names_of_the_dataset(self) -> Iterator[Any]:
        """dlt's SQL client, which names the dataset's tables meanwhile: dlt runs this job while it names those of the staging."""
        client, config = self._job_client.sql_client, self._job_client.config
        with client.with_alternative_dataset_name(config.normalize_dataset_name(self._schema)):
            yield client

    @property
    def proof(self) -> LoadProof | None:
        """What is to be proven of this job's table; None: nobody has asked."""
        proofs: Mapping[str, LoadProof] = getattr(self._job_client, "proofs", {})
        return proofs.get(str(self._load_table["name"]))


class ProvenDestination:
    """Stands before dlt's factory of a destination whose clients make `ProvenStatementsJob`s."""

    proofs: Mapping[str, LoadProof] = MappingProxyType({})
    """What loads by this destination have to prove, by table."""

    @property
    def destination_type(self) -> str:
        """That of dlt's factory: it is stored with the pipeline's state, and a warehouse names nothing of this project."""
        of_dlt = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("dlt.destinations."))
        return DestinationReference.normalize_type(f"{of_dlt.__module__}.{of_dlt.__qualname__}")

    def client(self, schema: Schema, initial_config: Any = None) -> Any:
        """dlt's client, which has the proofs."""
        client: JobClientBase = super().client(schema, initial_config)  # type: ignore[misc]
        client.proofs = self.proofs  # type: ignore[attr-defined]
        return client
