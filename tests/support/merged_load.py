"""Loads of records that a test makes up, as the task loads them and without Airflow, into any destination that merges.

In: a kind of destination and a place there, then records, load after load. Out: what became of them, and what SQL finds.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
from dlt.common.schema import Schema
from dlt.extract import DltSource

from include.decide.deletes import NOTHING_VANISHES, DeleteRule
from include.decide.sync_mode import SYNC_MODES
from include.extract.columnar.batches import ColumnarBatches
from include.extract.columnar.names import Field
from include.extract.completeness import ReadProgress
from include.extract.key_set import KeySet
from include.load.destination import OpenDestination
from include.load.kind import DestinationValues
from include.load.kinds import kinds
from include.load.known_table import known_table, take_stored_schema
from include.load.proof import LoadProof
from include.load.staging import staging
from tests.support import mariadb

Record = dict[str, Any]

_numbers = itertools.count()


@contextmanager
def place(kind: str, folder: Path, postgres_url: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Credentials, and the name of a dataset that is not there before and after."""
    name = f"changes_{next(_numbers)}"
    match kind:
        case "mysql":
            with mariadb.database() as made:
                yield (
                    {"drivername": "mysql+pymysql", "username": "root", "host": "127.0.0.1", "database": "test"},
                    made.name,
                )
        case "postgres":
            server = urlsplit(postgres_url)
            yield (
                {
                    "host": server.hostname,
                    "port": server.port or 5432,
                    "username": server.username,
                    "password": server.password or "",
                    "database": server.path.lstrip("/"),
                },
                name,
            )
        case "sqlite":
            yield {"drivername": "sqlite", "database": str(folder / f"{name}_file.db")}, name
        case _:
            yield {"database": str(folder / f"{name}_file.duckdb")}, name


class MergedTable:
    """The table `datasets` of one dataset. `keys`: the fields that tell records apart."""

    def __init__(self, kind: str, credentials: dict[str, Any], dataset: str, folder: Path) -> None:
        self.kind = kinds()[kind]
        values = DestinationValues(self.kind.destination_type, credentials, {}, ())
        opened = self.kind.open(
            credentials=values.credentials,
            staging_dataset_name_layout="%s_staging_x",
            replace_strategy="insert-from-staging",
        )
        self.destination = OpenDestination(self.kind, values, opened)
        self.pipeline = dlt.pipeline(
            f"datasets_{next(_numbers)}",
            destination=opened,
            dataset_name=dataset,
            pipelines_dir=str(folder / "pipelines"),
        )

    def load(
        self,
        records: Sequence[Record],
        mode: str = "merge",
        *,
        run: str = "run",
        noise: Sequence[Field] = (),
        rule: DeleteRule = NOTHING_VANISHES,
        cursor_path: str | None = None,
        nesting: int | None = None,
    ) -> LoadProof:
        """Load these records. Raises what the load raises."""
        take_stored_schema(self.pipeline, "datasets")
        sync_mode = SYNC_MODES[mode]  # type: ignore[index]
        known_table(self.pipeline, "datasets")
        progress = ReadProgress(ids=KeySet(record["id"] for record in records))
        proof = LoadProof(
            "datasets", sync_mode, "source", cursor_path, progress, keys=("id",), noise=tuple(noise), rule=rule
        )
        is_last = False

        @dlt.resource(name="datasets", write_disposition=sync_mode.write_disposition, max_table_nesting=nesting)
        def datasets() -> Iterator[list[Record]]:
            nonlocal is_last
            is_last = True
            yield list(records)

        stamps = {"_run_id": run} if sync_mode.stamps_rows else None
        batches = ColumnarBatches(
            *("datasets", nesting, lambda: is_last),
            hashed_rows=mode == "scd2",
            keys=[("id",)],
            noise=noise,
            stamps=stamps,
            empty_counts=mode == "scd2" or rule.finds_vanished,
        )
        resource = datasets.add_step(batches)
        hints = self.destination.hints(sync_mode, ["id"], run)
        columns = {**hints.pop("columns", {}), "id": {"data_type": "bigint", "primary_key": not sync_mode.stamps_rows}}
        if rule.deletes == "mark":
            columns["_deleted_at"] = {"data_type": "timestamp", "nullable": True}
        resource.apply_hints(primary_key=[] if sync_mode.stamps_rows else ["id"], columns=columns, **hints)
        source = DltSource(Schema("datasets"), "datasets", [resource])
        source.root_key = True
        self.destination.prove([proof])
        with self.destination.kept_open(), staging(self.pipeline, self.kind):
            self.pipeline.run(source)
        return proof

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows. `{name}` stands for a table's qualified name."""
        with self.pipeline.sql_client() as client:
            names = {name: client.make_qualified_table_name(name) for name in self.pipeline.default_schema.tables}
            return [tuple(row) for row in client.execute_sql(sql.format(**names)) or ()]

    def drop(self) -> None:
        """Take the dataset away."""
        with self.pipeline.sql_client() as client:
            if client.has_dataset():
                client.drop_dataset()
        self.pipeline.drop()
