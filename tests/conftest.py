"""What holds for every test: its own Airflow home, nothing of the developer's shell, no way off loopback."""

import contextlib
import functools
import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

# Each service: the variable that says where it is, where it is without one, and its port.
SERVICES = {
    "postgres": ("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test", 5432),
    "redis": ("TEST_REDIS_URL", "redis://127.0.0.1:6379/0", 6379),
}

# Airflow and dlt read the environment when they are imported, which is after this file.
_OF_THE_SHELL = (
    "AIRFLOW_CONN_",
    "AIRFLOW_VAR_",
    "AIRFLOW__",
    "SOURCES__",
    "DESTINATION__",
    "DATASETS_",
    "RUNTIME__",
)
for _name in [name for name in os.environ if name.startswith(_OF_THE_SHELL)]:
    del os.environ[_name]
_AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-home-")
os.environ |= {
    "AIRFLOW_HOME": _AIRFLOW_HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


def pytest_unconfigure() -> None:
    """The session's Airflow home goes with the session."""
    shutil.rmtree(_AIRFLOW_HOME, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: a test whose service is missing is skipped, or fails where they are required."""
    for service in SERVICES:
        if item.get_closest_marker(service) and (reason := service_is_missing(service)):
            if os.environ.get("REQUIRE_SERVICES") == "1":
                pytest.fail(f"{reason}; REQUIRE_SERVICES=1 asks for it", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Where tests marked `postgres` find their server."""
    return _url("postgres")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Where tests marked `redis` find their server."""
    return _url("redis")


def _url(service: str) -> str:
    variable, default, _ = SERVICES[service]
    return os.environ.get(variable) or default


@functools.cache
def service_is_missing(service: str) -> str | None:
    """Why a service cannot be used, None: it answers. Asked once per session."""
    variable, _, default_port = SERVICES[service]
    parts = urlsplit(_url(service))
    place = (parts.hostname or "127.0.0.1", parts.port or default_port)
    try:
        socket.create_connection(place, timeout=2).close()
    except OSError as error:
        return f"{service} cannot be reached at {place[0]}:{place[1]} ({error}); set {variable}"
    return None


@pytest.fixture(autouse=True)
def _the_environment_is_that_of_the_session() -> Iterator[None]:
    """What a test, or a library in it, sets in the environment ends with the test."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def dlt_home(tmp_path: Path) -> Iterator[Path]:
    """dlt in a folder of this test's own."""
    # Imports dlt.
    from tests.support.dlt_home import dlt_in

    with dlt_in(tmp_path / "dlt"):
        yield tmp_path / "dlt"


@pytest.fixture(autouse=True, scope="session")
def _what_dlt_works_out_again_and_again_is_worked_out_once() -> Iterator[None]:
    """Two fifths of a load through Airflow, and half of one without, are dlt's looking for settings."""
    # Imports dlt.
    from tests.support.remembered import worked_out_once

    with worked_out_once():
        yield


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """No test leaves this machine; a service that the environment names elsewhere is the exception."""
    allowed = set()
    for service in SERVICES:
        with contextlib.suppress(OSError):
            # A driver in Python gives `connect` an address, not a name.
            found = socket.getaddrinfo(urlsplit(_url(service)).hostname or "localhost", None)
            allowed |= {str(info[4][0]) for info in found}

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(connect)
        def connect_on_loopback(self: socket.socket, address: Any) -> Any:
            # Not AF_UNIX, which stays on this machine anyway.
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0], allowed):
                raise OSError(f"A test tried to leave loopback for {address[0]}.")
            return connect(self, address)

        return connect_on_loopback

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        yield


def _is_local(host: str, allowed: set[str]) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback or host in allowed
    return host == "localhost"
