"""One resource of a declaration as dlt's REST source takes it: endpoint, hints, and the step that makes tables of its records.

In: what is declared, what is to be read, the stream that brings it. Out: dlt's configuration of a resource; `ColumnarBatches`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import new_table
from dlt.extract import DltResource
from dlt.extract.utils import ensure_table_schema_columns

from include.configure.declaration import DeclaredResource
from include.configure.options import SourceOptions, json_path
from include.decide.sync_mode import LOADED_AT_COLUMN, RUN_COLUMN, SyncMode
from include.extract.columnar.batches import ColumnarBatches
from include.extract.columnar.names import name_of_dlt
from include.extract.failures import raise_failure
from include.extract.given import in_pages
from include.extract.incremental import for_window
from include.extract.read import ResourceRead
from include.extract.stream import Stream
from include.extract.window_filter import window_params

# One level of nesting is the record itself: its objects and lists then stay JSON.
NESTING_OF_JSON = 0
# What is done here and not by dlt.
OURS = ("processing_steps", "selected", "parallelized")


def ignored_by(declared: DeclaredResource) -> list[Any]:
    """The actions that ignore an answer: it is the end then, which dlt would not tell its paginator."""
    actions = declared.endpoint.get("response_actions") or ()
    return [action for action in actions if isinstance(action, Mapping) and action.get("action") == "ignore"]


def resource_of(conn_id: str, declared: DeclaredResource, read: ResourceRead, stream: Stream, schema: Schema) -> Any:
    """The resource as dlt's REST source takes it."""
    key = key_columns(read.options, schema)
    if isinstance(declared.given, DltResource):
        return in_pages(declared.given, **given_hints(declared, read, key))
    given = {name: value for name, value in declared.given.items() if name not in (*OURS, "endpoint")}
    return {
        **given,
        **_table_hints(declared, read, key),
        # All children wait for their answers at once.
        **({"parallelized": True} if declared.parent else {}),
        "endpoint": _endpoint(conn_id, declared, read, stream),
    }


def given_hints(declared: DeclaredResource, read: ResourceRead, key: list[str]) -> dict[str, Any]:
    """What dlt is told of the table of a resource that somebody has made."""
    return {"table_name": table_of(declared), **_table_hints(declared, read, key)}


def _table_hints(declared: DeclaredResource, read: ResourceRead, key: list[str]) -> dict[str, Any]:
    return {
        "primary_key": [] if read.mode.stamps_rows else key,
        "write_disposition": read.mode.write_disposition,
        "columns": {**_declared_columns(declared), **_columns(key, read.mode)},
        "max_table_nesting": _nesting(declared, read.options),
    }


def _nesting(declared: DeclaredResource, options: SourceOptions) -> int | None:
    # Without a limit dlt's own nesting is endless, as ours.
    return NESTING_OF_JSON if options.nested == "json" else declared.merged.get("max_table_nesting")


def _endpoint(conn_id: str, declared: DeclaredResource, read: ResourceRead, stream: Stream) -> dict[str, Any]:
    options, given = read.options, dict(declared.given.get("endpoint") or {})  # type: ignore[union-attr]
    merged = declared.endpoint
    # As declared where nobody says another path: dlt has put parameters into the merged one.
    is_as_declared = options.path == merged["path"]
    declared_params = (given if is_as_declared else merged).get("params") or {}
    params = {**declared_params, **options.params, **window_params(options, read.window)}
    incremental = declared.incremental
    if incremental is not None:
        said = for_window(incremental, read.window, options.cursor_format)
        if "parameter" in incremental:
            params[incremental["parameter"]] = "{incremental.start_value}"
        given["incremental"] = said
    actions = [action for action in merged.get("response_actions") or () if action not in ignored_by(declared)]
    endpoint = {
        **given,
        **({} if is_as_declared else {"path": options.path}),
        "params": params,
        "paginator": stream.paginator,
        "response_actions": [
            *actions,
            partial(raise_failure, transient_statuses=options.retry_statuses, conn_id=conn_id),
        ],
    }
    if options.data_selector:
        # Compiled: dlt would compile a text anew for each page.
        endpoint["data_selector"] = json_path("data_selector", options.data_selector)
    # Who asks is in the client's, filled in; or in this one, where it is another.
    endpoint.pop("auth", None)
    return endpoint


def batches_of(declared: DeclaredResource, read: ResourceRead, stream: Stream, schema: Schema, run_id: str) -> Any:
    """The step that makes Arrow tables of records."""
    options, mode = read.options, read.mode
    progress = read.progress
    table = table_of(declared)
    if columns := _declared_columns(declared):
        # Before the first batch looks what is known of the table.
        schema.update_table(new_table(schema.naming.normalize_table_identifier(table), columns=list(columns.values())))
    return ColumnarBatches(
        table,
        _nesting(declared, options),
        stream.is_over,
        hashed_rows=mode.name == "scd2",
        keys=fields(options.key_paths),
        noise=fields(options.ignored_paths),
        stamps={RUN_COLUMN: run_id, LOADED_AT_COLUMN: datetime.now(UTC)} if mode.stamps_rows else None,
        empty_counts=read.window is None
        and (mode.name == "scd2" or (mode.name == "merge" and options.deletes != "ignore")),
        note=lambda name, value: progress.notes.update({name: value}),
    )


def table_of(declared: DeclaredResource) -> str:
    """The table of a resource, as the declaration calls it."""
    return str(declared.merged.get("table_name") or declared.name)


def fields(paths: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Dotted paths as the JSON keys that lead to the fields."""
    return tuple(tuple(path.split(".")) for path in paths)


def key_columns(options: SourceOptions, schema: Schema) -> list[str]:
    """The columns of the key, under the names that dlt gives them: under another one it would warn of two columns."""
    return [name_of_dlt(schema.naming, path) for path in fields(options.key_paths)]


def _declared_columns(declared: DeclaredResource) -> dict[str, TColumnSchema]:
    columns = declared.merged.get("columns")
    return dict(ensure_table_schema_columns(columns)) if columns else {}


def _columns(key: list[str], mode: SyncMode) -> dict[str, TColumnSchema]:
    # Said in each mode: a key that an earlier load in another mode left in the table's schema would still count.
    columns: list[TColumnSchema] = [
        {"name": column, "primary_key": not mode.stamps_rows, "nullable": mode.stamps_rows} for column in key
    ]
    if mode.stamps_rows:
        # Nullable: the table may hold rows of other modes, and a column that may not be null cannot be added to it.
        columns.append({"name": RUN_COLUMN, "data_type": "text", "merge_key": True, "nullable": True})
    return {str(column["name"]): column for column in columns}
