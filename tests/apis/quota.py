"""How often one may ask: so many requests in each window of so many seconds, the window that dlt's users meet most often."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Allowance:
    """What one request finds. `remaining`: requests after this one, in this window; `reset_seconds`: until the next."""

    requests: int
    seconds: float
    remaining: int
    reset_seconds: float
    exceeded: bool


@dataclass
class Quota:
    """At most `requests` in `seconds`; the window begins with its first request. Not safe for threads by itself."""

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        self._begun: float | None = None
        self._taken = 0

    def take(self, now: float) -> Allowance:
        """Count one request at `now`, in seconds of any clock."""
        if self._begun is None or now >= self._begun + self.seconds:
            self._begun, self._taken = now, 0
        exceeded = self._taken >= self.requests
        self._taken += not exceeded
        reset_seconds = self._begun + self.seconds - now
        return Allowance(self.requests, self.seconds, self.requests - self._taken, reset_seconds, exceeded)
