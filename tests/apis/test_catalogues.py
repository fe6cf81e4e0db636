"""The ready declarations of docs/catalogues, each against the double of its catalogue: all records, with what is nested in them.

In: what a reader of the documentation copies. Out: the records that would be loaded, compared with those that the catalogue has.
"""

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pendulum
import pytest

from include.apis.api import Api
from include.decide.window import LoadWindow
from tests.apis.catalogues.ckan import Ckan
from tests.apis.catalogues.datacite import DataCite
from tests.apis.catalogues.dataverse import Dataverse
from tests.apis.catalogues.dataworld import DataWorld
from tests.apis.catalogues.figshare import Figshare
from tests.apis.catalogues.gbif import Gbif
from tests.apis.catalogues.huggingface import HuggingFace
from tests.apis.catalogues.kaggle import Kaggle
from tests.apis.catalogues.nasdaq import Nasdaq
from tests.apis.catalogues.opendatasoft import OpenDataSoft
from tests.apis.catalogues.openml import OpenMl
from tests.apis.catalogues.socrata_catalogue import SocrataCatalogue
from tests.apis.catalogues.soda import Soda
from tests.apis.catalogues.stac import Stac
from tests.apis.catalogues.udata import Udata
from tests.apis.catalogues.worldbank import WorldBank
from tests.apis.catalogues.zenodo import Zenodo
from tests.apis.double import Double, at
from tests.apis.server import DoubleServer
from tests.apis.time_ranges import moment
from tests.support.api_loader import ApiLoader

DOCS = Path(__file__).parents[2] / "docs"
# Below the position that the offsets of some end at.
RECORDS = 950


@dataclass(frozen=True)
class Case:
    """A declaration and its double. `nested`: a dotted path whose values are compared.

    `cap`: none of its pages can be asked for beyond so many records. `key`, `user`: what the API asks for. `filters`: it can be asked
    for what changed. `count`: enough for three pages.
    """

    name: str
    double: type[Double]
    nested: str
    key: str | None = None
    user: str | None = None
    filters: bool = False
    count: int = RECORDS
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"docs.catalogues.{self.name}")

    @property
    def api(self) -> Api:
        found: Api = getattr(self.module, self.name.upper())
        return found

    @property
    def extras(self) -> list[dict[str, Any]]:
        """The connection's extras that its docstring shows."""
        return [json.loads(one) for one in re.findall(r"Extra: (\{.*\})", self.module.__doc__ or "")]

    def made(self, **changes: Any) -> Double:
        return self.double(**{"count": self.count, "key": self.key, **self.settings, **changes})


