"""A statement that runs in a destination when SIGTERM comes is interrupted: it would last longer than there is time.

In: dlt's SQL client of a destination, before which `InterruptedClient` stands. Out: the same, whose connection SIGTERM interrupts for
as long as it is open (`include/load/termination.py`).
"""

from collections.abc import Callable
from typing import Any

from include.load.termination import interruptible


class InterruptedClient:
    """To be put before dlt's SQL client."""

    native_connection: Any
    _leave: Callable[[], None] | None = None

    def interrupt(self) -> None:
        """Have the statement that runs now fail, if there is one. Called from another thread."""
        raise NotImplementedError

    def open_connection(self) -> Any:
        """dlt's connection, which is interrupted from now on."""
        opened = super().open_connection()  # type: ignore[misc]
        self._leave_interruptions()
        self._leave = interruptible(self.interrupt)
        return opened

    def close_connection(self) -> None:
        """Close it; it is left alone from now on."""
        self._leave_interruptions()
        super().close_connection()  # type: ignore[misc]

    def _leave_interruptions(self) -> None:
        if self._leave:
            self._leave()
            self._leave = None
