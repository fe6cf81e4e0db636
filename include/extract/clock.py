"""Time, as what talks to the API knows it.

In: nothing. Out: `SYSTEM_CLOCK`; a test hands in another one, on which nobody waits.
"""

import threading
import time


class Clock:
    """The machine's clock."""

    def time(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait, with `condition` held, until it is notified or `seconds` are over."""
        condition.wait(seconds)


SYSTEM_CLOCK = Clock()
