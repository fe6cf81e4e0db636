"""The real servers, shared by all tests of a session."""

from collections.abc import Iterator

import pytest

from tests.apis.servers.started import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """`servers["datasette"].url`; each is started by the first test that asks for it."""
    with Servers(tmp_path_factory.mktemp("servers")) as started:
        yield started
