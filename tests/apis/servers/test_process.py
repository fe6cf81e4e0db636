"""A server's process: told about when it does not start, gone when it is no longer needed, on loopback alone."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.apis.servers.process import START_SECONDS, Process
from tests.apis.servers.started import FAMILIES, Servers


def serving(port: int) -> list[str]:
    return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]


def test_a_server_ends_with_the_session(tmp_path: Path) -> None:
    with Process(serving, "/", tmp_path) as process:
        assert psutil.pid_exists(process.pid)
    assert not psutil.pid_exists(process.pid)


def test_a_server_that_does_not_start_is_told_with_what_it_printed(tmp_path: Path) -> None:
    """At once, not when the time is up."""

    def broken(port: int) -> list[str]:
        return [sys.executable, "-c", "print('no such module: articles')"]

    started_at = time.monotonic()
    with pytest.raises(AssertionError, match="no such module: articles"), Process(broken, "/", tmp_path):
        pass
    assert time.monotonic() - started_at < START_SECONDS / 2


@pytest.mark.parametrize("name", FAMILIES)
def test_each_listens_on_loopback_alone(servers: Servers, name: str) -> None:
    listening = [
        one.laddr.ip
        for one in psutil.Process(servers[name].pid).net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]
