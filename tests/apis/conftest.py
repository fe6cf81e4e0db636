"""One server for all doubles, and a client of it."""

from collections.abc import Iterator

import pytest

from tests.apis.asking import Client
from tests.apis.publishers import Publishers
from tests.apis.server import DoubleServer


@pytest.fixture(scope="session")
def shared_server() -> Iterator[DoubleServer]:
    with DoubleServer(Publishers()) as server:
        yield server


@pytest.fixture
def server(shared_server: DoubleServer) -> DoubleServer:
    """Plays publishers until it is told to `play` something else."""
    shared_server.play(Publishers())
    return shared_server


@pytest.fixture
def client(server: DoubleServer) -> Iterator[Client]:
    with Client(server.port) as client:
        yield client
