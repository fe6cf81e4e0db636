"""Spreads requests over the time that a quota is for, before the API has to refuse one.

In: what answers say of quotas (`quota.py`), and how many requests are under way. Out: how long the next one has to wait. While much is
left nobody waits; the last few are spread evenly until there are more; of a new window it is known how many it has. Knows no clock of
its own, and is not safe to use from several threads: the budget that asks it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from include.extract.quota import Quota

# A share of a quota that is few: others may draw on it, too.
FEW = 0.1
# Windows that end within so many seconds of each other are one: servers round.
SAME_WINDOW_SECONDS = 1.5
# So much later than the API says is there more: where it rounds down.
RESET_MARGIN_SECONDS = 1.0
# A quota that begins anew later than this is not spread: no task waits for an hour. What the API then says, the scheduler waits for.
LONGEST_SPREAD_SECONDS = 600.0


@dataclass
class _Window:
    """`left`: the fewest that an answer has said; `ends_at`: in seconds of the budget's clock; `limit`: how many a new one has."""

    left: int
    ends_at: float
    seconds: float
    limit: int


class QuotaPace:
    """`parallel`: how many requests may be under way at once."""

    def __init__(self, parallel: int) -> None:
        self._parallel = parallel
        self._windows: dict[str, _Window] = {}
        self._sent_at = 0.0

    def heed(self, quotas: Iterable[Quota], now: float) -> None:
        """What an answer says at `now`, in seconds of a clock that only goes forward. Answers come in any order."""
        for quota in quotas:
            window, ends_at = self._windows.get(quota.name), now + quota.reset_seconds
            if window is None:
                self._windows[quota.name] = _Window(
                    quota.remaining, ends_at, quota.reset_seconds, quota.limit or quota.remaining + 1
                )
                continue
            window.limit = quota.limit or max(window.limit, quota.remaining + 1)
            window.seconds = max(window.seconds, quota.reset_seconds)
            if ends_at > window.ends_at + SAME_WINDOW_SECONDS:
                window.left, window.ends_at = quota.remaining, ends_at
            elif ends_at > window.ends_at - SAME_WINDOW_SECONDS:
                # The same window, of which an answer that was overtaken says more than is left.
                window.left = min(window.left, quota.remaining)

    def sent(self, now: float) -> None:
        """A request goes out."""
        self._sent_at = now

    def wait_seconds(self, now: float, under_way: int) -> float:
        """How long the next request has to wait; 0: it may go. `under_way` are those of which no answer has told yet."""
        return max((self._wait_for(window, now, under_way) for window in self._windows.values()), default=0.0)

    def _wait_for(self, window: _Window, now: float, under_way: int) -> float:
        if now >= window.ends_at + RESET_MARGIN_SECONDS:
            # What the new window has is known; when it began, its first answer says.
            window.left, window.ends_at = window.limit, now + window.seconds
        seconds = window.ends_at + RESET_MARGIN_SECONDS - now
        if seconds > LONGEST_SPREAD_SECONDS:
            return 0.0
        left = window.left - under_way
        if left <= 0:
            return seconds
        if left > max(self._parallel, window.limit * FEW):
            return 0.0
        return max(0.0, self._sent_at + seconds / left - now)
