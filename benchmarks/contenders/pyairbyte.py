"""airbyte-cdk's declarative source into PyAirbyte's DuckDB cache: URL, DuckDB file, working folder. Offline."""

import sys
from pathlib import Path

import airbyte
import yaml
from airbyte.caches import DuckDBCache

url, database, work = sys.argv[1:]
source = airbyte.get_source(
    "source-datasets",
    config={"base_url": url, "api_key": "key"},
    source_manifest=yaml.safe_load(Path(__file__).with_name("airbyte_manifest.yaml").read_text()),
    streams=["datasets"],
)
cache = DuckDBCache(db_path=database, schema_name="bench", cache_dir=work)
source.read(cache=cache, write_strategy="merge", force_full_refresh=True, skip_validation=True)
