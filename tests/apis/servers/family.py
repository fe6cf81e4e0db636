"""What one family of servers is: how it is installed, and started on a port."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Family:
    """One process and its environment.

    `install` gives the folder of the environment, or raises `CannotInstall`. `prepare` writes what the server holds
    into the empty folder in which it will run. `command` gets the environment and the port; `ready_path` answers 200
    once the server can be asked.
    """

    name: str
    install: Callable[[], Path]
    prepare: Callable[[Path], None]
    command: Callable[[Path, int], list[str]]
    ready_path: str
