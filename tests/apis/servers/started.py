"""The servers of a test session: each starts when it is first asked for, and all end with the session.

In: a folder for what they write. Out: `servers["django"].url`, by the names of the families.
"""

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from tests.apis.servers import datasette, django_family, json_server_0, json_server_1
from tests.apis.servers.environments import CannotInstall
from tests.apis.servers.process import Process

FAMILIES = {module.FAMILY.name: module.FAMILY for module in (django_family, datasette, json_server_0, json_server_1)}


class Servers:
    """A context manager. One that cannot be installed skips the test, or fails it under REQUIRE_SERVICES=1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, Process] = {}
        # Why a family cannot be had is found out once: without a network that takes its time.
        self._missing: dict[str, str] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def __getitem__(self, name: str) -> Process:
        if name not in self._started and name not in self._missing:
            try:
                self._started[name] = self._start(name)
            except CannotInstall as reason:
                self._missing[name] = str(reason)
        if name in self._missing:
            if os.environ.get("REQUIRE_SERVICES") == "1":
                pytest.fail(f"{self._missing[name]}; REQUIRE_SERVICES=1 asks for it", pytrace=False)
            pytest.skip(self._missing[name])
        return self._started[name]

    def _start(self, name: str) -> Process:
        family = FAMILIES[name]
        environment = family.install()
        folder = self._folder / name
        folder.mkdir()
        family.prepare(folder)
        return self._ends.enter_context(Process(partial(family.command, environment), family.ready_path, folder))
