"""The `processing_steps` of a declaration, applied to whole pages.

In: dlt's steps `filter`, `map` and `yield_map`, in their order. Out: a function from the records that the API gave to those that are
loaded. Not as steps of dlt's resource: those would drop a page of which nothing is left, and with it the end of the read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from include.errors import ConfigurationError

Records = list[dict[str, Any]]


def processing_of(resource: str, steps: Sequence[Mapping[str, Any]]) -> Callable[[Records], Records] | None:
    """What becomes of the records of a page; None: they stay as they are. Raises ConfigurationError (permanent)."""
    if not steps:
        return None
    for step in steps:
        if unknown := set(step) - {"filter", "map", "yield_map"}:
            raise ConfigurationError(
                f"The resource `{resource}` has a processing step `{unknown.pop()}`, which is none of dlt's: `filter`, `map`, `yield_map`."
            )
    return lambda records: _processed(records, steps)


def _processed(records: Iterable[Any], steps: Sequence[Mapping[str, Any]]) -> Records:
    for step in steps:
        # In dlt's order, where one object has several.
        if keep := step.get("filter"):
            records = [record for record in records if keep(record)]
        if change := step.get("map"):
            records = list(map(change, records))
        if make := step.get("yield_map"):
            records = list(chain.from_iterable(make(record) or () for record in records))
    return list(records)
