"""One API, or a part of it, as a dlt source: declaration, options and windows -> `rest_api_source`.

In: a declaration, and what is to be read of each resource. Out: a `DltSource` that runs anywhere dlt runs, also in a Python shell:
`dlt.pipeline("datasets", destination="duckdb").run(source_of(DATASETS, ResourceRead(resolve_options(DATASETS))))`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema
from dlt.common.schema.utils import new_table
from dlt.extract import DltResource, DltSource
from dlt.extract.utils import ensure_table_schema_columns
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source

from include.apis.api import Api
from include.configure.declaration import Declaration, DeclaredResource, read_declaration
from include.configure.options import SourceOptions, json_path
from include.decide.sync_mode import LOADED_AT_COLUMN, RUN_COLUMN, SyncMode
from include.extract.answer import AnswerReader
from include.extract.auth import auth_of
from include.extract.columnar.batches import ColumnarBatches
from include.extract.columnar.names import name_of_dlt
from include.extract.completeness import ReadProgress, WholeRead
from include.extract.failures import raise_failure
from include.extract.family import Family
from include.extract.given import in_pages
from include.extract.incremental import for_window
from include.extract.paginators.kinds import paginator_of
from include.extract.paginators.proven import ReadParts, Siblings
from include.extract.processing import processing_of
from include.extract.read import ResourceRead
from include.extract.read_hook import ReadHook
from include.extract.session import ApiSession, open_session
from include.extract.stream import ChildStream, GivenStream, RootStream, Stream
from include.extract.window_filter import window_params
from include.redaction import behind_prefix, register, register_values

# One level of nesting is the record itself: its objects and lists then stay JSON.
NESTING_OF_JSON = 0
# Where the total of most APIs is, and where it is looked for unless somebody says otherwise.
USUAL_TOTAL_PATH = SourceOptions().total_path


def api_source(declaration: Declaration, reads: Mapping[str, ResourceRead], run_id: str = "") -> DltSource:
    """The source of the API's name with the resources of `reads`, and the parents that they need. Sends nothing before it is extracted.

    `run_id` is what a mode that stamps rows stamps them with. The progress of each read is filled while the source is extracted.
    Extraction raises what `session.ApiAdapter.send`, `answer.AnswerReader`, `completeness.WholeRead` and `parse_cursor` raise,
    wrapped by dlt. A collection that moved (`CollectionMoved`) is read again by running the same source again:
    `completeness.PASSES`.
    """
    first = next(iter(reads.values())).options
    for name, read in reads.items():
        _register_secrets(name, read.options)
    session = open_session(
        first.max_parallel_requests,
        first.requests_per_second,
        retry_statuses=first.retry_statuses,
        api_key=first.api_key,
        base_url=first.base_url,
        other_hosts=declaration.api.other_hosts,
    )
    schema = Schema(declaration.api.name)
    streams: dict[str, Stream] = {}
    resources: list[Any] = []
    for name, read in reads.items():
        declared = declaration.resources[name]
        parent = streams[declared.parent] if declared.parent else None
        streams[name] = _stream_of(declared, read, parent, session)
        resources.append(_resource(declaration.api.conn_id, declared, read, streams[name], schema))
    config: RESTAPIConfig = {
        "client": {**_client(declaration, first), "session": session},  # type: ignore[typeddict-item]
        "resource_defaults": declaration.config.get("resource_defaults") or {},
        "resources": resources,
    }
    source = rest_api_source(
        config,
        name=declaration.api.name,
        section=declaration.api.name,
        # Child rows know their root row in every mode, so that a table can change from one mode to another.
        root_key=True,
        schema=schema,
    )
    family = Family(source)
    defaults = {
        name: hint for name, hint in (declaration.config.get("resource_defaults") or {}).items() if name != "endpoint"
    }
    for resource, (name, read) in zip(resources, reads.items(), strict=True):
        declared = declaration.resources[name]
        family.add(
            name,
            streams[name],
            _batches(declared, read, streams[name], schema, run_id),
            {**defaults, **resource}
            if isinstance(resource, dict)
            else _given_hints(declared, read, key_columns(read.options, schema)),
            [child for child in reads if declaration.resources[child].parent == name],
            read.is_loaded,
        )
    return family.source()


def source_of(api: Api, read: ResourceRead, run_id: str = "") -> DltSource:
    """As `api_source`, of the only resource of `api`: for a Python shell."""
    declaration = read_declaration(api)
    (name,) = declaration.resources
    return api_source(declaration, {name: read}, run_id)


def _register_secrets(name: str, options: SourceOptions) -> None:
    if options.api_key:
        register(options.api_key)
        register(behind_prefix(options.api_key))
    # Some write parameters behind the path.
    of_path = parse_qs(options.path.partition("?")[2])
    register_values([options.params, of_path, options.headers], but=(name, options.cursor_path, *options.key_paths))


def name_of_source(options: SourceOptions) -> str:
    """Where the records come from: address and path, and a digest of the fixed parameters, whose values may be secrets."""
    address, _, query = f"{options.base_url}/{options.path.lstrip('/')}".partition("?")
    params = json.dumps(options.params, sort_keys=True, default=str) if options.params else ""
    if not params and not query:
        return address
    params += query
    return f"{address} ({hashlib.sha256(params.encode()).hexdigest()[:12]})"


def _client(declaration: Declaration, options: SourceOptions) -> dict[str, Any]:
    declared = declaration.config.get("client") or {}
    return {
        "base_url": options.base_url,
        "headers": {**(declared.get("headers") or {}), **options.headers},
        **auth_of(options),
    }


def _stream_of(declared: DeclaredResource, read: ResourceRead, parent: Stream | None, session: ApiSession) -> Stream:
    """The records of one resource on their way, with the paginator that brings them."""
    process = processing_of(declared.name, declared.merged.get("processing_steps") or ())
    if isinstance(declared.given, DltResource):
        return GivenStream(declared, read, process)
    parts = partial(_parts, session, options=read.options, ignored=_ignored(declared))
    if parent is None:
        whole = WholeRead(read.progress, read.options.total_path)
        return RootStream(declared, read, paginator_of(read.options, parts(whole)), process)
    return ChildStream(declared, read, parent, parts, process)


def _ignored(declared: DeclaredResource) -> list[Any]:
    """The actions that ignore an answer: it is the end then, which dlt would not tell its paginator."""
    actions = declared.endpoint.get("response_actions") or ()
    return [action for action in actions if isinstance(action, Mapping) and action.get("action") == "ignore"]


def _parts(
    session: ApiSession,
    whole: WholeRead,
    siblings: Siblings | None = None,
    *,
    options: SourceOptions,
    ignored: Sequence[Mapping[str, Any]] = (),
) -> ReadParts:
    is_one = options.paginator_kind in ("single_page", "auto")
    return ReadParts(
        whole,
        AnswerReader(options.data_selector, options.total_path, options.key_paths, is_one),
        options.path,
        total_is_set=options.total_path not in (None, USUAL_TOTAL_PATH),
        siblings=siblings,
        ignored=ignored,
        fetch_ahead=session.fetch_ahead,
        on_end=partial(_end_read, session),
    )


def _end_read(session: ApiSession, hook: ReadHook, read: WholeRead) -> None:
    session.end_read(hook)
    if session.own_key.replaced_values:
        read.progress.notes["values_with_the_key_replaced"] = session.own_key.replaced_values


def _resource(conn_id: str, declared: DeclaredResource, read: ResourceRead, stream: Stream, schema: Schema) -> Any:
    """The resource as dlt's REST source takes it."""
    options, mode = read.options, read.mode
    key = key_columns(options, schema)
    if isinstance(declared.given, DltResource):
        return in_pages(declared.given, **_given_hints(declared, read, key))
    given = {
        name: value
        for name, value in declared.given.items()
        if name not in ("processing_steps", "endpoint", "selected")
    }
    return {
        **given,
        "primary_key": [] if mode.stamps_rows else key,
        "write_disposition": mode.write_disposition,
        "columns": {**_declared_columns(declared), **_columns(key, mode)},
        # Without a limit dlt's own nesting is endless, as ours.
        "max_table_nesting": NESTING_OF_JSON if options.nested == "json" else declared.merged.get("max_table_nesting"),
        # All children wait for their answers at once.
        **({"parallelized": True} if declared.parent else {}),
        "endpoint": _endpoint(conn_id, declared, read, stream),
    }


