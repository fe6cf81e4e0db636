"""What a merge leaves alone, what it counts, and what it takes out: on each destination, by what SQL finds before and after."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.decide.deletes import DeleteRule
from include.load.counts import RowCounts
from tests.support.merged_load import MergedTable, Record, place

KINDS = [
    "duckdb",
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mysql", marks=pytest.mark.mysql),
]
# dlt's own statement for child tables, in SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:Coercing Subquery object:sqlalchemy.exc.SAWarning")
NOISE = (("fetched_at",), ("owner", "seen"), ("tags", "checked"), ("more", "views"))


@pytest.fixture
def table(request: pytest.FixtureRequest, dlt_home: Path, tmp_path: Path, postgres_url: str) -> Iterator[MergedTable]:
    """An empty place at the destination that the test names."""
    with opened(request.param, tmp_path, postgres_url) as made:
        yield made


@contextmanager
def opened(kind: str, folder: Path, postgres_url: str) -> Iterator[MergedTable]:
    with place(kind, folder, postgres_url) as (credentials, dataset):
        made = MergedTable(kind, credentials, dataset, folder)
        try:
            yield made
        finally:
            made.drop()


on_each_destination = pytest.mark.parametrize("table", KINDS, indirect=True)


def numbered(*numbers: int, **fields: Any) -> list[Record]:
    return [{"id": number, "tags": [{"name": "a"}], **fields} for number in numbers]


def ids(table: MergedTable, condition: str = "1 = 1") -> list[int]:
    return [number for (number,) in table.query(f"SELECT id FROM {{datasets}} WHERE {condition} ORDER BY id")]


@on_each_destination
def test_more_than_the_share_changes_nothing(table: MergedTable) -> None:
    table.load(numbered(*range(10)))
    before = (
        table.query("SELECT * FROM {datasets} ORDER BY id"),
        table.query("SELECT * FROM {datasets__tags} ORDER BY 1"),
    )
    rule = DeleteRule("remove", 0.2)
    with pytest.raises(Exception, match="3 of 10 rows of the table `datasets` would be removed") as caught:
        table.load(numbered(*range(7), n=1), rule=rule)
    assert "run it once with the param `allow_deletes`" in str(caught.value)
    table.pipeline.abort_packages()
    names = "id, _dlt_load_id, _row_hash, _dlt_id"
    assert table.query(f"SELECT {names} FROM {{datasets}} ORDER BY id") == [
        tuple(dict(zip(_names(table), row, strict=False))[name] for name in names.split(", ")) for row in before[0]
    ]
    assert table.query("SELECT * FROM {datasets__tags} ORDER BY 1") == before[1]

    proof = table.load(numbered(*range(7), n=1), rule=DeleteRule("remove", 0.2, any_share=True))
    assert proof.counts == RowCounts(updated=7, deleted=3)
    assert ids(table) == list(range(7))
    assert table.query("SELECT count(*) FROM {datasets__tags}") == [(7,)]


def _names(table: MergedTable) -> list[str]:
    # Those that the table had before `n` came.
    return [name for name in table.pipeline.default_schema.tables["datasets"]["columns"] if name != "n"]


@on_each_destination
def test_an_empty_snapshot_is_more_than_the_share(table: MergedTable) -> None:
    table.load(numbered(1, 2))
    with pytest.raises(Exception, match="2 of 2 rows"):
        table.load([], rule=DeleteRule("mark", 0.5))
    table.pipeline.abort_packages()
    assert table.load([], rule=DeleteRule("mark", 1.0)).counts == RowCounts(deleted=2)
    assert ids(table, "_deleted_at IS NOT NULL") == [1, 2]
    assert table.load(numbered(2, 3), rule=DeleteRule("mark", 1.0)).counts == RowCounts(inserted=1, updated=1)
    assert ids(table, "_deleted_at IS NULL") == [2, 3]


@on_each_destination
def test_rows_of_another_source_have_not_vanished(table: MergedTable) -> None:
    table.load(numbered(1, 2))
    (other,) = table.pipeline.last_trace.last_load_info.loads_ids
    table.load(numbered(3, 4))
    proof = table.load(numbered(3), rule=DeleteRule("remove", 1.0, other_loads=(other,)))
    assert proof.counts == RowCounts(unchanged=1, deleted=1)
    assert ids(table) == [1, 2, 3]


@on_each_destination
def test_a_run_that_appends_again_writes_what_is_different(table: MergedTable) -> None:
    table.load(numbered(1, 2, 3), "append", run="one")
    table.load(numbered(1, 2, 3), "append", run="two")
    (first,) = table.query("SELECT DISTINCT _dlt_load_id FROM {datasets} WHERE _run_id = 'two'")
    proof = table.load([*numbered(1), *numbered(2, n=5), *numbered(4)], "append", run="two")
    assert proof.counts == RowCounts(inserted=1, updated=1, unchanged=1, deleted=1)
    assert ids(table, "_run_id = 'one'") == [1, 2, 3]
    assert ids(table, "_run_id = 'two'") == [1, 2, 4]
    assert ids(table, f"_dlt_load_id = '{first[0]}'") == [1]
    assert table.query("SELECT count(*) FROM {datasets__tags}") == [(6,)]
    # A merge makes one row of all that runs have appended.
    assert table.load(numbered(1)).counts == RowCounts(updated=1)
    assert ids(table) == [1, 2, 2, 3, 4]


@on_each_destination
@pytest.mark.parametrize("mode", ["merge", "scd2"])
def test_rows_without_a_hash_are_compared_by_their_values_once(table: MergedTable, mode: str) -> None:
    records: list[Record] = [
        {"id": number, "name": name, "tags": [{"name": "a", "more": [1, 2]}, {"name": "b", "more": []}]}
        for number, name in enumerate(["same", "text", "child", "grandchild", None, "noise"])
    ]
    table.load(records, mode)
    table.query("UPDATE {datasets} SET _row_hash = NULL")
    records[1]["name"] = "Text"
    records[2]["tags"] = [{"name": "a", "more": [1, 2]}]
    records[3]["tags"] = [{"name": "a", "more": [2, 1]}, {"name": "b"}]
    before = dict(table.query("SELECT id, _dlt_id FROM {datasets}"))
    assert table.load(records, mode).counts == RowCounts(updated=3, unchanged=3, deleted=0)
    valid = "_dlt_valid_to IS NULL" if mode == "scd2" else "1 = 1"
    after = dict(table.query(f"SELECT id, _dlt_id FROM {{datasets}} WHERE {valid}"))
    assert [number for number in before if before[number] == after[number]] == [0, 4, 5]
    assert table.query("SELECT count(*) FROM {datasets} WHERE _row_hash IS NULL AND " + valid) == [(0,)]
    assert table.load(records, mode).counts == RowCounts(unchanged=6)


# Any history of a collection: what each record has, by what may happen to it.


@dataclass(frozen=True)
class Version:
    """What counts of a record, and what does not."""

    name: str | None = "a"
    owner: str = "a"
    tags: tuple[str, ...] = ("a", "b")
    more: tuple[str, ...] = ()
    noise: int = 0
    is_reordered: bool = False
    has_nulls: bool = False

    @property
    def content(self) -> tuple[Any, ...]:
        return self.name, self.owner, self.tags, self.more

    def record(self, number: int) -> Record:
        record: Record = {
            "id": number,
            "name": self.name,
            "owner": {"name": self.owner, "seen": self.noise},
            "tags": [{"name": tag, "checked": self.noise} for tag in self.tags],
            "more": [{"list": [{"deep": deep} for deep in self.more], "views": self.noise}] if self.more else [],
            "fetched_at": self.noise,
        }
        if self.name is None and not self.has_nulls:
            del record["name"]
        return dict(reversed(record.items())) if self.is_reordered else record


texts = st.sampled_from(["a", "A", "a ", "ä", "x:1=y", "\x1f", ""])
versions = st.builds(
    Version,
    name=st.none() | texts,
    owner=texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    more=st.lists(texts, max_size=2).map(tuple),
    noise=st.integers(0, 3),
    is_reordered=st.booleans(),
    has_nulls=st.booleans(),
)
Snapshot = dict[int, Version]


@st.composite
def histories(draw: st.DrawFn) -> list[Snapshot]:
    """Two to four snapshots; from one to the next a record stays, changes in what does not count, changes, comes or goes."""
    now: Snapshot = draw(st.dictionaries(st.integers(1, 6), versions, min_size=1))
    found = [now]
    for _ in range(draw(st.integers(1, 3))):
        following = {}
        for number in range(1, 7):
            before = now.get(number)
            match draw(st.sampled_from(["stays", "noise", "changes", "goes"])):
                case "stays" if before:
                    following[number] = before
                case "noise" if before:
                    other = draw(versions)
                    following[number] = Version(*before.content, other.noise, other.is_reordered, other.has_nulls)
                case "changes":
                    following[number] = draw(versions)
        # Of nothing there is nothing to stage.
        now = following or now
        found.append(now)
    return found


@dataclass
class Model:
    """What the table should have: of each record its version, the load that changed it last, and whether it is marked."""

    mode: str
    deletes: str
    rows: dict[int, tuple[tuple[Any, ...], str, bool]] = field(default_factory=dict)

    def load(self, snapshot: Snapshot, load_id: str) -> RowCounts:
        counts = RowCounts()
        for number, version in snapshot.items():
            before = self.rows.get(number)
            if before is None:
                counts.inserted += 1
            elif before[0] == version.content and not before[2] and self.mode != "replace":
                counts.unchanged += 1
                continue
            else:
                counts.updated += 1
            self.rows[number] = version.content, load_id, False
        for number in self.rows.keys() - snapshot.keys():
            if self.mode in ("replace", "scd2") or self.deletes == "remove":
                counts.deleted += 1
                del self.rows[number]
            elif self.deletes == "mark" and not self.rows[number][2]:
                counts.deleted += 1
                self.rows[number] = self.rows[number][0], load_id, True
        return counts


def found_rows(table: MergedTable, mode: str, deletes: str) -> dict[int, tuple[tuple[Any, ...], str, bool]]:
    """What SQL finds of it, in all tables."""
    known = table.pipeline.default_schema.tables
    valid = " WHERE _dlt_valid_to IS NULL" if mode == "scd2" else ""
    columns = known["datasets"]["columns"]
    name = "name" if columns.get("name", {}).get("data_type") else "NULL"
    marked = "_deleted_at" if deletes == "mark" else "NULL"
    rows = table.query(f"SELECT id, {name}, owner__name, _dlt_load_id, {marked}, _dlt_id FROM {{datasets}}{valid}")

    def children(of: str, text: str) -> dict[str, list[Any]]:
        below: dict[str, list[Any]] = {}
        if of in known:
            for root, _, value in sorted(table.query(f"SELECT _dlt_root_id, _dlt_list_idx, {text} FROM {{{of}}}")):
                below.setdefault(root, []).append(value)
        return below

    tags, more = children("datasets__tags", "name"), children("datasets__more__list", "deep")
    return {
        number: ((name, owner, tuple(tags.get(row, ())), tuple(more.get(row, ()))), load, mark is not None)
        for number, name, owner, load, mark, row in rows
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mode", "deletes"),
    [("merge", "ignore"), ("merge", "remove"), ("merge", "mark"), ("scd2", "ignore"), ("replace", "ignore")],
)
def test_any_history_is_counted_as_sql_finds_it(
    kind: str, mode: str, deletes: Any, dlt_home: Path, tmp_path: Path, postgres_url: str
) -> None:
    @settings(
        max_examples=4,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(history=histories())
    def holds(history: list[Snapshot]) -> None:
        with opened(kind, tmp_path, postgres_url) as table:
            model = Model(mode, deletes)
            for snapshot in history:
                records = [version.record(number) for number, version in snapshot.items()]
                proof = table.load(records, mode, noise=NOISE, rule=DeleteRule(deletes, 1.0))
                (load_id,) = table.pipeline.last_trace.last_load_info.loads_ids
                assert proof.counts == model.load(snapshot, load_id)
                assert found_rows(table, mode, deletes) == model.rows

    holds()
