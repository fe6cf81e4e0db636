"""What one request finds: the records, how many pages went before, and what is broken on purpose."""

import random
from dataclasses import dataclass, field
from typing import Any

from tests.apis.quota import Allowance

Record = dict[str, Any]


@dataclass(frozen=True)
class After:
    """`value` holds from the time on when so many requests have been answered."""

    requests: int
    value: int


@dataclass(frozen=True)
class Faults:
    """What is broken on purpose; as it comes, nothing.

    `left_out`: positions of records that no page gives, and that every total counts. `repeated`: positions whose records
    come again in place of those that follow them. `total`: the total is off by the value. `page_cap`: no page is larger
    than the value, without a word.
    """

    left_out: range = range(0)
    repeated: range = range(0)
    total: After | None = None
    page_cap: After | None = None


@dataclass(frozen=True)
class Serving:
    """Handed to a catalogue with each request. `turn`: how many were answered before; `side_by_side`: in progress, this one too."""

    records: list[Record]
    turn: int = 0
    faults: Faults = field(default_factory=Faults)
    allowance: Allowance | None = None
    side_by_side: int = 1

    def size(self, asked: int) -> int:
        """How many records this page may have."""
        lower = self.faults.page_cap
        return min(asked, lower.value) if lower and self.turn >= lower.requests else asked

    def total(self, found: list[Record]) -> int:
        """What the API says that there are."""
        off = self.faults.total
        return len(found) + (off.value if off and self.turn >= off.requests else 0)

    def page(self, found: list[Record], first: int, size: int) -> list[Record]:
        """The records of one page."""
        return self._given(found)[first : first + size]

    def goes_on(self, found: list[Record], end: int) -> bool:
        """Whether there are records from the position `end` on."""
        return end < len(self._given(found))

    def unordered(self, found: list[Record]) -> list[Record]:
        """`found` as an API gives it that was not told an order: another one from request to request."""
        return random.Random(self.turn).sample(found, len(found))

    def _given(self, found: list[Record]) -> list[Record]:
        given, left_out, again = list(found), self.faults.left_out, self.faults.repeated
        following = slice(again.stop, again.stop + len(again))
        given[following] = given[again.start : again.stop][: len(given[following])]
        del given[left_out.start : left_out.stop]
        return given
