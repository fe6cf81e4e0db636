"""This project as a plain pipeline: destination (a DuckDB file or a PostgreSQL URL). The source's options: environment."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dlt

from include.apis.datasets import DATASETS
from include.configure.resolution import resolve_options
from include.extract.completeness import ReadProgress
from include.extract.read import ResourceRead
from include.extract.source import source_of
from include.load.kinds import kinds
from include.load.staging import staging

(destination,) = sys.argv[1:]
held: Any = nullcontext()
if destination.startswith("postgresql://"):
    from include.load.destinations.postgres.client import side_by_side_postgres

    kind = kinds()["postgres"]
    target = side_by_side_postgres(destination)
else:
    from include.load.destinations.duckdb.client import kept_open, lean_duckdb

    kind = kinds()["duckdb"]
    # Not as a text, for which dlt imports SQLAlchemy: under Airflow that has been imported already.
    target = lean_duckdb({"database": destination})
    held = kept_open(Path(destination))
progress = ReadProgress()
source = source_of(DATASETS, ResourceRead(resolve_options(DATASETS), progress=progress))
source.resources["datasets"].apply_hints(file_format=kind.file_format)
pipeline = dlt.pipeline("datasets", destination=target, dataset_name="bench")
with held, staging(pipeline, kind):
    pipeline.run(source)
print(progress.pages, progress.rows)
