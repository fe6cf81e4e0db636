"""SIGTERM ends a load in time: "mark failed", a pod or a worker that goes. SIGKILL follows after five seconds.

In: what has to be done even when there is no time for anything else. Out: a context in which SIGTERM raises `Terminated`, so that
whatever is open is closed on the way out. Airflow's own handler calls the operator's `on_kill` only, and the callable would go on
(apache-airflow-task-sdk 1.3.2, `task_runner.py`). Python calls a handler between two of its own steps, and a job of dlt's is in another
thread: a thread of ours hears of the signal, too. It interrupts each statement that runs in a destination (`interruptible`), and ends the
process after `GRACE_SECONDS`.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

log = logging.getLogger(__name__)

# To leave in order; the rest of three seconds is for what has to be done in any case.
GRACE_SECONDS = 2.3
EXIT_CODE = 128 + signal.SIGTERM
# A statement that begins just after an interruption is met by the next one.
_BETWEEN_INTERRUPTIONS_SECONDS = 0.1

_WHY = (
    "SIGTERM ended the load: somebody has marked the task, or its worker or pod is stopping. Nothing is to be done: the next "
    "try or run loads what is missing."
)


class Terminated(BaseException):
    """SIGTERM has come. No `Exception`: nothing on the way out takes it for a failure that it could handle."""

    def __init__(self) -> None:
        super().__init__(_WHY)


# What a connection in use is interrupted by, with the thread that has opened it.
_interruptions: dict[object, tuple[threading.Thread, Callable[[], object]]] = {}


def interruptible(interrupt: Callable[[], object]) -> Callable[[], None]:
    """From now on SIGTERM calls `interrupt`, from another thread and again and again; until what is returned is called.

    What it raises counts for nothing. To be called by the thread that is to be interrupted.
    """
    token = object()
    _interruptions[token] = (threading.current_thread(), interrupt)
    return lambda: _interruptions.pop(token, None) and None


class Termination:
    """What becomes of a SIGTERM."""

    def __init__(self) -> None:
        self._is_ending = False

    def hold_back(self) -> None:
        """From now on a SIGTERM interrupts nothing: what runs now is the way out. Its time is limited all the same."""
        self._is_ending = True

    def on_signal(self, _: int, __: FrameType | None) -> None:
        """Raise Terminated, once."""
        if not self._is_ending:
            self._is_ending = True
            raise Terminated

    def interrupt_statements(self, ended: threading.Event) -> None:
        """Interrupt what runs in the load's connections, until `ended`. The main thread's only while it has not heard itself."""
        while not ended.is_set():
            for thread, interrupt in list(_interruptions.values()):
                if not (self._is_ending and thread is threading.main_thread()):
                    with suppress(Exception):
                        interrupt()
            ended.wait(_BETWEEN_INTERRUPTIONS_SECONDS)


@contextmanager
def terminable(last_resort: Callable[[], object]) -> Iterator[Termination]:
    """The block with its way out takes no longer than `GRACE_SECONDS` after a SIGTERM.

    If it does, `last_resort` is called, in another thread, and the process ends. Only in a process's main thread: elsewhere
    no signal arrives, and nothing is changed.
    """
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return
    heard, told = socket.socketpair()
    told.setblocking(False)
    ended = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(heard, termination, ended, last_resort), name="termination", daemon=True
    )
    watch.start()
    handler = signal.signal(signal.SIGTERM, termination.on_signal)
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield termination
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, handler)
        told.close()
        watch.join()
        heard.close()


def _watch(
    heard: socket.socket, termination: Termination, ended: threading.Event, last_resort: Callable[[], object]
) -> None:
    while numbers := heard.recv(64):
        if signal.SIGTERM in numbers:
            # In a thread of its own: to interrupt may take a connection, and time.
            threading.Thread(target=termination.interrupt_statements, args=(ended,), daemon=True).start()
            if not ended.wait(GRACE_SECONDS):
                last_resort()
                log.error("%s It did not end in order: what it has staged goes with a later run.", _WHY)
                os._exit(EXIT_CODE)
            return
