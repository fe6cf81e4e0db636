"""What dlt's stored schemas say to whoever opens a warehouse with dlt alone.

In: a client of the destination. Out: the newest stored schema of a name, changed where it has to be. dlt reads the
newest row of `_dlt_version` of a name, or of all names where it is told none (1.31.0, `job_client_impl.py`,
`get_stored_schema`; `dataset/dataset.py`). New rows are dated just after those that they replace: what another run has
stored meanwhile stays the newest.
"""

import base64
import zlib
from datetime import datetime, timedelta
from typing import Any

from dlt.common import json
from dlt.common.destination.client import JobClientBase, StorageSchemaInfo, WithStateSync
from dlt.common.schema import Schema
from dlt.common.schema.utils import bump_version_if_modified

# What versions up to 7782162 stored: a module of this project, which nobody else can import.
_OUR_NORMALIZER = "include.lossless_normalizer"
_NORMALIZER_OF_DLT = "dlt.common.normalizers.json.relational"
_JUST_AFTER = timedelta(microseconds=1)


def forget_our_normalizer(client: JobClientBase, schema_name: str) -> None:
    """Have the stored schema of this name use dlt's own normalizer. To be called before dlt reads that schema.

    Raises what the destination raises.
    """
    stored = _newest(client, schema_name)
    if stored is None:
        return
    schema = json.loads(stored.schema)
    normalizer = schema["normalizers"]["json"]
    if normalizer["module"] != _OUR_NORMALIZER:
        return
    normalizer["module"] = _NORMALIZER_OF_DLT
    version, version_hash, _, _ = bump_version_if_modified(schema)
    info = stored._replace(version=version, version_hash=version_hash, schema=json.dumps(schema))
    _store(client, info, stored.inserted_at + _JUST_AFTER)


def keep_on_top(client: JobClientBase, schema_name: str) -> None:
    """Have the stored schema of this name be the newest of all, which dlt opens where it is told none.

    Raises what the destination raises.
    """
    newest, own = _newest(client, None), _newest(client, schema_name)
    if newest and own and newest.schema_name != schema_name:
        _store(client, own, newest.inserted_at + _JUST_AFTER)


def _newest(client: JobClientBase, schema_name: str | None) -> StorageSchemaInfo | None:
    if not isinstance(client, WithStateSync):
        return None
    # None is no name: as in dlt, whose types leave it out.
    return client.get_stored_schema(schema_name)  # type: ignore[arg-type]


def _store(client: Any, info: StorageSchemaInfo, inserted_at: datetime) -> None:
    columns: str | None = getattr(client, "version_table_schema_columns", None)
    if columns is None:
        # A folder or bucket, and what goes through SQLAlchemy; all have one writer. dlt has no public way that writes the schema alone.
        client._update_schema_in_storage(Schema.from_dict(json.loads(info.schema)))  # noqa: SLF001  # as said above
        return
    # Not `update_stored_schema`: it compares all tables, and PostgreSQL's reads the stored schema first.
    table = client.sql_client.make_qualified_table_name(client.schema.version_table_name)
    client.sql_client.execute_sql(
        f"INSERT INTO {table}({columns}) VALUES (%s, %s, %s, %s, %s, %s)",
        info.version,
        info.engine_version,
        inserted_at,
        info.schema_name,
        info.version_hash,
        _as_stored(info.schema, client.capabilities.max_text_data_type_length),
    )


def _as_stored(schema: str, longest: int) -> str:
    # As dlt does where a text has little room.
    written = schema.encode()
    return schema if len(written) <= longest else base64.b64encode(zlib.compress(written, level=9)).decode("ascii")
