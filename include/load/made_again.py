"""What somebody removed by hand (a table, a child table, a column, one of dlt's tables) is made again by the next load.

In: dlt's client of a destination, before which `MadeAgain` stands. Out: the same, except that each load looks at all tables of its
schema. dlt alone makes tables only where it finds that the schema is new (1.31.0, `job_client_impl.py`, `update_stored_schema`):
what is gone would be missed by each merge, for ever.
"""

from collections.abc import Iterable
from typing import Any

from dlt.common.schema.typing import TSchemaTables


class MadeAgain:
    """To be put before a client that stages in a dataset of its own."""

    def update_stored_schema(
        self,
        only_tables: Iterable[str] | None = None,
        expected_update: TSchemaTables | None = None,
        force: bool = False,
    ) -> TSchemaTables | None:
        """Make what is missing of the dataset's tables, whether the schema is known or not."""
        update: Any = super().update_stored_schema  # type: ignore[misc]
        if self.in_staging_dataset_mode:  # type: ignore[attr-defined]
            made: TSchemaTables | None = update(only_tables, expected_update, force)
        else:
            made = update(None, expected_update, True)
        return made
