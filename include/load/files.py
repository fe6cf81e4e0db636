"""What a folder and a bucket have in common: Parquet files, or a Delta table.

In: the values of the connection. Out: which sync modes there are, and the hints that make a Delta table. Nothing is staged
there, so that nothing is left over.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.configure.connections import ConnectionFields
from include.load.kind import DestinationKind, DestinationValues, Values, extras

if TYPE_CHECKING:
    import dlt
    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.schema.typing import TTableSchema

    from include.configure.choices import SyncModeName
    from include.decide.sync_mode import SyncMode
    from include.load.delta import DeltaDataset

# What dlt can do with plain files.
MODES: tuple["SyncModeName", ...] = ("replace",)
DELTA_MODES: tuple["SyncModeName", ...] = ("merge", "replace", "append")
DELTA_REQUIREMENT = ("deltalake", "requirements-destinations/delta.txt")

OPTIONS = extras("layout", "table_format") + extras(
    *("kwargs", "client_kwargs", "config_kwargs", "deltalake_storage_options", "deltalake_configuration"),
    typed=True,
)


class FilesKind(DestinationKind):
    """Files of tables; what plain ones are not asked, `include/load/delta.py` answers for Delta tables."""

    destination_type = "filesystem"
    replace_strategy = None
    file_format = "parquet"

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """Refuse table formats other than Delta."""
        if options.get("table_format", "delta") != "delta":
            raise given.error("extra.table_format", "must be `delta`; leave it out for plain Parquet files")

    def requirements(self, values: DestinationValues) -> tuple[tuple[str, str], ...]:
        """What the files need, and Delta tables."""
        return (self.requirement, DELTA_REQUIREMENT) if values.table_format else (self.requirement,)

    def modes(
        self, values: DestinationValues, capabilities: "DestinationCapabilitiesContext"
    ) -> tuple["SyncModeName", ...]:
        """Those of the format."""
        return DELTA_MODES if values.table_format else MODES

    def check_nested(self, values: DestinationValues, nested: str) -> None:
        """Delta tables have no child tables."""
        from include.load.delta import check_child_tables

        check_child_tables(values.table_format, nested)

    def check_table(self, values: DestinationValues, mode: "SyncMode", table: "TTableSchema") -> None:
        """A table keeps its format."""
        from include.load.delta import check_format

        check_format(table, values.table_format, mode)

    def hints(
        self, values: DestinationValues, mode: "SyncMode", key_columns: Sequence[str], run_name: str
    ) -> dict[str, Any]:
        """Those of a Delta table, and the file format."""
        from include.load.delta import table_hints

        return table_hints(values.table_format, mode, key_columns, run_name) | super().hints(
            values, mode, key_columns, run_name
        )

    def dataset(self, values: DestinationValues, pipeline: "dlt.Pipeline", table: str) -> "dlt.Dataset | DeltaDataset":
        """A Delta table is asked for itself."""
        from include.load.delta import DeltaDataset

        return DeltaDataset(pipeline, table) if values.table_format else super().dataset(values, pipeline, table)
