"""No spelling of a known secret survives in texts, errors and log records."""

import html
import json
import logging
import re
import threading
import time
import traceback
from urllib.parse import quote, quote_plus

import orjson
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from include import redaction
from include.redaction import forms_of, redact, redact_error, redact_log_records, register, shown

KEYS = [
    "s3cr3t/+key=%&",
    "k3y",
    "pässwörd\"'\\",
    "a b",
    "x",
    "a\nb\tc",
    "<tag>&amp;",
    "~tilde~",
    "日本語",
    "%2F%2B",
    "$^.*[",
]


def spellings(key: str) -> set[str]:
    """What the world makes of a key; written down here apart from `forms_of`."""
    encoded = {quote(key), quote(key, safe=""), quote_plus(key), quote_plus(key, safe="/~"), quote(key, safe="$&+,;=")}
    return {
        key,
        requests.utils.requote_uri(key),
        *encoded,
        *(re.sub("%[0-9A-F]{2}", lambda code: code.group().lower(), form) for form in encoded),
        quote(quote(key, safe=""), safe=""),
        json.dumps(key)[1:-1],
        json.dumps(key, ensure_ascii=False)[1:-1],
        orjson.dumps(key).decode()[1:-1],
        json.dumps(key)[1:-1].replace("/", "\\/"),
        repr(key)[1:-1],
        repr(key.encode())[2:-1],
        ascii(key)[1:-1],
        html.escape(key),
    }


@pytest.mark.parametrize("key", KEYS)
def test_every_spelling_of_a_secret_is_removed(key: str) -> None:
    register(key)
    for spelling in spellings(key) | forms_of(key):
        for text in (
            "{}",
            "GET /v1?k={}&offset=0",
            "GET /v1?offset=0&k={} HTTP/1.1",
            "key '{}' is wrong",
            "next=%2Fv1%3Fk%3D{}%26offset%3D0",
            '{{"key": "{}"}}',
            "line\\n{} line",
            "X-Token: {}",
        ):
            redacted = redact(text.format(spelling))
            assert redacted == text.format("***"), spelling


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="*"))


@given(key=TEXTS.filter(lambda key: len(key) >= 5), before=TEXTS, after=TEXTS)
def test_a_secret_of_five_characters_is_removed_wherever_it_stands(key: str, before: str, after: str) -> None:
    redaction._secrets = set()
    register(key)
    for form in (key, quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], repr(key)[1:-1]):
        assert form not in redact(f"{before}{form}{after}")


@pytest.mark.parametrize("key", ["a", "k3y", "id", "off"])
def test_a_short_secret_is_removed_where_it_stands_alone_and_words_stay(key: str) -> None:
    register(key)
    sentence = "The page at offset 100 has a record without id; kaka k3y2 offset"
    words = redact(sentence).split()
    assert "offset" in words
    assert key not in words
    assert redact(f"?api_key={key}&b=1") == "?api_key=***&b=1"


def test_the_longest_of_two_secrets_is_removed_whole() -> None:
    register("secret")
    register("secret-and-more")
    assert redact("secret-and-more secret") == "*** ***"


def test_an_empty_secret_removes_nothing() -> None:
    register("")
    assert redact("as it was") == "as it was"
    assert redaction._pattern is None


