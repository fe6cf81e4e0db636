"""Each field has a column of its own, under a name that can be read and that stays; and each value is in it.

Records are put together again from the tables, by what the columns say of the field that they hold (`x-field`), and
compared with what came.
"""

import itertools
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import pyarrow.parquet as pq
import pytest
from dlt.common.time import ensure_datetime, normalize_timezone
from dlt.pipeline.exceptions import PipelineStepFailed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.errors import PermanentError
from include.extract.columnar import batches
from include.extract.columnar.batches import ColumnarBatches
from include.extract.columnar.names import LOADERS_COLUMNS
from tests.unit.conftest import innermost

Record = dict[str, Any]

ROWS_PER_BATCH = 4
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ROWS_PER_BATCH", ROWS_PER_BATCH)


class Tables:
    """One pipeline into which records are extracted and normalized, load after load, each into Parquet files."""

    def __init__(self, home: Path, nested: str = "tables") -> None:
        self.nested = nested
        self.rows: dict[str, list[Record]] = {}
        self._known: Any = {}
        self.pipeline = dlt.pipeline(
            f"names{next(_numbers)}",
            destination=dlt.destinations.duckdb(":memory:"),
            pipelines_dir=str(home / "pipelines"),
        )

    def load(self, records: list[Record], key: tuple[str, ...] = ("id",), **options: Any) -> "Tables":
        """The tables, with what this load has put into them in place of what was there."""
        pages = [records[first : first + ROWS_PER_BATCH] for first in range(0, len(records), ROWS_PER_BATCH)]
        left = len(pages)

        def datasets() -> Iterator[list[Record]]:
            nonlocal left
            for page in pages:
                left -= 1
                yield page

        step: Any = ColumnarBatches(
            "datasets", 0 if self.nested == "json" else None, lambda: left == 0, keys=[key], **options
        )
        resource = dlt.resource(
            datasets,
            name="datasets",
            primary_key=key[0],
            write_disposition="merge",
            max_table_nesting=0 if self.nested == "json" else None,
            file_format="parquet",
        ).add_step(step)
        source = dlt.sources.DltSource(dlt.Schema("datasets"), "datasets", [resource])
        source.root_key = True
        self.pipeline.extract(source)
        self.pipeline.normalize()
        self.rows = {}
        for load_id in self.pipeline.list_normalized_load_packages():
            for job in self.pipeline.get_load_package_info(load_id).jobs["new_jobs"]:
                table = job.job_file_info.table_name
                if table.startswith("_dlt"):
                    continue
                self.rows.setdefault(table, []).extend(pq.read_table(job.file_path).to_pylist())
            self.pipeline._get_load_storage().normalized_packages.delete_package(load_id)
        # Once: dlt reads the file, and hashes all that is in it, each time that it is asked.
        self._known = self.pipeline.default_schema.tables
        return self

    def columns(self, table: str = "datasets") -> dict[str, Any]:
        """The columns of the table, with dlt's hints."""
        return dict(self._known[table]["columns"])

    def fields(self, table: str = "datasets") -> dict[str, list[str]]:
        """Which field each column holds that is not the loader's own."""
        return {name: column["x-field"] for name, column in self.columns(table).items() if "x-field" in column}

    def records(self) -> list[Any]:
        """The records, put together again from the rows of all tables."""
        return [self._value("datasets", row) for row in self.rows["datasets"]]

    def _value(self, table: str, row: Record) -> Any:
        columns = self.columns(table)
        value: Any = None
        for name, found in row.items():
            if found is None or "x-field" not in columns[name]:
                assert found is None or name in LOADERS_COLUMNS, f"nothing says what is in {name}"
                continue
            shown = json.loads(found) if columns[name]["data_type"] == "json" else found
            value = put(value, columns[name]["x-field"], shown)
        for name, child in self._known.items():
            if child.get("parent") != table:
                continue
            below = [each for each in self.rows.get(name, ()) if each["_dlt_parent_id"] == row["_dlt_id"]]
            if below:
                below.sort(key=lambda each: int(each["_dlt_list_idx"]))
                value = put(value, child["x-field"], [self._value(name, each) for each in below])  # type: ignore[typeddict-item]
        return value


