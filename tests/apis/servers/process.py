"""One server as a process: started on a free port of loopback, waited for, and ended by its id.

In: a command and a path that answers 200 as soon as it is ready. Out: its address, and a log file of what it printed.
"""

import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import requests

START_SECONDS = 60
END_SECONDS = 10


class Process:
    """A context manager. `command` gets the port; `folder` is where the server runs and where its log is."""

    def __init__(self, command: Callable[[int], list[str]], ready_path: str, folder: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = command(self.port)
        self._ready_path = ready_path
        self._folder = folder
        self.log = folder / "server.log"

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The id of the started process."""
        return self._process.pid

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with suppress(requests.ConnectionError):
                if requests.get(self.url + self._ready_path, timeout=START_SECONDS).ok:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self._command} did not get ready:\n{self.log.read_text()[-3000:]}")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