CASES = [
    Case("ckan", Ckan, "organization.name", filters=True),
    Case("opendatasoft", OpenDataSoft, "metas.default.publisher", filters=True),
    Case("socrata_catalogue", SocrataCatalogue, "classification.domain_category", count=1150),
    Case("soda", Soda, "location.latitude", count=2100),
    Case("udata", Udata, "metrics.views"),
    Case("gbif", Gbif, "type", filters=True),
    Case("zenodo", Zenodo, "metadata.title", filters=True),
    Case("dataverse", Dataverse, "name", filters=True),
    Case("huggingface", HuggingFace, "author"),
    Case("kaggle", Kaggle, "title", key="key", user="user", count=310),
    Case("nasdaq", Nasdaq, "share", key="key", count=2500),
    Case("datacite", DataCite, "attributes.doi", filters=True, count=1150),
    Case("figshare", Figshare, "timeline.posted", filters=True),
    Case("openml", OpenMl, "name", count=2500),
    Case("dataworld", DataWorld, "owner", key="token", count=310),
    Case("stac", Stac, "properties.eo:cloud_cover"),
    Case("worldbank", WorldBank, "source.value", count=2300),
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
filtering = [case for case in CASES if case.filters]


class Catalogue:
    """One catalogue on a port, and its declaration."""

    def __init__(self, home: Path, server: DoubleServer, case: Case, **settings: Any) -> None:
        self.case, self.server, self.loader = case, server, ApiLoader(home, case.api)
        self.double = case.made(**settings)

    def connect(self, **extra: Any) -> "Catalogue":
        """The connection: address, credentials, extra."""
        self.server.play(self.double)
        self.loader.connect(self.server.url, self.double.key, self.case.user, **extra)
        return self

    def read(self, window: LoadWindow | None = None) -> list[Any]:
        """The records that would be loaded, by their key."""
        (resource,) = self.case.api.resource_names
        return self._by_key(self.loader.read({resource: window} if window else None))

    def truth(self, window: LoadWindow | None = None) -> list[Any]:
        """The same, of what the catalogue has."""
        records, changed = self.double.records, self.double.modified
        if window is not None:
            assert changed
            records = [record for record in records if window.contains(moment(at(record, changed)))]
        return self._by_key(records)

    def _by_key(self, records: list[Any]) -> list[Any]:
        return sorted(records, key=lambda record: at(record, self.double.primary_key))


@pytest.fixture
def catalogue(dlt_home: Path, server: DoubleServer) -> Callable[..., Catalogue]:
    return lambda case, **settings: Catalogue(dlt_home, server, case, **settings)


@by_name
def test_a_catalogue_is_read_whole(case: Case, catalogue: Callable[..., Catalogue]) -> None:
    one = catalogue(case).connect()

    assert one.read() == one.truth()


@pytest.mark.parametrize("case", [case for case in CASES if case.filters], ids=lambda case: case.name)
def test_a_window_of_it_is_asked_for_and_read(case: Case, catalogue: Callable[..., Catalogue]) -> None:
    one = catalogue(case, count=300).connect()
    window = some_window(one.double)

    read = one.read(window)

    assert read == one.truth(window)
    assert 10 < len(read) < 290
    progress = one.loader.progress[next(case.api.resource_names)]
    # What lies outside was not asked for; but for the days at the ends, and what the API includes at its end. Figshare has no end.
    assert len(progress.outside_window) < (100 if case.name == "figshare" else 5)


def some_window(double: Double) -> LoadWindow:
    """In the midst of what changed. At each of its ends two records have: those at its start belong to it, those at its end do not."""
    moments = sorted({moment(at(record, double.modified or "")) for record in double.records})
    start, end = moments[len(moments) // 2], moments[len(moments) * 4 // 5]
    return LoadWindow(pendulum.instance(start), pendulum.instance(end))


@pytest.mark.parametrize(("case", "extra"), [(case, extra) for case in CASES for extra in case.extras], ids=str)
def test_what_its_docstring_says_of_the_extra_is_true(
    case: Case, extra: dict[str, Any], catalogue: Callable[..., Catalogue]
) -> None:
    """A key that is sent is the right one, a total that is named is compared."""
    key = {"key": "token/+1"} if "auth" in extra else {}
    one = catalogue(case, count=120, **key).connect(**{**extra, "requests_per_second": None})

    assert one.read() == one.truth()
    progress = one.loader.progress[next(case.api.resource_names)]
    if "total_path" in extra:
        assert progress.promised_rows == 120
    if "auth" in extra:
        sent = [{*request.headers.values(), *request.query.values()} for request in one.server.requests]
        assert all(any(str(value).endswith("token/+1") for value in values) for values in sent)


@pytest.mark.parametrize("name", ["gbif", "worldbank", "nasdaq", "openml"])
def test_a_load_of_it_fills_the_table(name: str, catalogue: Callable[..., Catalogue]) -> None:
    (case,) = (case for case in CASES if case.name == name)
    one = catalogue(case, count=210).connect()

    one.loader.run()

    resource = next(case.api.resource_names)
    key, nested = one.double.primary_key, case.nested.replace(".", "__")
    found = one.loader.query(f"SELECT {key}, {nested} FROM {resource} ORDER BY ALL")
    assert found == sorted((at(record, key), at(record, case.nested)) for record in one.double.records)


def test_a_load_of_a_window_fills_the_table(catalogue: Callable[..., Catalogue]) -> None:
    """Its cursor is a field of an object of an object: a column, when it is loaded."""
    (case,) = (case for case in CASES if case.name == "opendatasoft")
    one = catalogue(case, count=210).connect()
    window = some_window(one.double)

    one.loader.run({"datasets": window})

    found = one.loader.query("SELECT dataset_id FROM datasets ORDER BY ALL")
    assert found == [(record["dataset_id"],) for record in one.truth(window)]


def test_an_own_paginator_or_step_is_short() -> None:
    """What a declaration has beside the configuration, in lines."""
    for case in CASES:
        lines = (DOCS / "catalogues" / f"{case.name}.py").read_text().splitlines()
        begins = next(at for at, line in enumerate(lines) if line.startswith("def config()"))
        first = next((at for at, line in enumerate(lines[:begins]) if line.startswith(("class ", "def "))), begins)
        assert begins - first <= 20
