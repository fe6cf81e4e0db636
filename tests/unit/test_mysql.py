"""MariaDB: keys are compared as they are written, and what is in one never becomes SQL."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest

from include.decide.sync_mode import SYNC_MODES
from include.load.destinations.mysql.client import one_step_mysql
from tests.support.mariadb import Database, database

pytestmark = [
    pytest.mark.mysql,
    # dlt's own merge, to SQLAlchemy.
    pytest.mark.filterwarnings("ignore:Coercing Subquery object:sqlalchemy.exc.SAWarning"),
]

KEYS = ["Abc", "abc", "äbc", "abc ", "ABC", "ab\\c", "ab\\", "a'c", "a:b :c", "a%sc", "名", "a;c"]


@pytest.fixture
def mariadb() -> Iterator[Database]:
    """A dataset of this test's own."""
    with database() as made:
        yield made


def load(place: Database, home: Path, destination: Callable[..., Any], *keys: str, version: int, nested: bool) -> None:
    """A merge of records with these keys."""
    pipeline = dlt.pipeline(
        "datasets",
        destination=destination(
            place.url,
            replace_strategy="insert-from-staging",
            destination_name="sqlalchemy",
            staging_dataset_name_layout=f"%s_staging_{version:012x}",
        ),
        dataset_name=place.name,
        pipelines_dir=str(home / destination.__name__),
    )
    records = [{"id": key, "version": version, **({"tags": [{"name": key}]} if nested else {})} for key in keys]
    disposition = SYNC_MODES["merge"].write_disposition
    pipeline.run(records, table_name="datasets", primary_key="id", write_disposition=disposition)


def content(place: Database) -> dict[Any, Any]:
    return dict(place.query(f"SELECT id, version FROM {place.name}.datasets"))


# Of any two keys each comes in a load without the other: no two come in the same three of six loads.
TOGETHER = list(zip(KEYS, itertools.combinations(range(6), 3), strict=False))


@pytest.mark.parametrize("nested", [False, True])
def test_each_key_is_a_record_of_its_own(mariadb: Database, dlt_home: Path, nested: bool) -> None:
    load(mariadb, dlt_home, one_step_mysql, *KEYS, version=1, nested=nested)
    expected = dict.fromkeys(KEYS, 1)
    assert content(mariadb) == expected
    for number in range(6):
        keys = [key for key, loads in TOGETHER if number in loads]
        load(mariadb, dlt_home, one_step_mysql, *keys, version=2 + number, nested=nested)
        expected |= dict.fromkeys(keys, 2 + number)
        assert content(mariadb) == expected


def test_a_table_that_an_older_version_made_compares_them_exactly_too(mariadb: Database, dlt_home: Path) -> None:
    load(mariadb, dlt_home, dlt.destinations.sqlalchemy, "Abc", "abc", "abc ", version=1, nested=False)
    load(mariadb, dlt_home, one_step_mysql, "abc", version=2, nested=False)
    assert content(mariadb) == {"Abc": 1, "abc": 2, "abc ": 1}
