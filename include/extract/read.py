"""What is to be read of one resource, and what became of it.

In: the options, the mode and the window of a run. Out: a `ResourceRead`, whose `progress` and `traffic` the extraction fills in.
"""

from dataclasses import dataclass, field

from include.configure.options import SourceOptions
from include.decide.sync_mode import SYNC_MODES, SyncMode
from include.decide.window import LoadWindow
from include.extract.completeness import ReadProgress
from include.extract.traffic import Traffic


@dataclass(frozen=True)
class ResourceRead:
    """`window` None: the whole collection. `is_loaded`: False where it is read for its children alone."""

    options: SourceOptions
    mode: SyncMode = SYNC_MODES["merge"]
    window: LoadWindow | None = None
    progress: ReadProgress = field(default_factory=ReadProgress)
    traffic: Traffic = field(default_factory=Traffic)
    is_loaded: bool = True
