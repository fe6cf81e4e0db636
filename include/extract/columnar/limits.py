"""What a destination cannot hold, though JSON can say it.

In: the destination's SQL dialect. Out: its limits. Sources: PostgreSQL's manual, 8.3 (no U+0000 in a text, nor in jsonb:
8.14) and appendix K (1,600 columns); MariaDB's, "TEXT" (65,535 bytes; SQLAlchemy's `Text`, which dlt 1.31.0 takes) and
"InnoDB Limitations" (1,017 columns); SQLite's "Limits" (2,000 columns).
"""

from dataclasses import dataclass
from typing import Final

import dlt


@dataclass(frozen=True)
class Limits:
    """Limits of one kind of destination. None: none that a record could meet."""

    nul: bool = True
    text_bytes: int | None = None
    columns: int | None = None


_LIMITS: Final = {
    "postgres": Limits(nul=False, columns=1600),
    "mysql": Limits(text_bytes=65_535, columns=1017),
    "sqlite": Limits(columns=2000),
}


def current_limits() -> Limits:
    """The limits of the destination that the current pipeline loads into."""
    destination = dlt.current.pipeline().destination
    dialect = destination.capabilities().sqlglot_dialect if destination else None
    return _LIMITS.get(str(dialect), Limits())
