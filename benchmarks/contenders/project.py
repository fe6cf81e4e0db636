"""This project as a plain pipeline: destination (a DuckDB file or a PostgreSQL URL). The source's options: environment."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dlt

from include.apis.datasets import DATASETS
from include.configure.options import resolve_options
from include.extract.completeness import ReadProgress
from include.extract.source import api_source
from include.load.staging import own_staging

# As in `include.load.destination`, which knows Airflow's connections: importing Airflow takes seconds.
FILE_FORMAT = "parquet"

(destination,) = sys.argv[1:]
held: Any = nullcontext()
if destination.startswith("postgresql://"):
    from include.load.destinations.postgres import side_by_side_postgres

    target = side_by_side_postgres(destination)
else:
    from include.load.destinations.duckdb import kept_open, lean_duckdb

    # Not as a text, for which dlt imports SQLAlchemy: under Airflow that has been imported already.
    target = lean_duckdb({"database": destination})
    held = kept_open(Path(destination))
progress = ReadProgress()
source = api_source(DATASETS, resolve_options(DATASETS), progress=progress)
source.resources["datasets"].apply_hints(file_format=FILE_FORMAT)
pipeline = dlt.pipeline("datasets", destination=target, dataset_name="bench")
with held, own_staging(pipeline):
    pipeline.run(source)
print(progress.pages, progress.rows)
