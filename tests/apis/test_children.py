"""Parents and the resources that are read for each of them: all are there, once, and a parent that cannot be read is red."""

from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from include.apis.api import Api
from include.errors import PermanentError, causes
from tests.apis.publishers import Publishers
from tests.apis.server import DoubleServer
from tests.apis.serving import Faults
from tests.support.api_loader import ApiLoader

OFFSET = {"type": "offset", "limit": 3, "total_path": "total"}


def api(**child: Any) -> Api:
    """Publishers, and the datasets of each; `child` is what the endpoint of the datasets has beside its path."""
    return Api(
        "catalogue",
        resources=(("publishers", "datasets"),),
        config=lambda: {
            "client": {},
            "resource_defaults": {
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {"data_selector": "data", "paginator": OFFSET},  # type: ignore[typeddict-item]
            },
            "resources": [
                {"name": "publishers", "endpoint": {"path": "v1/publishers"}},
                {
                    "name": "datasets",
                    "include_from_parent": ["id"],
                    "endpoint": {"path": "v1/publishers/{resources.publishers.id}/datasets", **child},  # type: ignore[typeddict-item]
                },
            ],
        },
    )


def read(loader: ApiLoader, double: Publishers) -> list[Any]:
    with DoubleServer(double) as server:
        return loader.connect(server.url).read()


def failure_of(loader: ApiLoader, double: Publishers) -> BaseException:
    with pytest.raises(ResourceExtractionError) as caught:
        read(loader, double)
    return list(causes(caught.value))[-1]


def keys(records: list[Any]) -> tuple[list[str], list[str]]:
    """The ids of the publishers and of the datasets."""
    parents = [one["id"] for one in records if "address" in one]
    return sorted(parents), sorted(one["id"] for one in records if "title" in one)


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_all_children_of_all_parents_are_there_once(dlt_home: Any, count: int) -> None:
    double, loader = Publishers(count=count), ApiLoader(dlt_home, api())
    found = keys(read(loader, double))
    children = sorted(one["id"] for datasets in double.children.values() for one in datasets)
    assert found == (sorted(one["id"] for one in double.records), children)
    assert loader.progress["datasets"].promised_rows in (len(children), None)


def test_parents_and_children_are_loaded_into_their_tables(dlt_home: Any) -> None:
    double, loader = Publishers(count=20), ApiLoader(dlt_home, api())
    with DoubleServer(double) as server:
        loader.connect(server.url).run().run()
    assert loader.query("SELECT count(*), count(DISTINCT id) FROM publishers") == [(20, 20)]
    children = sum(map(len, double.children.values()))
    assert loader.query("SELECT count(*), count(DISTINCT id) FROM datasets") == [(children, children)]
    of_parents = dict(loader.query("SELECT _publishers_id, count(*) FROM datasets GROUP BY 1"))
    assert of_parents == {parent: len(found) for parent, found in double.children.items() if found}
    tags = sum(len(one["tags"]) for found in double.children.values() for one in found)
    assert loader.query("SELECT count(*) FROM datasets__tags") == [(tags,)]


def test_a_parent_that_vanished_meanwhile_is_an_error_that_names_it(dlt_home: Any) -> None:
    double = Publishers(count=10)
    double.vanished.add("publisher-4")
    failure = failure_of(ApiLoader(dlt_home, api()), double)
    assert isinstance(failure, PermanentError)
    assert "/v1/publishers/publisher-4/datasets answered 404" in str(failure)


@pytest.mark.parametrize("vanished", ["publisher-0", "publisher-4", "publisher-9"])
def test_unless_the_declaration_says_that_it_is_none(dlt_home: Any, vanished: str) -> None:
    double, loader = (
        Publishers(count=10),
        ApiLoader(dlt_home, api(response_actions=[{"status_code": 404, "action": "ignore"}])),
    )
    double.vanished.add(vanished)
    parents, children = keys(read(loader, double))
    assert len(parents) == 10
    left = [one["id"] for parent, found in double.children.items() if parent != vanished for one in found]
    assert children == sorted(left)


def test_a_child_that_is_not_whole_is_red(dlt_home: Any) -> None:
    # Publisher 6 has six datasets, in two pages.
    double = Publishers(count=10, faults=Faults(left_out=range(3, 6)), faulty_parent="publisher-6")
    failure = failure_of(ApiLoader(dlt_home, api()), double)
    assert "promises 6 records" in str(failure)


def test_a_record_of_two_parents_is_one_and_another_under_its_key_is_refused(dlt_home: Any) -> None:
    double = Publishers(count=4)
    double.children["publisher-2"].append(double.children["publisher-1"][0])
    # With the parent's key in each record, the same dataset of two parents is two different records.
    failure = failure_of(ApiLoader(dlt_home, api()), double)
    assert "does not tell records apart" in str(failure)
