"""Schemas of two loads, put together."""

from typing import Any

import pytest
from dlt.common.schema import Schema

from include.errors import TransientError
from include.load.schema_union import check_collision, knows_all, union


def schema(**columns: Any) -> Schema:
    """A schema whose table `datasets` has these columns, by their types; None: only ever null."""
    made = Schema("datasets")
    described = {name: {"name": name, **({"data_type": kind} if kind else {})} for name, kind in columns.items()}
    made.update_table({"name": "datasets", "columns": described})  # type: ignore[typeddict-item]
    return made


def with_child(parent: Schema, name: str) -> Schema:
    parent.update_table(
        {"name": name, "parent": "datasets", "columns": {"value": {"name": "value", "data_type": "text"}}}
    )
    return parent


def types(of: Schema, table: str = "datasets") -> dict[str, Any]:
    return {name: column.get("data_type") for name, column in of.tables[table]["columns"].items()}


def test_both_are_in_the_union_and_neither_is_changed() -> None:
    ours, stored = (
        with_child(schema(id="bigint", a="text"), "datasets__a"),
        with_child(schema(id="bigint"), "datasets__b"),
    )
    both = union(ours, stored)
    assert types(both) == {"id": "bigint", "a": "text"}
    assert {"datasets__a", "datasets__b"} <= set(both.tables)
    assert "datasets__a" not in stored.tables
    assert "datasets__b" not in ours.tables
    assert knows_all(both, ours)
    assert knows_all(both, stored)
    assert not knows_all(ours, stored)


def test_a_column_that_was_only_null_in_one_has_the_type_of_the_other() -> None:
    ours, stored = schema(a=None, b="bigint"), schema(a="double", b=None)
    check_collision(ours, stored)
    assert types(union(ours, stored)) == {"a": "double", "b": "bigint"}
    assert not knows_all(ours, stored)


def test_where_both_speak_of_the_same_ours_counts() -> None:
    ours, stored = schema(id="bigint"), schema(id="bigint")
    ours.tables["datasets"]["columns"]["id"]["primary_key"] = True
    stored.tables["datasets"]["write_disposition"], ours.tables["datasets"]["write_disposition"] = "replace", "merge"
    both = union(ours, stored).tables["datasets"]
    assert both["columns"]["id"]["primary_key"] is True
    assert both["write_disposition"] == "merge"


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (
            schema(a="double"),
            "has added the column `a` to the table `datasets` as double while this one was reading it as",
        ),
        (with_child(schema(a="bigint"), "datasets__b"), "has added the table `datasets__b` while this one was reading"),
    ],
)
def test_what_does_not_fit_is_tried_again(stored: Schema, sentence: str) -> None:
    with pytest.raises(TransientError, match=sentence):
        check_collision(schema(a="bigint"), stored)
    # The other way round, a table that only this load has is no collision.
    check_collision(with_child(schema(b="text"), "datasets__b"), schema(c="text"))


def test_a_column_that_each_has_made_for_another_field_is_refused() -> None:
    """The names of `Name` and `name` fall together, and each run has given the column to the one that it met."""
    ours, stored = schema(name="text"), schema(name="text")
    stored.tables["datasets"]["columns"]["name"]["x-field"] = ["Name"]  # type: ignore[typeddict-unknown-key]
    check_collision(ours, stored)
    ours.tables["datasets"]["columns"]["name"]["x-field"] = ["name"]  # type: ignore[typeddict-unknown-key]
    with pytest.raises(TransientError, match="for another field"):
        check_collision(ours, stored)


def test_a_child_table_that_each_has_made_for_another_list_is_refused() -> None:
    ours, stored = (with_child(schema(id="bigint"), "datasets__tags") for _ in range(2))
    ours.tables["datasets__tags"]["x-field"] = ["tags"]  # type: ignore[typeddict-unknown-key]
    stored.tables["datasets__tags"]["x-field"] = ["Tags"]  # type: ignore[typeddict-unknown-key]
    with pytest.raises(TransientError, match="for another list"):
        check_collision(ours, stored)