def _given_hints(declared: DeclaredResource, read: ResourceRead, key: list[str]) -> dict[str, Any]:
    """What dlt is told of the table of a resource that somebody has made."""
    return {
        "table_name": table_of(declared),
        "primary_key": [] if read.mode.stamps_rows else key,
        "write_disposition": read.mode.write_disposition,
        "columns": {**_declared_columns(declared), **_columns(key, read.mode)},
        "max_table_nesting": NESTING_OF_JSON
        if read.options.nested == "json"
        else declared.merged.get("max_table_nesting"),
    }


def _endpoint(conn_id: str, declared: DeclaredResource, read: ResourceRead, stream: Stream) -> dict[str, Any]:
    options, given = read.options, dict(declared.given.get("endpoint") or {})  # type: ignore[union-attr]
    merged = declared.endpoint
    params = {**(given.get("params") or {}), **options.params, **window_params(options, read.window)}
    incremental = declared.incremental
    if incremental is not None:
        said = for_window(incremental, read.window, options.cursor_format)
        if "parameter" in incremental:
            params[incremental["parameter"]] = "{incremental.start_value}"
        given["incremental"] = said
    actions = [action for action in merged.get("response_actions") or () if action not in _ignored(declared)]
    endpoint = {
        **given,
        "path": options.path,
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
    if merged.get("auth") is not None:
        endpoint.update(auth_of(options))
    return endpoint


def _batches(declared: DeclaredResource, read: ResourceRead, stream: Stream, schema: Schema, run_id: str) -> Any:
    """The step that makes Arrow tables of records."""
    options, mode = read.options, read.mode
    progress: ReadProgress = read.progress
    table = table_of(declared)
    if columns := _declared_columns(declared):
        # Before the first batch looks what is known of the table.
        schema.update_table(new_table(schema.naming.normalize_table_identifier(table), columns=list(columns.values())))
    return ColumnarBatches(
        table,
        NESTING_OF_JSON if options.nested == "json" else declared.merged.get("max_table_nesting"),
        stream.is_over,
        hashed_rows=mode.name == "scd2",
        keys=[tuple(path.split(".")) for path in options.key_paths],
        stamps={RUN_COLUMN: run_id, LOADED_AT_COLUMN: datetime.now(UTC)} if mode.stamps_rows else None,
        note=lambda name, value: progress.notes.update({name: value}),
    )


def table_of(declared: DeclaredResource) -> str:
    """The table of a resource, as the declaration calls it."""
    return str(declared.merged.get("table_name") or declared.name)


def key_columns(options: SourceOptions, schema: Schema) -> list[str]:
    """The columns of the key, under the names that dlt gives them: under another one it would warn of two columns."""
    return [name_of_dlt(schema.naming, tuple(path.split("."))) for path in options.key_paths]


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
