"""One API collection as a dlt source: resource, options and window -> `rest_api_source`.

In: a catalogue entry, the run's parameters and window. Out: a `DltSource` that runs anywhere dlt runs, also in a
Python shell: `dlt.pipeline("datasets", destination="duckdb").run(api_source(DATASETS, options))`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema
from dlt.extract import DltSource
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source

from include.apis.datasets import Resource
from include.configure.options import SourceOptions, json_path
from include.decide.sync_mode import LOADED_AT_COLUMN, RUN_COLUMN, SYNC_MODES, SyncMode
from include.decide.window import LoadWindow, format_instant, parse_cursor
from include.errors import ResponseShapeError
from include.extract.columnar.batches import ColumnarBatches
from include.extract.failures import raise_failure
from include.extract.paginators.offset import ReadProgress, WholeReadPaginator
from include.extract.session import open_session
from include.redaction import register, register_values

# One level of nesting is the record itself: its objects and lists then stay JSON.
NESTING_OF_JSON = 0
# By name: dlt keeps it in the schema and imports it where it normalizes. The names stay dlt's own.
LOSSLESS: Any = {"json": {"module": "include.lossless_normalizer"}}


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
    `http_client.ApiAdapter.send`, `pagination.WholeReadPaginator` and `parse_cursor` raise, wrapped by dlt.
    """
    register(options.api_key)
    register_values(options.params, but=(resource.name, options.cursor_path, options.primary_key))
    progress = progress or ReadProgress()
    paginator = WholeReadPaginator(options, progress)
    source = rest_api_source(
        rest_config(resource, options, mode, window, paginator),
        name=resource.name,
        section=resource.name,
        max_table_nesting=NESTING_OF_JSON if options.nested == "json" else None,  # type: ignore[arg-type]
        # Child rows know their root row in every mode, so that a table can change from one mode to another.
        root_key=True,
        schema=Schema(resource.name, LOSSLESS),
    )
    step: Any = _page_step(resource, options, mode, window, run_id, paginator)
    source.resources[resource.name].add_step(step)
    return source


def rest_config(
    resource: Resource,
    options: SourceOptions,
    mode: SyncMode,
    window: LoadWindow | None,
    paginator: WholeReadPaginator,
) -> RESTAPIConfig:
    """The declarative configuration: client, authentication, endpoint, pagination."""
    session = open_session(
        options.max_parallel_requests,
        options.requests_per_second,
        options.offset_param,
        paginator.upcoming,
        options.retry_statuses,
        options.api_key,
    )
    # A function of its own: dlt copies the configuration, and would copy a bound method with all that it holds.
    paginator.on_end = lambda: session.end_read()
    return {
        "client": {
            "base_url": options.base_url,
            "auth": {
                "type": "api_key",
                "name": options.api_key_param,
                "api_key": options.api_key,
                "location": options.api_key_location,
            },
            "session": session,
        },
        "resource_defaults": {
            "primary_key": [] if mode.stamps_rows else options.primary_key,
            "write_disposition": mode.write_disposition,
            "columns": _columns(options, mode),
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


def _columns(options: SourceOptions, mode: SyncMode) -> dict[str, TColumnSchema]:
    # Said in each mode: a key that an earlier load in another mode left in the table's schema would still count.
    columns: list[TColumnSchema] = [
        {"name": options.primary_key, "primary_key": not mode.stamps_rows, "nullable": mode.stamps_rows}
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
        params[options.start_param] = format_instant(window.start, options.cursor_format, "start")
    if options.end_param:
        params[options.end_param] = format_instant(window.end, options.cursor_format, "end")
    return params


def _page_step(
    resource: Resource,
    options: SourceOptions,
    mode: SyncMode,
    window: LoadWindow | None,
    run_id: str,
    paginator: WholeReadPaginator,
) -> Callable[[list[Any]], Any]:
    """What becomes of a page: its records that lie in the window, stamped where the mode stamps, in batches.

    One step of dlt's pipe and not one for each: only so does the last page, though nothing of it be left, empty the
    batches.
    """
    keep = _in_window(options, window, paginator.progress) if window is not None and options.cursor_path else None
    stamp = {RUN_COLUMN: run_id, LOADED_AT_COLUMN: datetime.now(UTC)} if mode.stamps_rows else None
    # History is kept by a hash over each record, which dlt makes of records only.
    plain = mode.name != "scd2"
    batches = ColumnarBatches(resource.name, plain, options.nested == "json", lambda: not paginator.has_next_page)

    def process(page: list[Any]) -> Any:
        records = [record for record in page if keep(record)] if keep else page
        return batches.add([{**record, **stamp} for record in records] if stamp else records)

    return process


def _in_window(options: SourceOptions, window: LoadWindow, progress: ReadProgress) -> Callable[[dict[str, Any]], bool]:
    """Whether a record lies in the window: enforced here as well, whatever the API makes of its filter."""
    cursor_path = options.cursor_path or ""
    selector = json_path("cursor_path", cursor_path)
    is_field = cursor_path.isidentifier()

    def in_window(record: dict[str, Any]) -> bool:
        # A plain field, the common case, needs no JSONPath: this runs for every record.
        cursor = record.get(cursor_path) if is_field else next((match.value for match in selector.find(record)), None)
        try:
            inside = window.contains(parse_cursor(cursor))
        except ResponseShapeError as error:
            raise ResponseShapeError(
                f"The option `cursor_path` is `{cursor_path}`, but a record fails it: {error}"
            ) from None
        if not inside:
            progress.outside_window.add(record[options.primary_key])
        return inside

    return in_window