def test_registering_from_many_threads_loses_none() -> None:
    keys = [f"secret-{number}-" for number in range(64)]
    threads = [threading.Thread(target=register, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert redact("".join(keys)) == "***" * 64


KEY = "s3cr3t/+key=%&"


def formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


class OwnMessage(Exception):
    """Keeps its message where dlt keeps its: beside `args`."""

    def __init__(self, msg: str) -> None:
        self.msg = msg
        super().__init__(msg)

    def __str__(self) -> str:
        return self.msg


class OwnParts(Exception):
    """Puts its text together when asked."""

    def __init__(self, **parts: object) -> None:
        super().__init__()
        self.parts = parts
        self.seen = [f"?k={KEY}"]

    def __str__(self) -> str:
        return f"{self.parts} {self.seen}"


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"bad {KEY}"),
        ValueError(("nested", [KEY, {"key": KEY, KEY: 1}])),
        ValueError(KEY.encode()),
        KeyError(KEY),
        OSError(2, f"no such {KEY}", KEY),
        requests.ConnectionError(f"refused {quote(KEY, safe='')}"),
        requests.ConnectionError(requests.Timeout(f"inner {KEY}")),
        OwnMessage(f"bad {KEY}"),
        OwnParts(url=f"http://x/?k={quote_plus(KEY)}"),
        ExceptionGroup("group", [ValueError(KEY), OwnMessage(KEY)]),
        UnicodeEncodeError("ascii", KEY, 0, 2, f"no {KEY}"),
        SyntaxError(f"bad {KEY}", ("file", 1, 1, KEY)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_redacted_with_all_that_caused_it(error: BaseException) -> None:
    register(KEY)
    error.add_note(f"note {KEY}")
    outer = RuntimeError(f"outer {KEY}")
    try:
        try:
            try:
                raise error
            except BaseException as caught:
                raise KeyError(f"during {KEY}") from caught
        except KeyError:
            # Not `from`: what it happened in is its context.
            raise outer  # noqa: B904
    except RuntimeError:
        pass
    redact_error(outer)
    text = formatted(outer) + repr(outer)
    link: BaseException | None = outer
    while link is not None:
        text += repr(link.args) + str(link) + repr(link)
        link = link.__cause__ or link.__context__
    assert "***" in text
    assert not [form for form in spellings(KEY) if form in text]
    assert not [form for form in forms_of(KEY) if form in text]


def test_an_error_that_says_nothing_secret_is_left_as_it_is() -> None:
    register(KEY)
    arguments = (1, "text", ["list"], {"a": 1})
    error = ValueError(*arguments)
    redact_error(error)
    assert error.args == arguments
    assert error.args[2] is arguments[2]


def test_errors_that_cause_each_other_end() -> None:
    register(KEY)
    first, second = ValueError(KEY), ValueError(KEY)
    first.__cause__, second.__cause__ = second, first
    redact_error(first)
    assert (str(first), str(second)) == ("***", "***")


@pytest.fixture
def logged() -> "list[logging.LogRecord]":
    return []


@pytest.fixture
def log(logged: list[logging.LogRecord]) -> logging.Logger:
    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(record)

    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(Keep())
    return logger


def test_log_records_are_redacted_with_arguments_and_errors(
    log: logging.Logger, logged: list[logging.LogRecord]
) -> None:
    redact_log_records()
    register(KEY)
    log.info("url %s", f"http://x?k={quote(KEY, safe='')}")
    log.info("all %(key)s", {"key": KEY})
    log.info(f"in the format {quote_plus(KEY)}")
    log.info("object %r", {"key": KEY})
    try:
        raise ValueError(KEY)
    except ValueError:
        log.exception("failed")
    text = "\n".join(logging.Formatter().format(record) for record in logged)
    assert "ValueError: ***" in text
    assert not [form for form in spellings(KEY) if form in text]


def test_a_log_call_with_wrong_arguments_does_not_break_its_caller(
    log: logging.Logger, logged: list[logging.LogRecord]
) -> None:
    redact_log_records()
    register(KEY)
    log.info("two %s %s", f"one {KEY}")
    (record,) = logged
    assert KEY not in f"{record.msg} {record.args}"


def test_log_records_stay_as_they_are_while_no_secret_is_known(
    log: logging.Logger, logged: list[logging.LogRecord]
) -> None:
    redact_log_records()
    log.info("%d of %d", 1, 2)
    assert logged[0].args == (1, 2)


def test_redacting_log_records_twice_wraps_them_once() -> None:
    redact_log_records()
    factory = logging.getLogRecordFactory()
    redact_log_records()
    assert logging.getLogRecordFactory() is factory


def test_queries_of_dlts_addresses_are_not_logged(logged: list[logging.LogRecord]) -> None:
    redact_log_records()
    logger = logging.getLogger("dlt.test-of-queries")
    record = logger.makeRecord("dlt", 20, "f", 1, "GET https://api/v1?offset=0&from=2024-01-01 was sent", (), None)
    assert record.getMessage() == "GET https://api/v1?… was sent"
    for text in ("Did you mean `path`?", "why? a=1", "is it so?"):
        assert logger.makeRecord("dlt", 20, "f", 1, text, (), None).getMessage() == text


def test_queries_in_errors_are_removed() -> None:
    text = "Failed to parse: https://api/v1?offset=0&x=2 (really)"
    error, other = requests.exceptions.InvalidURL(text), ValueError(text)
    other.__context__ = error
    redact_error(other)
    assert str(error) == "Failed to parse: https://api/v1?… (really)"
    # Whose address this is, nobody knows.
    assert str(other) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\nINFO forged", "a\\nINFO forged"),
        ("\x1b[31mred\r\b\x00", "\\x1b[31mred\\r\\x08\\x00"),
        ("left\u202eright\u2028\u0085", "left\\u202eright\\u2028\\x85"),
        ("\ud800", "\\ud800"),
        ("é 日本 😀 \u3000", "é 日本 😀 \u3000"),
        ("x" * 101, "x" * 100 + "…"),
    ],
)
def test_what_others_sent_is_shown_on_one_line(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_a_log_record_cannot_be_made_to_look_like_two(log: logging.Logger, logged: list[logging.LogRecord]) -> None:
    redact_log_records()
    register("some-secret")
    log.info("field %s", "a\n2026-11-26 INFO forged\r\x1b[2K")
    log.info("%s", "x" * 5_000_000)
    assert logged[0].getMessage() == "field a\n  2026-11-26 INFO forged\\r\\x1b[2K"
    assert len(logged[1].getMessage()) <= redaction.LOGGED_CHARACTERS


HOSTILE = [
    "\\",
    '\\"',
    "\\n",
    "%",
    "%25",
    "%252",
    "\\u",
    "\\x5c",
    "/\\",
    "s",
    "s\\",
    "&",
    "&amp;",
    "?a=",
    "://",
    "\n",
    "\x1b",
]


@pytest.mark.parametrize("key", [*KEYS, "\\\\server\\share", "/path\\", "\\", "\\n\\n", '"quoted"'])
def test_redaction_takes_time_in_proportion_to_what_it_reads(key: str) -> None:
    register(key)
    for piece in HOSTILE:
        text = piece * (100_000 // len(piece))
        started = time.process_time()
        redaction.cleaned(text)
        # 3 s where the time grows with the square of the length.
        assert time.process_time() - started < 0.3, piece


@pytest.mark.parametrize(
    "key", ["\\\\server\\share", 'a\\"b-secret', "\\leading-slash", "trailing-slash\\", "a\\\nb-secret"]
)
def test_backslashes_in_a_secret_are_found_in_every_spelling(key: str) -> None:
    register(key)
    twice = json.dumps(json.dumps(key)[1:-1])[1:-1]
    for spelling in spellings(key) | forms_of(key) | {twice}:
        for text in ("{}", "k={}&b", '"{}"'):
            assert key.strip("\\") not in redact(text.format(spelling))
            assert redact(text.format(spelling)).replace("\\", "") == text.format("***"), spelling


def test_values_of_parameters_are_secrets() -> None:
    redaction.register_values(
        {"token": "abcdef", "list": ["ghijkl", 123456], "short": "csv", "flag": True, "sort": "created_at"},
        but=("created_at",),
    )
    assert redact("abcdef ghijkl 123456 csv True created_at") == "*** *** *** csv True created_at"


@pytest.mark.parametrize("url", ["http://na%2Fme:pa%40ss-word@proxy:3128", "na%2Fme:pa%40ss-word@proxy:3128"])
def test_the_login_of_an_address_is_a_secret(url: str) -> None:
    redaction.register_login(url)
    assert redact("na/me pa@ss-word pa%40ss-word") == "*** *** ***"


@pytest.mark.parametrize("url", [None, "", "http://[::1", "http://host/"])
def test_an_address_without_login_hides_nothing(url: str | None) -> None:
    redaction.register_login(url)
    assert redact("host http") == "host http"


def test_a_record_without_a_name_is_a_record(log: logging.Logger) -> None:
    # structlog makes them, on its way from one handler to the next.
    redaction.redact_log_records()
    assert logging.makeLogRecord({"msg": "text"}).getMessage() == "text"
