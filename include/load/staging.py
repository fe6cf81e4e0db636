"""Where a run stages its rows: a place of its own while it runs, and nothing afterwards, also after a crash.

In: the pipeline, whose run holds the lock, and its destination's kind. Out: a context. What killed runs left behind goes as
well, where the kind can tell it from what is in use (`include/load/left_over.py`).
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dlt
from dlt.common.destination.client import WithStagingDataset

from include.load.kind import DestinationKind

log = logging.getLogger(__name__)


@contextmanager
def staging(pipeline: dlt.Pipeline, kind: DestinationKind) -> Iterator[None]:
    """This run's staging tables are its own while the context is open, and are gone afterwards."""
    with ExitStack() as held:
        held.callback(_drop, pipeline)
        opened: Any = pipeline.destination_client()
        with opened as client:
            held.enter_context(kind.staging(client))
        yield


def _drop(pipeline: dlt.Pipeline) -> None:
    # Connected anew: a connection that idled while the API was read may be gone by now.
    opened: Any = pipeline.destination_client()
    try:
        with opened as client:
            if isinstance(opened, WithStagingDataset):
                with opened.with_staging_dataset():
                    if client.is_storage_initialized():
                        client.drop_storage()
    except Exception:
        # The load itself has succeeded, or has an error of its own to tell.
        log.exception("The staging tables of this run could not be removed; they are of no more use.")