def put(value: Any, path: list[str], found: Any) -> Any:
    """`value` with `found` at the path; nothing is there yet."""
    if not path:
        assert value is None, "two values for one"
        return found
    value = {} if value is None else value
    value[path[0]] = put(value.get(path[0]), path[1:], found)
    return value


def as_it_can_come_back(value: Any) -> Any:
    """The value without what makes no column: null, and what is empty."""
    if isinstance(value, dict):
        kept = {key: shown for key, each in value.items() if (shown := as_it_can_come_back(each)) is not None}
        return kept or None
    if isinstance(value, list):
        return [as_it_can_come_back(each) for each in value] or None
    return value


def assert_same(found: Any, sent: Any, is_json: bool) -> None:
    sent = sent if is_json else as_it_can_come_back(sent)
    if isinstance(found, dict) and isinstance(sent, dict):
        assert found.keys() == sent.keys()
        for key in sent:
            assert_same(found[key], sent[key], is_json)
    elif isinstance(found, list) and isinstance(sent, list):
        assert len(found) == len(sent)
        for ours, theirs in zip(found, sent, strict=True):
            assert_same(ours, theirs, is_json)
    elif isinstance(found, datetime):
        assert found == normalize_timezone(ensure_datetime(sent), timezone=True)
    elif isinstance(found, str) and not isinstance(sent, str):
        # A column of texts takes anything, as text.
        assert json.loads(found) == sent if isinstance(sent, (dict, list)) else found == str(sent)
    elif isinstance(sent, str) and not isinstance(found, str):
        # Where a text is the very number, written as JSON writes it, it goes into a column of numbers.
        assert str(found) == sent
    else:
        assert found == sent
        assert isinstance(found, bool) == isinstance(sent, bool)


def assert_all_there(tables: Tables, records: list[Record]) -> None:
    found = tables.records()
    assert len(found) == len(records)
    for ours, sent in zip(sorted(found, key=lambda record: int(record["id"])), records, strict=True):
        sent = {key: value for key, value in sent.items() if value is not None}
        assert ours.keys() == as_it_can_come_back(sent).keys() if tables.nested == "tables" else sent.keys()
        for key in ours:
            assert_same(ours[key], sent[key], tables.nested == "json")


TOGETHER = [
    ("Name", "name"),
    ("userId", "userID", "user_id"),
    ("a.b", "a_b", "a b"),
    ("名前", "住所"),
    ("é", "e", "x"),
    ("😀", "grinning"),
    ("a__b", "a_b", "a__b__"),
    ("", " ", "_empty"),
    ("%$", "$%"),
    ("__", "____", "_"),
    ("a" * 80, "a" * 79 + "A"),
    ("x", "X", "x_2"),
    ("value", "Value"),
    ("_dlt_id", "field_dlt_id"),
    tuple(sorted(LOADERS_COLUMNS)),
]
ALL_NAMES = list(dict.fromkeys(name for names in TOGETHER for name in names))


@pytest.mark.parametrize("nested", ["json", "tables"])
def test_two_fields_never_end_in_one_column(dlt_home: Path, nested: str) -> None:
    records = [{"id": number, **{name: f"{name} {number}" for name in ALL_NAMES}} for number in range(6)]
    assert_all_there(Tables(dlt_home, nested).load(records), records)


def test_nor_in_one_child_table_or_below_objects(dlt_home: Path) -> None:
    records = [
        {
            "id": number,
            "object": {name: {"list": [f"{name} {number}", {name: number}]} for name in ALL_NAMES},
            **{name: [{name: number}, [number], f"{name}"] for name in ALL_NAMES},
        }
        for number in range(6)
    ]
    assert_all_there(Tables(dlt_home).load(records), records)


@pytest.mark.parametrize("value", [1, {"a": 1}, [1], [{"__": 1}]], ids=str)
@pytest.mark.parametrize("nested", ["json", "tables"])
def test_a_field_of_underscores_has_a_name(dlt_home: Path, value: Any, nested: str) -> None:
    """dlt takes two of them for what stands between names, and makes a column without a name, which no database takes."""
    records = [{"id": 1, "__": value, "_empty": 2}]
    tables = Tables(dlt_home, nested).load(records)
    assert_all_there(tables, records)
    assert all(name and not name.startswith("C") for table in tables.rows for name in (table, *tables.columns(table)))


