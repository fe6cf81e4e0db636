"""One API collection as a dlt source: resource, options and window -> `rest_api_source`.

In: a catalogue entry, the run's parameters and window. Out: a `DltSource` that runs anywhere dlt runs, also in a
Python shell: `dlt.pipeline("datasets", destination="duckdb").run(api_source(DATASETS, options))`.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema
from dlt.extract import DltSource
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source

from include.apis.datasets import Resource
from include.configure.options import SourceOptions, json_path
from include.decide.cursor import format_instant, format_start, parse_cursor
from include.decide.sync_mode import LOADED_AT_COLUMN, RUN_COLUMN, SYNC_MODES, SyncMode
from include.decide.window import LoadWindow
from include.errors import ResponseShapeError
from include.extract.answer import AnswerReader, key_finder
from include.extract.auth import auth_of
from include.extract.columnar.batches import ColumnarBatches
from include.extract.columnar.names import name_of_dlt
from include.extract.completeness import ReadProgress, Record, WholeRead
from include.extract.failures import raise_failure
from include.extract.paginators.offset import WholeOffsetPaginator
from include.extract.session import ApiSession, open_session
from include.redaction import register, register_values

# One level of nesting is the record itself: its objects and lists then stay JSON.
NESTING_OF_JSON = 0
# Where the total of most APIs is, and where it is looked for unless somebody says otherwise.
USUAL_TOTAL_PATH = SourceOptions().total_path


def api_source(
    resource: Resource,
    options: SourceOptions,
    mode: SyncMode = SYNC_MODES["merge"],
    window: LoadWindow | None = None,
    run_id: str = "",
    progress: ReadProgress | None = None,
) -> DltSource:
    """The source `resource.name` with one resource of that name. Sends nothing before it is extracted.

    `window` None: the whole collection. `run_id` is what a mode that stamps rows stamps them with. `progress` is
    filled while the source is extracted; None: nobody wants to know. Extraction raises what
    `session.ApiAdapter.send`, `answer.AnswerReader`, `completeness.WholeRead` and `parse_cursor` raise, wrapped by dlt.
    A collection that moved (`CollectionMoved`) is read again by running the same source again: `completeness.PASSES`.
    """
    if options.api_key:
        register(options.api_key)
    # Some write parameters behind the path.
    of_path = parse_qs(options.path.partition("?")[2])
    register_values([options.params, of_path], but=(resource.name, options.cursor_path, *options.key_paths))
    read = WholeRead(progress or ReadProgress(), options.total_path)
    paginator = _paginator(read, options)
    session = open_session(
        options.max_parallel_requests,
        options.requests_per_second,
        options.offset_param,
        paginator.upcoming,
        retry_statuses=options.retry_statuses,
        settle=paginator.settle,
        api_key=options.api_key,
    )
    # A function of its own: dlt copies the configuration, and would copy a bound method with all that it holds.
    paginator.on_end = lambda: _end_read(session, read)
    schema = Schema(resource.name)
    columns = key_columns(options, schema)
    source = rest_api_source(
        _rest_config(resource, options, mode, window, columns, paginator, session),
        name=resource.name,
        section=resource.name,
        max_table_nesting=NESTING_OF_JSON if options.nested == "json" else None,  # type: ignore[arg-type]
        # Child rows know their root row in every mode, so that a table can change from one mode to another.
        root_key=True,
        schema=schema,
    )
    step: Any = _page_step(options, window, read)
    batches: Any = ColumnarBatches(
        resource.name,
        options.nested == "json",
        lambda: not paginator.has_next_page,
        hashed_rows=mode.name == "scd2",
        keys=[tuple(path.split(".")) for path in options.key_paths],
        stamps={RUN_COLUMN: run_id, LOADED_AT_COLUMN: datetime.now(UTC)} if mode.stamps_rows else None,
        note=lambda name, value: read.progress.notes.update({name: value}),
    )
    source.resources[resource.name].add_step(step).add_step(batches)
    return source


def _end_read(session: ApiSession, read: WholeRead) -> None:
    session.end_read()
    if session.own_key.replaced_values:
        read.progress.notes["values_with_the_key_replaced"] = session.own_key.replaced_values


def name_of_source(options: SourceOptions) -> str:
    """Where the records come from: address and path, and a digest of the fixed parameters, whose values may be secrets."""
    address, _, query = f"{options.base_url}/{options.path.lstrip('/')}".partition("?")
    params = json.dumps(options.params, sort_keys=True, default=str) if options.params else ""
    if not params and not query:
        return address
    params += query
    return f"{address} ({hashlib.sha256(params.encode()).hexdigest()[:12]})"


def _paginator(read: WholeRead, options: SourceOptions) -> WholeOffsetPaginator:
    reader = AnswerReader(options.data_selector, options.total_path, options.key_paths)
    return WholeOffsetPaginator(
        read,
        reader,
        path=options.path,
        page_size=options.page_size,
        offset_param=options.offset_param,
        limit_param=options.limit_param,
        total_is_set=options.total_path != USUAL_TOTAL_PATH,
        overlap=options.overlap,
        parallel=options.max_parallel_requests,
    )


def _rest_config(
    resource: Resource,
    options: SourceOptions,
    mode: SyncMode,
    window: LoadWindow | None,
    key: list[str],
    paginator: WholeOffsetPaginator,
    session: Any,
) -> RESTAPIConfig:
    """The declarative configuration: client, authentication, endpoint, pagination."""
    return {
        "client": {"base_url": options.base_url, "session": session, **auth_of(options)},  # type: ignore[typeddict-item]
        "resource_defaults": {
            "primary_key": [] if mode.stamps_rows else key,
            "write_disposition": mode.write_disposition,
            "columns": _columns(key, mode),
        },
        "resources": [
            {
                "name": resource.name,
                "endpoint": {
                    "path": options.path,
                    "params": {**options.params, **_window_params(options, window)},
                    # Compiled: dlt would compile a text anew for each page.
                    "data_selector": json_path("data_selector", options.data_selector),
                    "paginator": paginator,
                    "response_actions": [partial(raise_failure, transient_statuses=options.retry_statuses)],
                },
            }
        ],
    }


def key_columns(options: SourceOptions, schema: Schema) -> list[str]:
    """The columns of the key, under the names that dlt gives them: under another one it would warn of two columns."""
    return [name_of_dlt(schema.naming, tuple(path.split("."))) for path in options.key_paths]


def _columns(key: list[str], mode: SyncMode) -> dict[str, TColumnSchema]:
    # Said in each mode: a key that an earlier load in another mode left in the table's schema would still count.
    columns: list[TColumnSchema] = [
        {"name": column, "primary_key": not mode.stamps_rows, "nullable": mode.stamps_rows} for column in key
    ]
    if mode.stamps_rows:
        # Nullable: the table may hold rows of other modes, and a column that may not be null cannot be added to it.
        columns.append({"name": RUN_COLUMN, "data_type": "text", "merge_key": True, "nullable": True})
    return {str(column["name"]): column for column in columns}


def _window_params(options: SourceOptions, window: LoadWindow | None) -> dict[str, str | int]:
    if window is None:
        return {}
    params: dict[str, str | int] = {}
    if options.start_param and window.start is not None:
        params[options.start_param] = format_start(window.start, options.cursor_format)
    if options.end_param:
        params[options.end_param] = format_instant(window.end, options.cursor_format, "end")
    return params


def _page_step(
    options: SourceOptions, window: LoadWindow | None, read: WholeRead
) -> Callable[[list[Any]], list[Record]]:
    """What becomes of a page: its records that are new and lie in the window.

    A page of which nothing is left is handed on as well: it may be the last, which empties the batches.
    """
    keep = _in_window(options, window, read) if window is not None and options.cursor_path else None

    def process(_: list[Any]) -> list[Record]:
        # What dlt hands over is the whole page; the proof has just said which of it to hand on.
        return [record for record in read.handed_on if keep(record)] if keep else read.handed_on

    return process


def _in_window(options: SourceOptions, window: LoadWindow, read: WholeRead) -> Callable[[Record], bool]:
    """Whether a record lies in the window: enforced here as well, whatever the API makes of its filter."""
    cursor_path = options.cursor_path or ""
    selector = json_path("cursor_path", cursor_path)
    is_field = cursor_path.isidentifier()
    key_of = key_finder(options.key_paths)

    def in_window(record: Record) -> bool:
        # A plain field, the common case, needs no JSONPath: this runs for every record.
        cursor = record.get(cursor_path) if is_field else next((match.value for match in selector.find(record)), None)
        try:
            inside = window.contains(parse_cursor(cursor))
        except ResponseShapeError as error:
            raise ResponseShapeError(
                f"The option `cursor_path` is `{cursor_path}`, but a record fails it: {error}"
            ) from None
        if not inside:
            read.progress.outside_window.add(key_of(record))
        return inside

    return in_window
