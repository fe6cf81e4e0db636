"""Whoever waits long for a lock says so in the log: a task that is silent looks dead.

In: what is waited for. Out: a context around the wait, and a log line where it takes more than ten seconds.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

LONG_SECONDS = 10.0


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """To be entered before the wait and left when it is over."""
    timer = threading.Timer(LONG_SECONDS, log.info, ("This run waits for %s: another run or program holds it.", what))
    # A process that ends does not wait for the line.
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
