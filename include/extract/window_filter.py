"""A window as the API is asked for it, and as it is enforced on this side, whatever the API makes of its filter.

In: the options and the window. Out: query parameters; a test for each record.
"""

from collections.abc import Callable
from typing import Any

from include.configure.options import SourceOptions, json_path
from include.decide.cursor import format_instant, format_start, parse_cursor
from include.decide.window import LoadWindow
from include.errors import ResponseShapeError

Record = dict[str, Any]


def window_params(options: SourceOptions, window: LoadWindow | None) -> dict[str, str | int]:
    """The query parameters that the options name for the window; those of a declared `incremental` are dlt's to fill."""
    if window is None:
        return {}
    params: dict[str, str | int] = {}
    if options.start_param and window.start is not None:
        params[options.start_param] = format_start(window.start, options.cursor_format)
    if options.end_param:
        params[options.end_param] = format_instant(window.end, options.cursor_format, "end")
    return params


def in_window(
    options: SourceOptions, window: LoadWindow | None, missing: str = "raise"
) -> Callable[[Record], bool] | None:
    """Whether a record lies in the window; None: there is none to lie in.

    `missing`: what becomes of a record without a cursor, as dlt's `on_cursor_value_missing`: `raise`, `include` or `exclude`.
    """
    if window is None or not options.cursor_path:
        return None
    cursor_path = options.cursor_path
    selector = json_path("cursor_path", cursor_path)
    is_field = cursor_path.isidentifier()

    def lies_in(record: Record) -> bool:
        # A plain field, the common case, needs no JSONPath: this runs for every record.
        cursor = record.get(cursor_path) if is_field else next((match.value for match in selector.find(record)), None)
        if cursor is None and missing != "raise":
            return missing == "include"
        try:
            return window.contains(parse_cursor(cursor))
        except ResponseShapeError as error:
            raise ResponseShapeError(
                f"The option `cursor_path` is `{cursor_path}`, but a record fails it: {error}"
            ) from None

    return lies_in
