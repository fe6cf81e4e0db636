"""What a column or a destination cannot hold: kept in another form beside it, or one sentence that names the field."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import pyarrow as pa
import pytest
from dlt.common.schema import Schema

from include.errors import PermanentError
from include.extract.columnar.batches import ColumnarBatches
from include.extract.columnar.limits import Limits, current_limits
from include.extract.columnar.tables import ArrowTable, RecordTables, TableOptions
from include.load.destinations.postgres.client import side_by_side_postgres

Record = dict[str, Any]


def tables_of(records: list[Record], stored: dict[str, Any] | None = None, **options: Any) -> list[ArrowTable]:
    """The tables of a batch of records; `stored` are the columns that the root table has already, with their types."""
    schema = Schema("datasets")
    if stored:
        columns: Any = {name: {"name": name, "data_type": data_type} for name, data_type in stored.items()}
        schema.update_table({"name": "datasets", "columns": columns})
    return RecordTables("datasets", schema, "1", TableOptions(keys=(("id",),), **options)).of(records)


def rows_of(table: ArrowTable) -> list[Record]:
    rows: list[Record] = table.rows.to_pylist()
    return [{name: value for name, value in row.items() if not name.startswith("_dlt")} for row in rows]


# Keys

INSTANTS = ["2026-11-26T12:00:00.0000001Z", "2026-11-26T12:00:00.0000002Z"]


@pytest.mark.parametrize(
    "keys", [INSTANTS, ["2026-11-26", "2026-W48"], ["2026-11-26T12:00:00Z", "2026-11-26T13:00:00+01:00"]]
)
def test_a_text_key_is_text_in_a_new_table_whatever_it_looks_like(keys: list[str]) -> None:
    """Two instants that differ by 100 ns became one row."""
    (table,) = tables_of([{"id": key} for key in keys])
    assert table.rows["id"].type == pa.string()
    assert table.rows["id"].to_pylist() == keys


def test_only_the_key_is_kept_as_text() -> None:
    (table,) = tables_of([{"id": 1, "at": "2026-11-26T12:00:00Z"}])
    assert table.rows["at"].type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("data_type", "keys"),
    [
        ("timestamp", INSTANTS),
        ("timestamp", ["2026-11-26T12:00:00Z", "2026-11-26T13:00:00+01:00"]),
        ("timestamp", ["2026-11-26T12:00:00Z", "soon"]),
        ("bigint", [12, "0012"]),
        ("bool", [7]),
    ],
)
def test_a_key_that_does_not_fit_its_column_is_one_sentence(data_type: str, keys: list[Any]) -> None:
    with pytest.raises(
        PermanentError, match=f"^The key `id` has values that its column in the table `datasets`, a {data_type}, c"
    ):
        tables_of([{"id": key} for key in keys], stored={"id": data_type})


@pytest.mark.parametrize(
    ("data_type", "keys"),
    [("timestamp", ["2026-11-26T12:00:00Z", "2026-11-26T12:00:01Z"]), ("bigint", [1, "2"]), ("text", ["a", 1])],
)
def test_a_key_that_fits_its_column_goes_on(data_type: str, keys: list[Any]) -> None:
    (table,) = tables_of([{"id": key} for key in keys], stored={"id": data_type})
    assert set(table.rows.column_names) == {"id", "_dlt_id", "_dlt_load_id", "_row_hash"}


# Destinations

POSTGRES = Limits(nul=False, columns=1600)
NUL: list[Record] = [
    {"id": 1, "text": "a\0b", "number": 1, "nested": {"a": "x"}, "list": ["a"]},
    {"id": 2, "text": "ab", "number": "a\0b", "nested": {"a": "x\0"}, "list": ["a\0"]},
    {"id": 3, "text": "\\u0000", "number": 3, "nested": {"a": "\\u0000"}, "list": ["\\u0000"]},
]


def test_a_text_with_nul_is_kept_beside_its_column_as_json_writes_it() -> None:
    (table,) = tables_of(NUL, max_nesting=0, limits=POSTGRES)
    rows = rows_of(table)
    assert [(row["text"], row["text__v_text"]) for row in rows] == [
        (None, '"a\\u0000b"'),
        ("ab", None),
        ("\\u0000", None),
    ]
    assert [(row["number"], row["number__v_text"]) for row in rows] == [(1, None), (None, '"a\\u0000b"'), (3, None)]
    assert [row["nested__v_text"] for row in rows] == [None, '{"a":"x\\u0000"}', None]
    assert json.loads(rows[2]["nested"]) == {"a": "\\u0000"}


def test_where_the_destination_holds_it_nothing_is_done() -> None:
    (table,) = tables_of(NUL, max_nesting=0)
    assert [row["text"] for row in rows_of(table)] == ["a\0b", "ab", "\\u0000"]


@pytest.mark.postgres
@pytest.mark.parametrize("nested", ["json", "tables"])
def test_records_with_nul_are_loaded_into_postgresql(dlt_home: Path, postgres_url: str, nested: str) -> None:
    name = f"limits_{os.getpid()}_{nested}"
    url = postgres_url if urlsplit(postgres_url).password else postgres_url.replace("@", ":unused@")
    pipeline = dlt.pipeline(name, destination=side_by_side_postgres(url), dataset_name=name)

    @dlt.resource(name="datasets", file_format="parquet", max_table_nesting=0 if nested == "json" else None)
    def datasets() -> Iterator[list[Record]]:
        yield NUL

    notes: dict[str, Any] = {}
    step: Any = ColumnarBatches("datasets", 0 if nested == "json" else None, lambda: True, note=notes.__setitem__)
    try:
        pipeline.run(
            dlt.sources.DltSource(dlt.Schema("datasets"), "datasets", [datasets().add_step(step)])
        ).raise_on_failed_jobs()
        with pipeline.sql_client() as client:
            found = client.execute_sql("SELECT text, text__v_text, number__v_text FROM datasets ORDER BY id")
        assert found == [(None, '"a\\u0000b"', None), ("ab", None, '"a\\u0000b"'), ("\\u0000", None, None)]
        # Counted, and named, for whoever reports the load.
        beside = notes["values_beside"]
        in_nested = (
            ["datasets.nested", "datasets.list"] if nested == "json" else ["datasets.nested.a", "datasets__list."]
        )
        assert beside == dict.fromkeys(["datasets.text", "datasets.number", *in_nested], 1)
    finally:
        with pipeline.sql_client() as client:
            client.execute_sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        pipeline.drop()


def test_a_text_too_long_for_its_column_is_one_sentence() -> None:
    limits = Limits(text_bytes=10)
    tables_of([{"id": 1, "text": "é" * 5}], limits=limits)
    with pytest.raises(
        PermanentError,
        match=r"^A value of the field `owner\.text` has 12 bytes, and a text of the destination has room for 10",
    ):
        tables_of([{"id": 1, "owner": {"text": "é" * 6}}], limits=limits)


def test_more_columns_than_the_destination_holds_are_one_sentence() -> None:
    wide = [{"id": 1, "object": {f"field {number}": 1 for number in range(1600)}}]
    with pytest.raises(
        PermanentError, match=r"the destination can hold 1600\. Nothing was loaded\. Set the option `nested` to `json`"
    ):
        tables_of(wide, limits=POSTGRES)
    tables_of(wide, max_nesting=0, limits=POSTGRES)
    tables_of(wide)


@pytest.mark.parametrize(
    ("destination", "limits"),
    [
        (dlt.destinations.duckdb(":memory:"), Limits()),
        (side_by_side_postgres("postgresql://a:b@127.0.0.1/d"), POSTGRES),
        (dlt.destinations.sqlalchemy("sqlite://"), Limits(columns=2000)),
        (dlt.destinations.sqlalchemy("mysql+pymysql://a:b@127.0.0.1/d"), Limits(text_bytes=65_535, columns=1017)),
    ],
)
def test_limits_are_those_of_the_destination(dlt_home: Path, destination: Any, limits: Limits) -> None:
    dlt.pipeline("limits", destination=destination)
    assert current_limits() == limits


# Digits


def test_digits_that_are_cut_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="include")
    records = [
        {"id": n, "at": f"2026-11-26T12:00:00.00000{n}5Z", "on": "2026-11-26T12:00:00.1230000Z", "price": "0.12345"}
        for n in range(8)
    ]
    schema = Schema("datasets")
    price: Any = {"name": "price", "data_type": "decimal", "precision": 10, "scale": 2}
    schema.update_table({"name": "datasets", "columns": {"price": price}})
    tables = RecordTables("datasets", schema, "1", TableOptions())
    for _ in range(2):
        (table,) = tables.of(records)
    assert str(table.rows["price"][0].as_py()) == "0.12"
    assert [record.getMessage() for record in caplog.records] == [
        "The field `at` has values that are finer than its column `at`, a timestamp: their last digits are cut.",
        "The field `price` has values that are finer than its column `price`, a decimal: their last digits are cut.",
    ]


def test_half_a_character_is_shown_as_a_browser_would() -> None:
    (table,) = tables_of([{"id": 1, "text": "a\ud800b", "nested": ["\udc00"]}], max_nesting=0)
    (row,) = rows_of(table)
    assert (row["text"], json.loads(row["nested"])) == ("a\ufffdb", ["\ufffd"])
