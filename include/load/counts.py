"""What became of the records that were read and of the rows of a table, in numbers.

In: nothing. Out: the counts of a merge, of its child tables, and of a report. Imports nothing, as a parse knows reports.
"""

from dataclasses import dataclass
from typing import TypedDict


@dataclass
class RowCounts:
    """What became of the rows of a table by one load. `deleted` ones are removed, marked or, in history, no longer valid."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0

    @property
    def loaded(self) -> int:
        """Rows that the load has written."""
        return self.inserted + self.updated


@dataclass
class ChildCounts:
    """What became of the rows of a child table by one load: written, and taken out with rows that were updated or deleted."""

    loaded: int = 0
    deleted: int = 0


class Counts(TypedDict, total=False):
    """What became of the records that were read, and of rows of the table. None, or not there: it was not counted."""

    inserted_rows: int | None
    updated_rows: int | None
    unchanged_rows: int | None
    superseded_rows: int | None
    deleted_rows: int | None