def test_an_object_and_a_field_with_dots_are_two(dlt_home: Path) -> None:
    records = [{"id": 1, "a": {"b": 1}, "a__b": 2, "a.b": 3, "list": [[1], {"list": [2], "value": 3}, 4]}]
    assert_all_there(Tables(dlt_home).load(records), records)


def test_names_can_be_read(dlt_home: Path) -> None:
    names = ["名前", "Größe", "имя", "😀", "\ue000", "userID", "_dlt_id", "ÄÖ", "Name", "name"]
    tables = Tables(dlt_home, "json").load([{"id": 1, **dict.fromkeys(names, 1)}])
    assert tables.fields() == {
        "id": ["id"],
        "ming_qian": ["名前"],
        "grosse": ["Größe"],
        "imya": ["имя"],
        "grinning": ["😀"],
        "field": ["\ue000"],
        "user_id": ["userID"],
        "field_dlt_id": ["_dlt_id"],
        "ao": ["ÄÖ"],
        "name": ["name"],
        "name_2": ["Name"],
    }


def test_the_name_of_a_field_stays_whatever_else_comes(dlt_home: Path) -> None:
    tables = Tables(dlt_home)
    first = {"Name": "first", "住所": 1, "Tags": [1], "owner": {"ID": 1}}
    tables.load([{"id": 1, **first}])
    before = tables.fields(), set(tables.pipeline.default_schema.tables)
    second = [{"id": 2, "name": "second", "Name": "second", "tags": [2], "Tags": [3], "owner": {"id": 2, "ID": 3}}]
    assert_all_there(tables.load(second), second)
    assert before[0].items() <= tables.fields().items()
    assert before[1] <= set(tables.pipeline.default_schema.tables)
    assert tables.fields()["name"] == ["Name"]
    third = [{"id": 3, **first}]
    assert_all_there(tables.load(third), third)


def test_a_field_that_comes_later_in_the_read_has_a_column_of_its_own(dlt_home: Path) -> None:
    records = [{"id": number, "Name" if number < 5 else "name": number, "x": [number]} for number in range(12)]
    tables = Tables(dlt_home).load(records)
    assert_all_there(tables, records)
    assert tables.fields()["name"] == ["Name"]


def test_a_column_that_is_there_keeps_its_name_and_its_field(dlt_home: Path) -> None:
    """What a version before `x-field` has loaded: `x` is a Japanese field, and `name` was `Name`."""
    tables = Tables(dlt_home)
    old = dlt.resource([{"id": 1, "Name": "old", "名前": "old", "Tags": ["old"]}], name="datasets", primary_key="id")
    tables.pipeline.extract(dlt.sources.DltSource(dlt.Schema("datasets"), "datasets", [old]))
    tables.pipeline.normalize()
    for load_id in tables.pipeline.list_normalized_load_packages():
        tables.pipeline._get_load_storage().normalized_packages.delete_package(load_id)
    records = [{"id": 2, "Name": "new", "名前": "new", "住所": "new", "Tags": ["new"], "tags": ["other"]}]
    assert_all_there(tables.load(records), records)
    assert tables.fields() == {"id": ["id"], "name": ["Name"], "x": ["名前"], "zhu_suo": ["住所"]}
    assert [row["value"] for row in tables.rows["datasets__tags"]] == ["new"]
    assert [row["value"] for row in tables.rows["datasets__tags_2"]] == ["other"]


@pytest.mark.parametrize("key", ["ID", "userID", "番号"])
def test_the_column_of_the_key_holds_the_key(dlt_home: Path, key: str) -> None:
    """`id` would else be the column of the field `id`, and a merge by it would delete other records."""
    tables = Tables(dlt_home, "json").load(
        [{"id": number, "x": 0, "user_id": 0, key: number} for number in range(3)], (key,)
    )
    (column,) = (name for name, hints in tables.columns().items() if hints.get("primary_key"))
    assert tables.fields()[column] == [key]
    assert sorted(row[column] for row in tables.rows["datasets"]) == [0, 1, 2]


