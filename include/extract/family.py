"""Resources that are read together, put together as one dlt source: each with its records in columns, children fed by records.

In: the source as dlt's REST source makes it, and for each resource its stream and its batches. Out: the source to run. A resource
with children is two of dlt's: one that reads, which nobody loads, and one that loads what it has read; the children hear the
first, since what is loaded are Arrow tables.
"""

from collections.abc import Mapping
from typing import Any

import dlt
from dlt.extract import DltResource, DltSource
from dlt.extract.incremental import Incremental, IncrementalResourceWrapper

from include.extract.columnar.batches import ColumnarBatches
from include.extract.stream import PageStep, Stream

# What dlt's decorator for a transformer does not take.
_NOT_HINTS = ("name", "endpoint", "include_from_parent", "processing_steps", "selected", "parallelized")


class Family:
    """`source` as dlt has made it; to be filled, parents first, then asked for."""

    def __init__(self, source: DltSource) -> None:
        self._source = source
        self._resources: list[DltResource] = []

    def add(
        self,
        name: str,
        stream: Stream,
        batches: ColumnarBatches,
        hints: Mapping[str, Any],
        children: list[str],
        is_loaded: bool,
    ) -> None:
        """One resource. `hints`: what dlt knows of its table. `children`: the names of the resources that are read for its records."""
        resource = self._source.resources[name]
        # dlt has filled the window in; which records lie in it is decided once, in `stream.py`. dlt would compare them as texts, and
        # in columns finds no field of an object.
        resource._pipe.remove_by_type(Incremental, IncrementalResourceWrapper)  # noqa: SLF001  # as said above
        stream.has_children = bool(children)
        resource.add_step(PageStep(stream))
        if not children:
            self._resources.append(resource.add_step(batches))
            return
        pages = resource.with_name(f"{name}_pages")
        for child in children:
            self._source.resources[child].pipe_data_from(pages)
        if is_loaded:
            rows = dlt.transformer(
                _as_they_are,
                data_from=pages,
                name=name,
                **{hint: value for hint, value in hints.items() if hint not in _NOT_HINTS},
            )
            self._resources.append(rows.add_step(batches))

    def source(self) -> DltSource:
        """The source with all that was added."""
        return DltSource(self._source.schema, self._source.section, self._resources)


def _as_they_are(records: Any) -> Any:
    return records
