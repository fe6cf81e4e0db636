"""One server for all doubles, and a client of it; the real servers, shared by all tests of a session."""

from collections.abc import Iterator

import pytest

from tests.apis.asking import Client
from tests.apis.publishers import Publishers
from tests.apis.server import DoubleServer
from tests.apis.servers.started import Servers


@pytest.fixture(scope="session")
def shared_server() -> Iterator[DoubleServer]:
    with DoubleServer(Publishers(count=0)) as server:
        yield server


@pytest.fixture
def server(shared_server: DoubleServer) -> DoubleServer:
    """Has no records until it is told what to `play`."""
    shared_server.play(Publishers(count=0))
    return shared_server


@pytest.fixture
def client(server: DoubleServer) -> Iterator[Client]:
    with Client(server.port) as client:
        yield client


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """`servers["datasette"].url`; each is started by the first test that asks for it."""
    with Servers(tmp_path_factory.mktemp("servers")) as started:
        yield started
