"""The source, loaded into DuckDB by a plain dlt pipeline: types, nesting, all or nothing, and no secret anywhere."""

import contextlib
import logging
import pickle
import traceback
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from dlt.common import json as dlt_json
from dlt.common import logger as dlt_logger
from dlt.extract.exceptions import ResourceExtractionError
from dlt.pipeline.exceptions import PipelineStepFailed

from include.errors import ConfigurationError
from include.extract.source import name_of_source
from include.redaction import STANDS_ALONE_BELOW, forms_of, redact, redact_log_records
from tests.support.api_server import CLOSE, HANG, Answer, ApiServer, Request, numbered, refused_port
from tests.unit.conftest import Loader, innermost
from tests.unit.test_offset_paginator import BAD_BODIES
from tests.unit.test_redaction import spellings


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


# Types and names


def test_columns_have_neutral_names_and_the_types_of_the_data(loader: Loader, server: ApiServer) -> None:
    server.records = [
        {
            "id": 1,
            "displayName": "é 日本 😀",
            "Row-Count": 5,
            "share": 0.5,
            "isPublic": True,
            "created_at": "2024-02-29T12:00:00Z",
            "updatedAt": "2024-02-29T12:00:00.123456+02:00",
            "nothing": None,
            "owner": {"name": "Ada", "address": {"city": "Kraków"}},
        },
        {"id": 2},
    ]
    loader.run(server)
    assert loader.columns() == {
        "id": "BIGINT",
        "display_name": "VARCHAR",
        "row_count": "BIGINT",
        "share": "DOUBLE",
        "is_public": "BOOLEAN",
        "created_at": "TIMESTAMP WITH TIME ZONE",
        "updated_at": "TIMESTAMP WITH TIME ZONE",
        "owner__name": "VARCHAR",
        "owner__address__city": "VARCHAR",
        "_row_hash": "VARCHAR",
    }
    ((created, updated, name, city),) = loader.query(
        "SELECT created_at, updated_at, display_name, owner__address__city FROM datasets WHERE id = 1"
    )
    assert created == datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert updated == datetime(2024, 2, 29, 10, 0, 0, 123456, tzinfo=UTC)
    assert (name, city) == ("é 日本 😀", "Kraków")
    nullable = loader.query(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'datasets' AND is_nullable = 'NO'"
    )
    assert {column for (column,) in nullable} - {"_dlt_id", "_dlt_load_id", "_dlt_root_id"} == {"id"}


@pytest.mark.parametrize("total_at", ["total", None])
def test_a_run_without_records_is_green(loader: Loader, server: ApiServer, total_at: str | None) -> None:
    server.total_at = total_at
    loader.run(server)
    assert loader.progress.pages == 1


