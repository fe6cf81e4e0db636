"""How far a load is, in the task's log.

In: what is to be read, which the extraction counts up; what dlt calls at each page and step. Out: log lines: one that says what
this run will do, one every ten seconds, and one that says that loading begins. None for each page.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from dlt.common.runtime.collector import Collector

from include.configure.options import SourceOptions
from include.extract.clock import SYSTEM_CLOCK, Clock
from include.extract.read import ResourceRead

log = logging.getLogger(__name__)

PERIOD_SECONDS = 10.0

# Said by the source of the opening line, or a secret.
_NOT_SHOWN = frozenset({"base_url", "path", "api_key", "username", "sync_mode"})


def opening(resource: str, read: ResourceRead, source: str, table: str, destination: str) -> str:
    """What a run will do with `resource`. `table`: with its schema. Values of options are shown where they are one word or number."""
    what = f"the window {read.window}" if read.window else "a snapshot"
    changed = ", ".join(_changed(read.options)) or "none"
    return (
        f"{resource}: reads {what} of {source}, sync mode `{read.mode.name}`, into {table} ({destination}); options that are not "
        f"the defaults: {changed}"
    )


def _changed(options: SourceOptions) -> list[str]:
    defaults = SourceOptions()
    changed = []
    for name in (field.name for field in fields(options)):
        value = getattr(options, name, None)
        if name in _NOT_SHOWN or name not in SourceOptions.get_resolvable_fields() or value == getattr(defaults, name):
            continue
        # What has parts may have a secret among them, and would be long.
        changed.append(f"{name}={value}" if value is None or isinstance(value, str | int | float) else name)
    return changed


@dataclass
class _Pass:
    """One pass over one collection: its number, and the moment from which its pace is counted, as of a clock that only goes forward."""

    number: int
    began_at: float


class ProgressLog(Collector):
    """What dlt tells of its steps and pages, as a line every ten seconds. Lives for one load.

    `children`: the resources whose total is known only when all of it is read.
    """

    def __init__(
        self, reads: Mapping[str, ResourceRead], children: Collection[str] = (), clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.step = ""
        self._reads = reads
        self._children = children
        self._clock = clock
        now = clock.monotonic()
        self._said_at = now
        self._passes = {name: _Pass(read.progress.passes, now) for name, read in reads.items()}
        self._reading = False
        self._loading = False

    def _start(self, step: str) -> None:
        self._reading = step.startswith("Extract ")
        if step.startswith("Load ") and not self._loading:
            self._loading = True
            rows = sum(read.progress.rows for read in self._reads.values() if read.is_loaded)
            log.info("All is read; begins to load %s rows", f"{rows:,}")

    def _stop(self) -> None:
        self._reading = False

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        """Called by dlt at each page and job. Nothing of what it counts is needed: the read counts for itself."""
        now = self._clock.monotonic()
        for resource, read in self._reads.items():
            if self._passes[resource].number != read.progress.passes:
                self._passes[resource] = _Pass(read.progress.passes, now)
        if self._reading and now - self._said_at >= PERIOD_SECONDS:
            self._said_at = now
            log.info("; ".join(f"{resource}: {self._line(resource, now)}" for resource in self._reads))

    def _line(self, resource: str, now: float) -> str:
        read = self._reads[resource]
        rows, total = len(read.progress.ids), read.progress.promised_rows
        seconds = now - self._passes[resource].began_at
        pace = rows / seconds if seconds > 0 else 0.0
        # Fewer promised than met: the total is no count of this collection.
        is_total = total is not None and total >= rows and resource not in self._children
        parts = [
            f"{rows:,} of {total:,} records" if is_total else f"{rows:,} records",
            f"{read.progress.pages:,} pages",
        ]
        if pace:
            parts.append(f"{pace:,.0f} a second")
        if is_total and pace and total is not None:
            parts.append(f"about {(total - rows) / pace:,.0f} s left")
        if retries := read.traffic.retries:
            parts.append(f"{retries:,} {'retry' if retries == 1 else 'retries'}")
        return ", ".join(parts)

    def __deepcopy__(self, _: Any) -> "ProgressLog":
        # dlt copies a pipeline with all it has; what was read and said is one.
        return self
