"""Catalogues that end their positions: more records than that are loaded whole, in slices of time; or a sentence says what to set."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from include.apis.api import Api
from include.decide.window import LoadWindow
from include.errors import causes
from tests.apis import made_up
from tests.apis.catalogues.datacite import DataCite
from tests.apis.catalogues.figshare import Figshare
from tests.apis.catalogues.gbif import Gbif
from tests.apis.catalogues.opendatasoft import OpenDataSoft
from tests.apis.catalogues.socrata_catalogue import SocrataCatalogue
from tests.apis.catalogues.zenodo import Zenodo
from tests.apis.double import Double, at
from tests.apis.server import DoubleServer
from tests.apis.serving import Faults
from tests.support.api_loader import ApiLoader

Config = dict[str, Any]


def opendatasoft() -> tuple[Double, Config]:
    where = "modified>=date'{incremental.start_value}' AND modified<date'{incremental.end_value}'"
    endpoint = {
        "data_selector": "results",
        "paginator": {"type": "offset", "limit": 20, "total_path": "total_count"},
        "params": {"where": where, "order_by": "dataset_id"},
        "incremental": {"cursor_path": "metas.default.modified", "initial_value": "2020-01-01T00:00:00Z"},
    }
    return OpenDataSoft(count=260, position_cap=200), endpoint


def zenodo() -> tuple[Double, Config]:
    endpoint = {
        "data_selector": "hits.hits",
        "paginator": {"type": "page_number", "base_page": 1, "page_param": "page"},
        "params": {"size": 20, "q": "updated:[{incremental.start_value} TO {incremental.end_value}]"},
        "incremental": {"cursor_path": "updated", "initial_value": "2020-01-01T00:00:00Z"},
    }
    return Zenodo(count=260, record_cap=200), endpoint


def datacite() -> tuple[Double, Config]:
    endpoint = {
        "data_selector": "data",
        "paginator": {"type": "page_number", "base_page": 1, "page_param": "page[number]"},
        "params": {"page[size]": 20, "query": "updated:[{incremental.start_value} TO {incremental.end_value}]"},
        "incremental": {
            "cursor_path": "attributes.updated",
            "initial_value": "2020-01-01T00:00:00Z",
            # Whole seconds, as the API writes them.
            "convert": lambda value: f"{value[:19]}Z",
        },
    }
    return DataCite(count=260, record_cap=200), endpoint


def gbif() -> tuple[Double, Config]:
    endpoint = {
        "data_selector": "results",
        "paginator": {"type": "offset", "limit": 20, "total_path": "count"},
        "params": {"modifiedDate": "{incremental.start_value},{incremental.end_value}"},
        "incremental": {"cursor_path": "modified", "initial_value": "2020-01-01T00:00:00Z"},
    }
    return Gbif(count=260, offset_cap=200), endpoint


CATALOGUES = [opendatasoft, zenodo, datacite, gbif]
TOTALS = {"zenodo": "hits.total", "datacite": "meta.total"}
Catalogue = Callable[[], tuple[Double, Config]]


def connected(home: Path, server: DoubleServer, double: Double, endpoint: Config, **extra: Any) -> ApiLoader:
    server.play(double)
    resource = {"name": "records", "primary_key": double.primary_key, "write_disposition": "merge"}

    def config() -> Any:
        return {"resources": [{**resource, "endpoint": {"path": double.path, **endpoint}}]}

    loader = ApiLoader(home, Api("catalogue", ("records",), config))
    return loader.connect(server.url, auth="none", **extra)


def read(loader: ApiLoader, double: Double, windows: Any = None) -> list[Any]:
    return sorted(at(record, double.primary_key) for record in loader.read(windows))


def keys(double: Double) -> list[Any]:
    return sorted(at(record, double.primary_key) for record in double.records)


def refusal(loader: ApiLoader) -> str:
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read()
    return str(list(causes(caught.value))[-1])


@pytest.mark.parametrize("catalogue", CATALOGUES)
@pytest.mark.parametrize("says_so", [True, False])
def test_more_records_than_positions_are_loaded_whole(
    dlt_home: Path, server: DoubleServer, catalogue: Catalogue, says_so: bool
) -> None:
    double, endpoint = catalogue()
    extra: Config = {"maximum_offset": 200} if says_so else {}
    extra["total_path"] = TOTALS.get(catalogue.__name__)
    extra = {name: value for name, value in extra.items() if value is not None}
    loader = connected(dlt_home, server, double, endpoint, **extra)
    assert read(loader, double) == keys(double)
    assert loader.progress["records"].passes == 1
    assert loader.progress["records"].notes["slices"] > 1
    assert loader.progress["records"].promised_rows == 260
    if says_so:
        # But for what OpenDataSoft counts one less.
        assert len(server.refused) <= 1


def test_a_window_is_read_in_slices_of_it(dlt_home: Path, server: DoubleServer) -> None:
    double, endpoint = zenodo()
    start, end = datetime(2025, 1, 10, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC)
    loader = connected(dlt_home, server, double, endpoint, maximum_offset=100, total_path="hits.total")
    inside = [one["id"] for number, one in enumerate(double.records) if start <= made_up.changed(number) < end]
    assert len(inside) > 100
    assert read(loader, double, {"records": LoadWindow(start, end)}) == inside  # type: ignore[arg-type]
    asked = {request.query["q"] for request in server.requests}
    assert all(text.split("[")[1][:10] >= "2025-01-09" and text.split("TO ")[1][:10] <= "2025-12-01" for text in asked)


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_without_a_filter_the_sentence_says_what_to_set(
    dlt_home: Path, server: DoubleServer, catalogue: Catalogue
) -> None:
    double, endpoint = catalogue()
    params = {name: value for name, value in (endpoint["params"]).items() if "{" not in str(value)}
    endpoint = {**{name: value for name, value in endpoint.items() if name != "incremental"}, "params": params}
    total = TOTALS.get(catalogue.__name__)
    loader = connected(dlt_home, server, double, endpoint, **({"total_path": total} if total else {}))
    said = refusal(loader)
    assert "promises 260 records" in said
    assert "set the options `cursor_path` and `start_param` and `end_param`" in said


def test_a_catalogue_without_a_total_or_an_end_of_its_filter_is_refused_with_a_sentence(
    dlt_home: Path, server: DoubleServer
) -> None:
    endpoint = {
        "data_selector": "$",
        "paginator": {"type": "offset", "limit": 20, "total_path": None},
        "incremental": {"cursor_path": "modified_date", "start_param": "modified_since"},
    }
    loader = connected(dlt_home, server, Figshare(count=260, offset_cap=200), endpoint)
    assert "The offset has to be at most 200" in refusal(loader)
    loader = connected(dlt_home, server, Figshare(count=260, offset_cap=200), endpoint, maximum_offset=200)
    assert "may have more, and gives at most 200 of them" in (said := refusal(loader))
    assert "set the option `end_param`" in said


def test_a_catalogue_without_any_filter_is_refused_with_a_sentence(dlt_home: Path, server: DoubleServer) -> None:
    endpoint = {
        "data_selector": "results",
        "paginator": {"type": "offset", "limit": 20, "total_path": "resultSetSize"},
    }
    said = refusal(connected(dlt_home, server, SocrataCatalogue(count=260, position_cap=200), endpoint))
    assert "promises 260 records at `resultSetSize` and gives 191 of them" in said
    assert "promises 260 records" in said


def test_many_records_of_one_instant_fail_with_its_bounds(dlt_home: Path, server: DoubleServer) -> None:
    double, endpoint = zenodo()
    for record in double.records[20:]:
        record["updated"] = "2025-03-04T05:06:07+00:00"
    loader = connected(dlt_home, server, double, endpoint, total_path="hits.total")
    said = refusal(loader)
    assert "the slice [2025-03-04T05:06:0" in said
    assert "cannot be halved any further" in said


def test_what_changes_while_the_slices_are_read_is_found(dlt_home: Path, server: DoubleServer) -> None:
    double, endpoint = zenodo()
    last = max(double.records, key=lambda record: record["updated"])

    def change(_: Any) -> None:
        # Before its slice is read, and behind the one in which it was.
        if len(server.requests) == 8:
            last["updated"] = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")

    server.script(change)
    loader = connected(dlt_home, server, double, endpoint, maximum_offset=200, total_path="hits.total")
    server.script(change)
    assert read(loader, double) == keys(double)


def test_a_record_that_no_slice_has_is_missed(dlt_home: Path, server: DoubleServer) -> None:
    double, endpoint = zenodo()
    double.faults = Faults(left_out=range(50, 51))
    loader = connected(dlt_home, server, double, endpoint, maximum_offset=200, total_path="hits.total")
    assert "promises" in refusal(loader)


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_slices_fill_the_table_in_each_mode(dlt_home: Path, server: DoubleServer, mode: str) -> None:
    double, endpoint = gbif()
    loader = connected(dlt_home, server, double, endpoint, sync_mode=mode)
    loader.run()
    assert [key for (key,) in loader.query("SELECT key FROM records ORDER BY ALL")] == keys(double)