def test_a_run_without_records_leaves_an_earlier_table(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(3)
    loader.run(server)
    server.records = []
    loader.run(server)
    assert loader.query("SELECT count(*) FROM datasets") == [(3,)]


def test_nested_lists_become_child_tables(loader: Loader, server: ApiServer) -> None:
    server.records = [
        {"id": 1, "tags": ["a", "b"], "files": [{"name": "x", "sizes": [1, 2]}]},
        {"id": 2, "tags": [], "files": [{"name": "y", "sizes": []}]},
    ]
    loader.run(server)
    assert loader.query(
        "SELECT d.id, t.value FROM datasets d JOIN datasets__tags t ON t._dlt_parent_id = d._dlt_id ORDER BY ALL"
    ) == [(1, "a"), (1, "b")]
    assert loader.query("SELECT name FROM datasets__files ORDER BY ALL") == [("x",), ("y",)]
    assert loader.query("SELECT value FROM datasets__files__sizes ORDER BY ALL") == [(1,), (2,)]


def test_child_rows_of_a_changed_record_are_replaced(loader: Loader, server: ApiServer) -> None:
    server.records = [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": ["c"]}]
    loader.run(server)
    server.records[0] = {"id": 1, "tags": ["z"]}
    loader.run(server)
    assert loader.query("SELECT value FROM datasets__tags ORDER BY ALL") == [("c",), ("z",)]


def test_a_table_that_was_replaced_can_be_merged_from_then_on(loader: Loader, server: ApiServer) -> None:
    server.records = [{"id": 1, "files": [{"sizes": [1, 2]}]}, {"id": 2, "files": [{"sizes": [3]}]}]
    loader.run(server, "replace")
    server.records = [{"id": 1, "files": [{"sizes": [9]}]}]
    loader.run(server, "merge")
    assert loader.query("SELECT value FROM datasets__files__sizes ORDER BY ALL") == [(3,), (9,)]


def test_nested_values_can_stay_json(loader: Loader, server: ApiServer) -> None:
    server.records = [
        {"id": 1, "tags": ["a", {"b": 10**30}], "owner": {"name": "Ada"}},
        {"id": 2, "owner": None, "tags": []},
    ]
    loader.run(server, nested="json")
    assert loader.columns() == {"id": "BIGINT", "tags": "JSON", "owner": "JSON", "_row_hash": "VARCHAR"}
    assert loader.query("SELECT owner->>'name', tags->>'$[0]' FROM datasets WHERE id = 1") == [("Ada", "a")]
    tables = loader.query("SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'datasets%'")
    assert ("datasets__tags",) not in tables


@pytest.mark.parametrize("nested", ["tables", "json"])
def test_integers_of_any_length_keep_every_digit(loader: Loader, server: ApiServer, nested: str) -> None:
    values = [2**63 - 1, -(2**63), 2**63, 2**64 + 1, 10**37 + 1, 2**100 + 1]
    server.records = [{"id": number, "value": value} for number, value in enumerate(values)]
    loader.run(server, nested=nested)
    assert every_value(loader, "value") == [str(value) for value in values]


def every_value(loader: Loader, name: str) -> list[str | None]:
    """The values of a column and its variants, as text, in the order of the ids."""
    columns = [column for column in loader.columns() if column == name or column.startswith(f"{name}__v_")]
    parts = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
    return [value for (value,) in loader.query(f"SELECT coalesce({parts}) FROM datasets ORDER BY id")]


CHANGES = {
    "integer, then fraction": [1, 1.5],
    "fraction, then integer": [1.5, 2],
    "integer, then text": [1, "one"],
    "text, then integer": ["one", 1],
    "integer, then truth": [7, True],
    "truth, then text": [True, "maybe"],
    "timestamp, then text": ["2024-01-01T00:00:00Z", "never"],
    "text, then object": ["x", {"a": 1}],
    "integer, then large integer": [1, 2**70 + 1],
    "large integer, then integer": [2**70 + 1, 1],
    "fraction, then integer beyond 64 bits": [0.5, 2**70 + 1],
    "fraction, then text": [0.5, "half"],
    "null, then integer": [None, 1],
    "fraction, then integer that no fraction holds": [0.5, 2**60 + 1],
    "truth, then integer": [True, 7],
    "truth, then text that looks like one": [True, "yes"],
    "integer, then text that looks like one": [7, "0012"],
    "integer, then text of a large one": [7, str(2**70)],
    "integer, then fraction without a fraction": [7, 2.0],
    "fraction, then text that looks like one": [0.5, "1.50"],
    "timestamp, then integer": ["2024-01-01T00:00:00Z", 5],
    "timestamp, then timestamp of another zone": ["2024-01-01T00:00:00Z", "2024-06-01T00:00:00+02:00"],
    "timestamp, then fraction": ["2024-01-01T00:00:00Z", 5.5],
    "text, then truth": ["x", True],
    "object, then text": [{"a": 1}, "x"],
    "text, then list": ["x", ["a"]],
}


def kept(loader: Loader, field: str) -> list[Any]:
    """For each id what `field`, its variants, its sub-columns and its child rows hold."""
    columns = [name for name in loader.columns() if name == field or name.startswith(f"{field}__")]
    names = ", ".join(f'"{name}"' for name in columns)
    if loader.columns(f"datasets__{field}"):
        names += f", (SELECT value FROM datasets__{field} v WHERE v._dlt_parent_id = datasets._dlt_id)"
    rows = loader.query(f"SELECT {names} FROM datasets ORDER BY id")
    return [[cell for cell in row if cell is not None] for row in rows]


def same(written: Any, found: list[Any]) -> bool:
    if written is None:
        return found == []
    if isinstance(written, list):
        return found == written
    if isinstance(written, dict):
        return found in ([*written.values()], [dlt_json.dumps(written)])
    if isinstance(written, str) and len(found) == 1 and isinstance(found[0], datetime):
        return found[0] == datetime.fromisoformat(written)
    # A number may be kept as text or decimal, never as another number; a truth value as 1 or as text.
    return len(found) == 1 and (found[0] == written or str(found[0]).lower() == str(written).lower())


@pytest.mark.parametrize("when", ["in one page", "between pages", "between runs"])
def test_a_field_that_changes_type_keeps_every_value(loader: Loader, server: ApiServer, when: str) -> None:
    fields = {f"field_{number}": change for number, change in enumerate(CHANGES)}
    first, second = ({name: CHANGES[change][turn] for name, change in fields.items()} for turn in (0, 1))
    server.records = [{"id": 0, **first}, {"id": 1, **second}]
    if when == "between runs":
        server.records.pop()
        loader.run(server)
        server.records = [{"id": 1, **second}]
    loader.run(server, page_size=1 if when == "between pages" else 100)
    for name, change in fields.items():
        found = kept(loader, name)
        assert [same(value, cells) for value, cells in zip(CHANGES[change], found, strict=True)] == [True, True], (
            change,
            found,
        )


def test_new_fields_become_columns_in_later_pages_and_runs(loader: Loader, server: ApiServer) -> None:
    server.records = [{"id": 1}, {"id": 2, "page_two": 1}]
    loader.run(server, page_size=1)
    server.records.append({"id": 3, "run_two": "x", "owner": {"name": "Ada"}, "tags": ["t"]})
    loader.run(server)
    assert set(loader.columns()) == {"id", "page_two", "run_two", "owner__name", "_row_hash"}
    assert loader.query("SELECT id, page_two, run_two FROM datasets ORDER BY id") == [
        (1, None, None),
        (2, 1, None),
        (3, None, "x"),
    ]


def test_a_field_that_disappears_is_null_from_then_on(loader: Loader, server: ApiServer) -> None:
    server.records = [{"id": 1, "note": "x"}]
    loader.run(server)
    server.records = [{"id": 1}]
    loader.run(server)
    assert loader.query("SELECT id, note FROM datasets") == [(1, None)]


# Whole loads


@pytest.mark.parametrize("parallel", [1, 8])
def test_every_record_is_loaded_once_however_often_it_is_loaded(
    loader: Loader, server: ApiServer, parallel: int
) -> None:
    server.records = numbered(1050)
    for _ in range(2):
        loader.run(server, max_parallel_requests=parallel)
        assert loader.query("SELECT count(*), count(DISTINCT id), sum(id) FROM datasets") == [
            (1050, 1050, sum(range(1050)))
        ]


def test_a_changed_record_is_updated_and_others_stay(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(3)
    loader.run(server)
    server.records = [{"id": 1, "name": "changed"}]
    loader.run(server)
    assert loader.query("SELECT id, name FROM datasets ORDER BY id") == [
        (0, "dataset 0"),
        (1, "changed"),
        (2, "dataset 2"),
    ]


def test_an_id_that_comes_twice_ends_as_one_row(loader: Loader, server: ApiServer) -> None:
    server.records = [*numbered(100), *numbered(1, 5), *numbered(20, 100)]
    server.total_at = None
    loader.run(server)
    assert loader.query("SELECT count(*), count(DISTINCT id) FROM datasets") == [(120, 120)]


def test_the_declared_configuration_is_that_of_the_contract(loader: Loader, server: ApiServer) -> None:
    server.records, server.key = numbered(1), "k"
    loader.run(server)
    request, _ = server.requests
    assert request.path == "/v1/datasets"
    assert request.query == {"api_key": "k", "offset": "0", "limit": "100"}
    table = loader.pipeline.default_schema.get_table("datasets")
    assert table["write_disposition"] == "merge"
    assert [name for name, column in table["columns"].items() if column.get("primary_key")] == ["id"]


@pytest.mark.parametrize(
    ("key_in", "key_param", "selector", "total"),
    [
        ("query", "api_key", "data", "total"),
        ("query", "apikey", "results", "count"),
        ("header", "X-Api-Key", "objects", "meta.total_count"),
        ("header", "Authorization", "items", None),
        ("query", "token", "$", None),
    ],
)
def test_another_api_is_read_with_options_alone(
    loader: Loader, server: ApiServer, key_in: str, key_param: str, selector: str, total: str | None
) -> None:
    server.records, server.key = numbered(150), "s3cr3t/+key=%&"
    server.key_in, server.key_param, server.records_at, server.total_at = key_in, key_param, selector, total
    server.path = "/api/3/list"
    loader.run(
        server,
        path="/api/3/list",
        api_key_location=key_in,
        api_key_param=key_param,
        data_selector=selector,
        total_path=total or "total",
        params={"format": "json"},
    )
    assert loader.query("SELECT count(*) FROM datasets") == [(150,)]
    assert {request.query.get("format") for request in server.requests} == {"json"}
    if key_in == "header":
        assert not any("s3cr3t" in request.target for request in server.requests)


# All or nothing

FAILURES: dict[str, Any] = {
    # One of each kind: test_pagination has them all.
    **{
        name: Answer(200, BAD_BODIES[name])
        for name in (
            "HTML",
            "an error object",
            "data null, records promised",
            "truncated",
            "a record that is a number",
            "no id",
            "id null",
        )
    },
    "401": Answer(401),
    "503": Answer(503),
    "dropped": CLOSE,
    "cut": Answer(200, {"data": []}, cut_after=3),
    "total not a number": Answer(200, {"data": numbered(50, 100), "total": "many"}),
    "another host": Answer(302, headers={"Location": "http://localhost:1/"}),
    "long wait": Answer(503, headers={"Retry-After": "3600"}),
}


@pytest.fixture
def loaded(loader: Loader, server: ApiServer) -> Loader:
    """A loader whose table holds 150 records."""
    server.records = numbered(150)
    loader.run(server)
    return loader


def table_of(loader: Loader) -> list[tuple[Any, ...]]:
    return loader.query("SELECT * FROM datasets ORDER BY id")


def test_a_load_that_fails_leaves_the_table_as_it_was(loaded: Loader, server: ApiServer, waits: list[float]) -> None:
    before, columns = table_of(loaded), loaded.columns()
    # The first page of each failing load is good, changed and has a new column.
    server.records = [{**record, "name": "changed", "new": 1} for record in numbered(150)]
    answer: Any = None
    server.script(lambda request: answer if (request.offset or 0) >= 99 else None)
    for name, failure in FAILURES.items():
        answer = failure
        with pytest.raises(PipelineStepFailed):
            loaded.run(server)
        assert table_of(loaded) == before, name
        assert loaded.columns() == columns, name
    answer = None
    loaded.run(server)
    assert loaded.query("SELECT count(*), min(name), max(name), sum(new) FROM datasets") == [
        (150, "changed", "changed", 150)
    ]


@pytest.mark.parametrize("trouble", ["repeats", "moves", "capped"])
def test_a_read_that_is_not_whole_leaves_the_table_as_it_was(loaded: Loader, server: ApiServer, trouble: str) -> None:
    before = table_of(loaded)
    server.records = [{**record, "name": "changed"} for record in numbered(500)]
    if trouble == "repeats":
        server.script(lambda request: server.page(Request(**{**vars(request), "offset": 0})))
    elif trouble == "moves":
        server.script(lambda request: server.records.insert(0, {"id": -server.count(), "name": "new"}))
    else:
        server.page_cap = 60
    with pytest.raises(PipelineStepFailed):
        loaded.run(server)
    assert table_of(loaded) == before


# Secrets

KEYS = ["s3cr3t/+key=%&", "k3y", "pässwörd\"'\\", "a b"]
PLACES = [("query", "api_key"), ("query", "k"), ("header", "X-Token")]


class Logs(logging.Handler):
    """Everything that is logged, as text, at every level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@pytest.fixture
def logs(dlt_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logs]:
    """All loggers at DEBUG, redacted as in a task."""
    logs = Logs()
    loggers = [logging.getLogger(), logging.getLogger("urllib3"), logging.getLogger("requests")]
    if dlt_logger.LOGGER is not None:
        loggers.append(dlt_logger.LOGGER)
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    for logger in (loggers[0], *loggers[3:]):
        logger.addHandler(logs)
    redact_log_records()
    yield logs
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
        logger.removeHandler(logs)


def leaks(key: str, text: str) -> list[str]:
    """The spellings of `key` in `text`; of a key that ordinary words may hold, only those that stand alone."""
    forms = spellings(key) | forms_of(key)
    if key == "a b":
        # "a big" is no leak.
        forms = {f"'{key}'", f'"{key}"', f"={key}", "a+b", "a%20b", "a%2520b"}
    return [form for form in forms if form in text]


def test_the_loggers_of_the_tests_see_what_would_leak(loader: Loader, server: ApiServer, logs: Logs) -> None:
    # urllib3, with which others send, logs every URL: the tests below look in the right place.
    server.records, server.key = numbered(1), "k3y"
    loader.run(server)
    requests.get(f"{server.url}/?x=unknown-secret&api_key=k3y", timeout=1)
    assert [text for text in logs.texts if "x=unknown-secret&api_key=***" in text]


@pytest.mark.parametrize("answer", [None, Answer(404, {"message": "no"}), Answer(503)])
def test_no_log_line_has_a_query_in_it(
    loader: Loader, server: ApiServer, logs: Logs, waits: list[float], answer: Answer | None
) -> None:
    server.records, server.key = numbered(250), "k3y"
    server.script(lambda request: answer if (request.offset or 0) >= 99 else None)
    # At DEBUG dlt logs addresses without their query, at INFO with it.
    logging.getLogger("dlt").setLevel(logging.INFO)
    with contextlib.nullcontext() if answer is None else pytest.raises(PipelineStepFailed):
        loader.run(server, max_parallel_requests=4)
    assert [text for text in logs.texts if "/v1/datasets?…" in text]
    assert [text for text in logs.texts if "offset=" in text] == []


def troubles(key: str) -> dict[str, Any]:
    echo = f"the key {key} is wrong"
    return {
        "401 that echoes the key": Answer(401, {"error": echo}, reason="Unauthorized k3y s3cr3t/+key=%&"),
        "503": Answer(503, {"error": echo}),
        "404 in HTML": Answer(404, f"<html>{echo}</html>", {"Content-Type": "text/html"}),
        "long wait": Answer(429, headers={"Retry-After": "9999"}),
        "dropped": CLOSE,
        "timeout": HANG,
        "cut": Answer(200, {"data": [], "note": echo}, cut_after=5),
        "broken JSON": Answer(200, '{"note": "' + echo),
        "no list": Answer(200, {"data": echo}),
        "no id": Answer(200, {"data": [{"name": echo}]}),
        "content type": Answer(200, "", {"Content-Type": "text/k3y"}),
    }


@pytest.mark.parametrize(("location", "name"), PLACES)
@pytest.mark.parametrize("key", KEYS)
def test_the_key_is_nowhere_after_any_failure(
    loader: Loader,
    server: ApiServer,
    logs: Logs,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    location: str,
    name: str,
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "0.05")
    # The worst setting that a user may choose: answers of the API in the error's text.
    monkeypatch.setenv("RUNTIME__HTTP_SHOW_ERROR_BODY", "true")
    server.key, server.key_in, server.key_param = key, location, name
    options = {"api_key": key, "api_key_location": location, "api_key_param": name}
    answer: Any = None
    server.script(lambda _: answer)
    cases: list[tuple[str, Any, str]] = [(trouble, found, server.url) for trouble, found in troubles(key).items()]
    cases += [
        ("refused", None, f"http://127.0.0.1:{refused_port()}"),
        ("no such host", None, "http://nowhere.invalid"),
        ("no address", None, "http://[::1"),
    ]
    for trouble, found, url in cases:
        answer = found
        # dlt's own error, or that of an address which `requests` cannot take: both are shown to people.
        with pytest.raises((PipelineStepFailed, ValueError)) as caught:
            loader.pipeline.run(loader.source(url, **options))
        trace = loader.pipeline.last_trace
        told = {
            "traceback": "".join(traceback.format_exception(caught.value)),
            "trace": f"{trace} {trace!r} {trace.asstr(2)}",
            "trace as JSON": dlt_json.dumps(trace.asdict()),
            "pickled trace": pickle.dumps(trace).decode("utf-8", "replace"),
            "logs": "\n".join(logs.texts),
        }
        assert {place: forms for place, text in told.items() if (forms := leaks(key, text))} == {}, trouble


@pytest.mark.parametrize(("location", "name"), PLACES)
@pytest.mark.parametrize("key", KEYS)
def test_the_key_is_nowhere_after_a_load(
    loader: Loader, server: ApiServer, logs: Logs, key: str, location: str, name: str
) -> None:
    server.records, server.key, server.key_in, server.key_param = numbered(150), key, location, name
    server.fail(1, Answer(302, headers={"Location": "/v1/datasets?next=%2F"}), offset=99)
    loader.source(server)
    # The hop has lost its query: the API says 401, or gives the first page again, which a second pass tells apart.
    with pytest.raises(PipelineStepFailed) if location == "query" else nullcontext():
        loader.run(server, api_key_location=location, api_key_param=name)
    loader.run(server, api_key_location=location, api_key_param=name)
    assert loader.query("SELECT count(*) FROM datasets") == [(150,)]
    trace = loader.pipeline.last_trace
    text = "\n".join([*logs.texts, str(trace), dlt_json.dumps(trace.asdict()), str(loader.pipeline.default_schema)])
    assert leaks(key, text) == []
    for file in loader.home.rglob("*"):
        # dlt's random ids hold any three letters sooner or later.
        if file.is_file() and len(key) >= STANDS_ALONE_BELOW:
            assert leaks(key, file.read_bytes().decode("utf-8", "replace")) == [], file


def test_pages_that_fail_side_by_side_leak_nothing_and_are_asked_for_four_times_each(
    loader: Loader, server: ApiServer, logs: Logs, waits: list[float]
) -> None:
    key = KEYS[0]
    server.records, server.key, server.key_param = numbered(1000), key, "k"
    answer: Any = None
    server.script(lambda request: answer if request.offset else None)
    for found in (Answer(503), Answer(429), CLOSE, Answer(401), Answer(200, '{"note": "' + key)):
        answer = found
        server.requests.clear()
        with pytest.raises(PipelineStepFailed) as caught:
            loader.run(server, max_parallel_requests=8, api_key_param="k")
        assert max(server.count(offset) for offset in server.offsets) <= 4
        text = "".join(traceback.format_exception(caught.value)) + str(loader.pipeline.last_trace)
        assert leaks(key, text + "\n".join(logs.texts)) == []


def test_a_key_that_the_api_repeats_in_its_records_is_not_loaded(loader: Loader, server: ApiServer) -> None:
    key = "s3cr3t/+key=%&-2026"
    links = [f"https://api.example.com/v1/datasets/1?api_key={spelling}" for spelling in (key, quote(key, safe=""))]
    server.key = key
    server.records = [{"id": 1, "self": links[0], "nested": {"link": links[1]}, "tags": [links[1]]}]
    loader.run(server)
    assert loader.query("SELECT self FROM datasets") == [("https://api.example.com/v1/datasets/1?api_key=***",)]
    for file in loader.home.rglob("*"):
        assert file.is_dir() or leaks(key, file.read_bytes().decode("utf-8", "replace")) == [], file


def test_a_short_key_does_not_blank_words_of_the_records(loader: Loader, server: ApiServer) -> None:
    server.key, server.records = "demo", [{"id": 1, "name": "a demo of demos"}]
    loader.run(server)
    assert loader.query("SELECT name FROM datasets") == [("a demo of demos",)]


def test_the_source_does_not_show_its_key(loader: Loader) -> None:
    source = loader.source("http://127.0.0.1:1", api_key="s3cr3t/+key=%&")
    assert leaks("s3cr3t/+key=%&", f"{source} {source!r} {source.datasets!r} {loader.options!r}") == []


def test_building_the_source_sends_nothing(loader: Loader, server: ApiServer) -> None:
    loader.source(server)
    assert server.requests == []


def test_a_missing_key_is_said_before_anything_is_sent(loader: Loader, server: ApiServer) -> None:
    with pytest.raises(ConfigurationError):
        loader.source(server, api_key=None)
    assert server.requests == []


def test_parameters_behind_the_path_are_in_no_message_and_no_report(loader: Loader, server: ApiServer) -> None:
    server.script(lambda request: Answer(200, {"data": request.query["token"]}))
    path = "/v1/datasets?token=foreign-token&limit_by=7"
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read(server, path=path)
    failure = innermost(caught.value)
    assert "The page at /v1/datasets, offset 0," in str(failure)
    assert "foreign-token" not in str(failure)
    assert redact("foreign-token") == "***"
    name = name_of_source(loader.options)
    assert name.startswith(f"{server.url}/v1/datasets (")
    assert "foreign" not in name
    loader.source(server, path=path + "8")
    assert name_of_source(loader.options) != name
