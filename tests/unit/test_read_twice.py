"""The option `read_twice`: what one pass cannot prove, two that found the same do."""

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from include.extract.completeness import CollectionMoved
from tests.support.api_server import ApiServer, Request, numbered
from tests.unit.conftest import Loader, innermost


def test_a_collection_is_read_twice_and_loaded_once(loader: Loader) -> None:
    with ApiServer(numbered(250)) as server:
        records = loader.read(server, read_twice=True, overlap=False)
    assert [record["id"] for record in records] == list(range(250))
    assert (loader.progress.passes, server.offsets.count(0)) == (2, 2)
    # Two passes that found the same prove what pages that do not overlap leave open.
    assert "not_proven" not in loader.progress.notes


def test_a_record_that_left_and_one_that_came_between_two_pages_are_seen(loader: Loader) -> None:
    with ApiServer(numbered(250), total_at=None) as server:
        moved = []

        def move(request: Request) -> None:
            if request.offset == 100 and not moved:
                # One goes in front of what is read next, one comes behind it all: as many as before.
                moved.append(server.records.pop(0))
                server.records.append({"id": 1000})

        server.script(move)
        records = loader.read(server, read_twice=True, overlap=False)
    assert {record["id"] for record in records} == {*range(1, 250), 1000}
    assert loader.progress.passes == 3


def test_one_that_never_is_the_same_twice_fails(loader: Loader) -> None:
    with ApiServer(numbered(50)) as server:

        def grow(request: Request) -> None:
            if request.offset == 0:
                server.records.insert(0, {"id": 1000 + len(server.records)})

        server.script(grow)
        with pytest.raises(ResourceExtractionError) as failure:
            loader.read(server, read_twice=True)
    assert isinstance(innermost(failure.value), CollectionMoved)
