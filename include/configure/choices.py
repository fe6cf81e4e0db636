"""What an option may be, where it is one of a few: each list stands here and nowhere else."""

from typing import Literal

SyncModeName = Literal["merge", "replace", "append", "scd2"]
CursorFormat = Literal["iso8601_z", "iso8601_offset", "date", "epoch_seconds", "epoch_milliseconds"]
KeyLocation = Literal["query", "header", "cookie"]
Nested = Literal["tables", "json"]
Deletes = Literal["ignore", "mark", "remove"]
