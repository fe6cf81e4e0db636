"""What a merge changes: rows that are as the table has them stay untouched, records that vanished go, and all are counted.

In: what is staged for a table, all of it, in the merge's transaction, which holds the table. Out: what has to be merged is all that
is staged; the counts of the load. Then dlt's merge does what it does with it.
"""

from collections.abc import Collection

from include.decide.deletes import DeleteRule, too_many_deletes
from include.decide.sync_mode import DELETED_AT_COLUMN, SyncMode
from include.extract.columnar.names import Field
from include.load import sql
from include.load.counts import ChildCounts, RowCounts
from include.load.merged_tables import MergedTables
from include.load.same_values import adopt_unhashed_rows


class Changes:
    """The changes of one merge, before it and after it."""

    def __init__(self, tables: MergedTables, mode: SyncMode, rule: DeleteRule, noise: Collection[Field]) -> None:
        self.tables = tables
        self._mode = mode
        self._rule = rule
        self._noise = noise
        self.counts = RowCounts()
        self.children = {str(child.description["name"]): ChildCounts() for child in tables.children}
        self._child_rows = [tables.count(child.name) for child in tables.children]

    @property
    def rows_with_the_load_id(self) -> int:
        """So many rows of the table the load has written: a row says which load changed it last, and a mark is a change."""
        return self.counts.loaded + (self.counts.deleted if self._rule.deletes == "mark" else 0)

    def find_vanished(self, load_id: str, now: str, older_loads: str) -> None:
        """Take out or mark what the snapshot no longer has. To be called while all that was read is staged.

        `now`: the instant for a mark, as SQL. `older_loads`: as SQL, that a row `t` was there before this load began to read.
        Raises PermanentError where that would be more of the table than the deployment allows.
        """
        if not self._rule.finds_vanished:
            return
        tables, rule = self.tables, self._rule
        gone = f"{tables.is_present} AND {older_loads} AND NOT EXISTS (SELECT 1 FROM {tables.staged} AS s WHERE {tables.same_key})"
        if rule.other_loads:
            gone += f" AND t.{tables.load_id} NOT IN ({', '.join(map(sql.literal, rule.other_loads))})"
        self.counts.deleted = tables.count(f"{tables.name} AS t WHERE {gone}")
        if not self.counts.deleted:
            return
        rows = tables.count(f"{tables.name} AS t WHERE {tables.is_present}")
        if self.counts.deleted > rule.max_share * rows and not rule.any_share:
            raise too_many_deletes(str(tables.description["name"]), self.counts.deleted, rows, rule)
        ids = f"SELECT t.{tables.row_key} FROM {tables.name} AS t WHERE {gone}"
        if rule.deletes == "remove":
            tables.remove(ids)
        else:
            # A row says which load changed it last: whoever reads changes by that finds the mark.
            tables.run_sql(
                f"UPDATE {tables.name} SET {tables.escaped(DELETED_AT_COLUMN)} = {now}, {tables.load_id} = {sql.literal(load_id)} "
                f"WHERE {tables.row_key} IN {tables.selected(ids)}"
            )

    def leave_unchanged(self) -> None:
        """Take out of what is staged what the table has already, and count the rest."""
        staged = self.tables.count(self.tables.staged)
        match self._mode.name:
            case "merge":
                self._leave_same(staged)
            case "append":
                self._leave_what_the_run_has()
            case "scd2":
                self._leave_valid_versions()
            case "replace":
                self._count_replaced(staged)
        self.counts.inserted = staged - self.counts.unchanged - self.counts.updated
        for child, counts in zip(self.tables.children, self.children.values(), strict=True):
            counts.loaded = self.tables.count(child.staged)

    def count_children(self) -> None:
        """To be called after the merge: what has gone from the child tables."""
        for child, counts, before in zip(self.tables.children, self.children.values(), self._child_rows, strict=True):
            counts.deleted = before + counts.loaded - self.tables.count(child.name)

    def _leave_same(self, staged: int) -> None:
        tables = self.tables
        if not tables.is_any(tables.name):
            return
        pair = f"{tables.same_key} AND {tables.is_present} AND {tables.is_alone}"
        adopt_unhashed_rows(tables, pair, self._noise)
        tables.unstage(self._same(pair, "s"))
        left = tables.count(tables.staged)
        self.counts.unchanged = staged - left
        if left:
            self.counts.updated = self._staged_with_key_in_table("1 = 1")

    def _leave_what_the_run_has(self) -> None:
        """A run that is loaded again: what it had added and has no more goes, dlt adds what is new."""
        tables = self.tables
        own = f"{tables.run} = {tables.run_of_staged()}"
        before = tables.count(f"{tables.name} WHERE {own}")
        if not before:
            return
        of_run = f"t.{tables.run} = s.{tables.run}"
        if tables.keys:
            pair = f"{of_run} AND {tables.same_key}"
            adopt_unhashed_rows(tables, pair, self._noise)
            self.counts.updated = self._staged_with_key_in_table(of_run)
        elif tables.has_twins(f"{tables.name} WHERE {own}") or tables.has_twins(tables.staged):
            # Nothing tells them apart: they are loaded anew.
            pair = "1 = 0"
        else:
            pair = of_run
        tables.remove(f"SELECT {tables.row_key} FROM {tables.name} WHERE {own}", but=self._same(pair, "t"))
        kept = tables.count(f"{tables.name} WHERE {own}")
        tables.unstage(self._same(pair, "s"))
        self.counts.unchanged = kept
        self.counts.updated = max(0, self.counts.updated - kept)
        self.counts.deleted = before - kept - self.counts.updated

    def _leave_valid_versions(self) -> None:
        """Versions that hold stay staged, as dlt takes what is not for gone; under the ids that they have."""
        tables = self.tables
        if not tables.is_any(tables.name):
            return
        pair = f"{tables.same_key} AND {tables.is_valid}"
        adopt_unhashed_rows(tables, pair, self._noise)
        same = f"{pair} AND t.{tables.hash} = s.{tables.hash}"
        joined = f"{tables.staged} AS s JOIN {tables.name} AS t ON"
        self.counts.unchanged = tables.count(f"{joined} {same}")
        self.counts.updated = self._staged_with_key_in_table(tables.is_valid) - self.counts.unchanged
        valid = tables.count(f"{tables.name} AS t WHERE {tables.is_valid}")
        self.counts.deleted = valid - self.counts.unchanged - self.counts.updated
        if self.counts.unchanged:
            tables.unstage_children(f"IN {tables.selected(self._same(pair, 's'))}")
            # Those that earlier versions of the project have made.
            tables.update_joined(
                f"{tables.staged} AS s",
                f"{tables.name} AS t",
                f"{tables.row_key} = t.{tables.row_key}",
                f"{same} AND t.{tables.row_key} <> s.{tables.row_key}",
            )

    def _count_replaced(self, staged: int) -> None:
        tables = self.tables
        rows = tables.count(tables.name)
        if rows and staged and tables.keys:
            self.counts.updated = self._staged_with_key_in_table("1 = 1")
        self.counts.deleted = rows - self.counts.updated

    def _staged_with_key_in_table(self, among: str) -> int:
        tables = self.tables
        return tables.count(
            f"{tables.staged} AS s WHERE EXISTS (SELECT 1 FROM {tables.name} AS t WHERE {tables.same_key} AND {among})"
        )

    def _same(self, pair: str, of: str) -> str:
        """A query for the ids of the rows of `of`, `s` or `t`, that have the content of the other one."""
        tables = self.tables
        return (
            f"SELECT {of}.{tables.row_key} FROM {tables.staged} AS s JOIN {tables.name} AS t "
            f"ON {pair} AND t.{tables.hash} = s.{tables.hash}"
        )
