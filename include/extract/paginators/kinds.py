"""The paginator of each kind, from the options.

In: the options, and what the read is proven by. Out: a paginator for dlt's REST client.
"""

from functools import partial
from typing import Any

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from dlt.sources.rest_api.config_setup import create_paginator

from include.configure.options import SourceOptions
from include.configure.paginator_config import paginator_options
from include.extract.paginators.auto import GuessedPaginator
from include.extract.paginators.following import WholeFollowingPaginator
from include.extract.paginators.offset import WholeOffsetPaginator
from include.extract.paginators.page_number import WholePageNumberPaginator
from include.extract.paginators.proven import ReadParts
from include.extract.paginators.references import CursorInHeaderPaginator, LinkPaginator
from include.extract.paginators.sliced import SlicedPaginator

# The page's own size is in `page_size`; dlt's stops after an empty page, which ours does anyway.
_NOT_OF_OFFSET = ("stop_after_empty_page",)


def paginator_of(options: SourceOptions, parts: ReadParts, spawn: Any = None) -> Any:
    """A paginator of the kind that the options name. `spawn` as in `ProvenPaginator.set_up`."""
    fields = options.paginator_fields
    match options.paginator_kind:
        case "offset":
            by_offset = partial(
                WholeOffsetPaginator,
                page_size=options.page_size,
                offset_param=options.offset_param,
                limit_param=options.limit_param,
                overlap=options.overlap,
                parallel=options.max_parallel_requests,
                **{name: value for name, value in fields.items() if name not in _NOT_OF_OFFSET},
            )
            return SlicedPaginator(parts, by_offset, options.maximum_offset, spawn)
        case "page_number":
            by_number = partial(
                WholePageNumberPaginator,
                parallel=options.max_parallel_requests,
                limit_param=options.limit_param,
                page_size=options.page_size,
                **fields,
            )
            return SlicedPaginator(parts, by_number, options.maximum_offset, spawn)
        case "auto":
            return GuessedPaginator(parts, lambda guess, its: _guessed(options, guess, its), spawn)
        case "own":
            return WholeFollowingPaginator(parts, options.paginator, type(options.paginator).__name__, None, spawn)
        case "json_link":
            return WholeFollowingPaginator(parts, LinkPaginator(**fields), "json_link", None, spawn)
        case "header_cursor":
            return WholeFollowingPaginator(parts, CursorInHeaderPaginator(**fields), "header_cursor", None, spawn)
        case kind:
            inner: Any = create_paginator({"type": kind, **fields})  # type: ignore[arg-type]  # any of dlt's
            return WholeFollowingPaginator(parts, inner, kind, fields.get("has_more_path"), spawn)


def _guessed(options: SourceOptions, guess: BasePaginator, parts: ReadParts) -> Any:
    said = paginator_options(guess)
    as_guessed = options.copy()
    for name, value in said.items():
        # Where the total is, somebody may have said.
        if name != "total_path":
            setattr(as_guessed, name, value)
    return paginator_of(as_guessed, parts)
