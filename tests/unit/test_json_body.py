"""The JSON of a body: character sets, digits, limits, and how half a body is known."""

import json
from typing import Any

import pytest
import requests
from urllib3 import HTTPHeaderDict

from include.errors import ResponseShapeError
from include.extract import json_body, limits
from include.extract.json_body import is_cut, parse_json
from include.extract.response import ApiResponse


def response(body: bytes, content_type: str = "application/json") -> ApiResponse:
    request = requests.Request("GET", "http://api/v1?k=secret").prepare()
    return ApiResponse(request, 200, "OK", HTTPHeaderDict({"Content-Type": content_type}), body)


def refusal_of(body: bytes) -> str:
    with pytest.raises(ResponseShapeError) as caught:
        parse_json(response(body))
    assert caught.value.__context__ is None
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_how_to_read(charset: str) -> None:
    assert parse_json(response('{"a": "é日本😀"}'.encode(charset))) == {"a": "é日本😀"}


@pytest.mark.parametrize(
    ("charset", "text"),
    [("iso-8859-1", "é"), ("ISO-8859-1", "é"), ("windows-1252", "€"), ("shift_jis", "日本"), ("utf-16le", "é日本")],
)
@pytest.mark.parametrize("form", ["application/json; charset={}", 'application/json;charset="{}"'])
def test_a_declared_character_set_is_used(charset: str, text: str, form: str) -> None:
    body = json.dumps({"a": text}, ensure_ascii=False).encode(charset)
    assert parse_json(response(body, form.format(charset))) == {"a": text}


def test_latin_1_is_windows_1252_as_in_browsers() -> None:
    assert parse_json(response(b'["\x80"]', "text/plain; charset=latin1")) == ["€"]


def test_a_character_set_that_nobody_knows_is_utf_8() -> None:
    assert parse_json(response('["é"]'.encode(), "application/json; charset=utf9000")) == ["é"]


@pytest.mark.parametrize("charset", ["idna", "undefined", "utf-7", "hex"])
def test_what_only_python_calls_a_character_set_is_utf_8(charset: str) -> None:
    body = '["é+2AA-"]'.encode()
    assert parse_json(response(body, f"application/json; charset={charset}")) == ["é+2AA-"]


@pytest.mark.parametrize("lone", [b"\\ud800", b"\\udc00x", b"\\ud83d \\ude00", b"\xed\xa0\x80"])
def test_half_a_surrogate_pair_becomes_the_replacement_character(lone: bytes) -> None:
    found = parse_json(response(b'{"a' + lone + b'": ["' + lone + b'", 1]}'))
    ((name, (text, one)),) = found.items()
    assert (name[0], one) == ("a", 1)
    assert "\ufffd" in text
    assert "\ufffd" in name
    text.encode()


def test_whole_pairs_stay_beside_a_half_one() -> None:
    assert parse_json(response(b'["\\ud83d\\ude00", "\\ud800", "\\\\ud800"]')) == ["😀", "\ufffd", "\\ud800"]


# Limits


@pytest.mark.parametrize("beside", ["", ", 12345678901234567890"])
@pytest.mark.parametrize("number", ["1e999999", "-1e999999", "1" + "0" * 400 + ".5"])
def test_a_number_beyond_64_bits_of_fraction_never_becomes_infinite(number: str, beside: str) -> None:
    assert "1.8e308" in refusal_of(f"[{number}{beside}]".encode())


@pytest.mark.parametrize("number", ["1" * 10_001, "0." + "1" * 10_000, "1e" + "1" * 10_000])
def test_a_number_has_a_longest_form(number: str) -> None:
    assert str(limits.NUMBER_CHARACTERS) in refusal_of(f"[{number}]".encode())


@pytest.mark.parametrize("levels", [101, 900, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("value", ["1", '"\\ud800"', "12345678901234567890"])
def test_nesting_has_an_end(levels: int, opens: str, closes: str, value: str) -> None:
    assert str(limits.NESTING_LEVELS) in refusal_of((opens * levels + value + closes * levels).encode())


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse_json(response(b"[" * 100 + b"]" * 100))


def test_brackets_in_texts_are_no_nesting() -> None:
    assert parse_json(response(b'["' + b"[" * 5000 + b'"]')) == ["[" * 5000]


@pytest.mark.parametrize("spread", ["one record", "many records", "nested"])
def test_the_different_names_in_one_answer_are_counted(spread: str) -> None:
    names = [f"n{number}" for number in range(limits.DISTINCT_NAMES + 1)]
    body: Any = {
        "one record": [dict.fromkeys(names)],
        "many records": [{name: 1} for name in names],
        "nested": [{"a": [{"b": dict.fromkeys(names)}]}],
    }[spread]
    assert str(limits.DISTINCT_NAMES) in refusal_of(json.dumps(body).encode())


def test_a_name_has_a_longest_form_and_is_shown_cut() -> None:
    assert str(limits.NAME_CHARACTERS) in refusal_of(b'[{"' + b"\\n" * 5_000_000 + b'": 1}]')


def test_a_record_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_body, "RECORD_BYTES", 1000)
    small, large = {"id": 1, "a": "x" * 500}, {"id": 2, "a": ["x" * 500, "x" * 500]}
    assert parse_json(response(json.dumps({"data": [small] * 5}).encode()))
    assert "1000" in refusal_of(json.dumps({"data": [small, large]}).encode())


# Half a body

WHOLE = [
    {"data": [{"id": 1, "name": "é{[\\\"'", "tags": ["a", "}]"], "n": -1.5e10}], "total": 1, "ok": True},
    [{"id": 1}, {"id": 2, "x": None}],
    {"data": []},
    [],
]


@pytest.mark.parametrize("value", WHOLE, ids=str)
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("space", ["", "\r\n "])
def test_each_beginning_of_a_body_is_known_as_half_of_it(value: Any, ascii_only: bool, space: str) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    body = space.encode() + text
    assert [length for length in range(1, len(text)) if not is_cut(body[: len(space) + length])] == []
    assert not is_cut(body)
    assert not is_cut(body + b"\n")


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"a": ]', b"[NaN", b"{]", b'{"a": 1}}', b"[1]]", b'["]", x]', b"null", b"4"]
)
def test_what_is_wrong_before_its_end_is_not_half_a_body(body: bytes) -> None:
    assert not is_cut(body)