def test_a_key_whose_column_holds_another_field_fails_with_a_sentence(dlt_home: Path) -> None:
    tables = Tables(dlt_home, "json").load([{"id": 1, "name": 1}])
    with pytest.raises(PipelineStepFailed) as failure:
        tables.load([{"id": 1, "Name": 1}], ("Name",))
    error = innermost(failure.value)
    assert isinstance(error, PermanentError)
    assert str(error).startswith(
        "The key `Name` cannot be loaded into the table `datasets`: its column would be `name`"
    )


def test_which_column_a_field_is_in_is_logged_once(dlt_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="include")
    tables = Tables(dlt_home)
    records = [
        {"id": number, "name": 1, "Name": 1, "a\nb\x1b[31m" + "c" * 500: 1, "Größe": [1]} for number in range(12)
    ]
    tables.load(records)
    said = [record.getMessage() for record in caplog.records if " is in the " in record.getMessage()]
    assert "The field `Name` is in the column `name_2` of the table `datasets`." in said
    assert "The list `Gr\\u00f6\\u00dfe` is in the table `datasets__grosse`." in said
    assert len(said) == len(set(said))
    tables.load(records)
    assert [record.getMessage() for record in caplog.records if " is in the " in record.getMessage()] == said
    assert not [text for text in said if not text.isprintable() or len(text) > 300]


def test_stamps_are_columns_of_the_loader_beside_a_field_of_the_same_name(dlt_home: Path) -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    tables = Tables(dlt_home).load(
        [{"id": 1, "_run_id": "theirs", "_loaded_at": "never"}], stamps={"_run_id": "ours", "_loaded_at": now}
    )
    (row,) = tables.rows["datasets"]
    assert (row["_run_id"], row["_loaded_at"]) == ("ours", now)
    assert (row["field_run_id"], row["field_loaded_at"]) == ("theirs", "never")


def test_a_field_named_like_the_hash_does_not_freeze_its_record(dlt_home: Path) -> None:
    """In history, the version of a record is told by a hash over all its fields, those that look like dlt's too."""
    ids = []
    for value in ("a", "b", "b"):
        tables = Tables(dlt_home).load([{"id": 1, "_dlt_id": value}], hashed_rows=True)
        ids.append(tables.rows["datasets"][0]["_dlt_id"])
    assert ids[0] != ids[1] == ids[2] != "b"


# Anything at all

ANY_NAME = st.sampled_from(ALL_NAMES) | st.text(max_size=4)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["2024-02-29T12:00:00Z", "0001-01-01T00:00:00+01:00", "2024", "12", "0012", "1e3", "true", "{}", ""]
    ),
)


def nested_in(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Values of any kind whose objects have some of a few names, so that they meet."""
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=6,
    )


@st.composite
def some_records(draw: st.DrawFn) -> list[list[Record]]:
    """Two loads of records, which share a few names at all levels."""
    names = draw(st.lists(ANY_NAME.filter(lambda name: name != "id"), min_size=2, max_size=6, unique=True))
    record = st.dictionaries(st.sampled_from(names), nested_in(st.sampled_from(names)), max_size=len(names))
    number = itertools.count()
    loads = draw(st.lists(st.lists(record, min_size=1, max_size=6), min_size=2, max_size=2))
    return [[{"id": next(number), **each} for each in load] for load in loads]


@pytest.mark.parametrize("nested", ["json", "tables"])
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(loads=some_records())
def test_any_value_is_found_again_under_a_name_of_its_own(
    dlt_home: Path, nested: str, loads: list[list[Record]]
) -> None:
    tables = Tables(dlt_home, nested)
    for records in loads:
        assert_all_there(tables.load(records), records)
    for table in tables.pipeline.default_schema.data_table_names():
        fields = [
            (tuple(hints["x-field"]), hints.get("variant"))
            for hints in tables.columns(table).values()
            if "x-field" in hints
        ]
        own = [field for field, is_variant in fields if not is_variant]
        assert len(own) == len(set(own))
