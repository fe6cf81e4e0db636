"""The API's own key in its records: found in any spelling, and nothing else replaced."""

import json
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from include.extract.own_key import OwnKey

KEY = "s3cr3t/+key=%&-2026"


def removed(value: Any, key: str | None = KEY, body: bytes | None = None) -> tuple[Any, int]:
    own_key = OwnKey(key)
    body = orjson.dumps(value) if body is None else body
    return own_key.remove(body, orjson.loads(body)), own_key.replaced_values


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("{}", "***"),
        ("https://api/v1/1?k={}", "https://api/v1/1?k=***"),
        ("https://api/v1/1?k={}&x=1#y", "https://api/v1/1?k=***&x=1#y"),
        ("next=%2Fv1%3Fk%3D{}%26x", "next=%2Fv1%3Fk%3D***%26x"),
        ("the key {}, twice: {}.", "the key ***, twice: ***."),
    ],
)
@pytest.mark.parametrize("spelling", [KEY, quote(KEY, safe=""), quote(KEY), quote(KEY, safe="").lower()])
def test_it_is_replaced_as_a_value_a_parameter_and_a_word(text: str, left: str, spelling: str) -> None:
    record = {"id": 1, "a": text.replace("{}", spelling), "b": {"c": [text.replace("{}", spelling)]}}
    assert removed({"data": [record]}) == ({"data": [{"id": 1, "a": left, "b": {"c": [left]}}]}, 2)


@pytest.mark.parametrize("key", [KEY, "abcdefgh12345678", "Schlüssel-nummer-17"])
@pytest.mark.parametrize("spelled", ["slash", "letter", "every character"])
def test_it_is_found_whatever_its_json_spelling(key: str, spelled: str) -> None:
    text = {
        "slash": json.dumps(key).replace("/", "\\/"),
        "letter": json.dumps(key).replace(key[0], f"\\u{ord(key[0]):04x}"),
        "every character": '"' + "".join(f"\\u{ord(character):04X}" for character in key) + '"',
    }[spelled]
    assert removed(None, key, f'[{{"a": {text}}}]'.encode()) == ([{"a": "***"}], 1)


@pytest.mark.parametrize("text", [f"x{KEY}", f"{KEY}x", f"{KEY}_1", KEY[:-1], KEY.upper()])
def test_a_part_of_another_word_is_left(text: str) -> None:
    assert removed([{"a": text}]) == ([{"a": text}], 0)


@pytest.mark.parametrize("key", ["", None, "postgres", "password", "a1b2c3d4e5f6g7h", "abcdefghijklmnopqrst", "1" * 20])
def test_a_key_that_may_be_a_word_or_a_number_is_never_looked_for(key: str | None) -> None:
    record = {"a": key, "b": f"{key} tuning"}
    assert removed([record], key) == ([record], 0)


def test_names_of_fields_are_never_replaced() -> None:
    assert removed([{KEY: 1, "a": {KEY: KEY}}]) == ([{KEY: 1, "a": {KEY: "***"}}], 1)


def test_the_link_to_the_next_page_is_no_record() -> None:
    page = {"data": [{"a": KEY}], "links": {"next": f"/v1?k={KEY}"}}
    assert removed(page) == ({"data": [{"a": "***"}], "links": {"next": f"/v1?k={KEY}"}}, 1)


def test_nothing_is_looked_into_where_the_key_cannot_be() -> None:
    class Untouchable(list[Any]):
        def __iter__(self) -> Any:
            raise AssertionError

    value = {"data": Untouchable([1])}
    assert OwnKey(KEY).remove(b'{"data": ["\\u00e9\\u002f", "\\/"]}', value) is value
