"""Removes known secrets, by value, from whatever is logged, raised, written or stored.

In: the secrets of this process, registered as soon as they are known. Out: text and exceptions without them,
raw, URL-encoded, escaped as in JSON, HTML or a Python literal. Airflow's own masking knows the raw form only and
skips values shorter than five characters, so the project does not rely on it.
"""

import html
import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus

REPLACEMENT = "***"
# Values shorter than this are replaced only where they stand alone: "a" must not blank every a of a message.
STANDS_ALONE_BELOW = 5
# In records only values that can be nothing else are replaced: to blank a common word there would change data.
IN_DATA_FROM = 8

_lock = threading.Lock()
_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None
_in_data: tuple[bytes, ...] = ()
_records_are_redacted = False


def forms_of(secret: str) -> set[str]:
    """The usual spellings of `secret`, raw, percent-encoded, escaped: for maskers that compare texts, as Airflow's."""
    percent_encoded = {
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(quote(secret, safe=""), safe=""),
    }
    lower_case_hex = {re.sub(r"%[0-9A-F]{2}", lambda m: m.group().lower(), form) for form in percent_encoded}
    in_json = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return {secret, repr(secret)[1:-1], html.escape(secret)} | percent_encoded | lower_case_hex | in_json


def register(secret: str) -> None:
    """Remember `secret`, so that `redact` removes it from now on. An empty one is ignored."""
    global _pattern, _in_data
    if not secret:
        return
    with _lock:
        _secrets.add(secret)
        spellings = {form for known in _secrets if len(known) >= IN_DATA_FROM for form in forms_of(known)}
        _in_data = tuple(form.encode() for form in sorted(spellings, key=len, reverse=True))
        # Longest first: a secret that contains another has to be replaced whole.
        _pattern = re.compile("|".join(_any_spelling(known) for known in sorted(_secrets, key=len, reverse=True)))


def _any_spelling(secret: str) -> str:
    """A pattern for `secret`, however each of its characters is written: no list of whole spellings is complete."""
    spelling = "".join(map(_any_spelling_of_character, secret))
    if len(secret) >= STANDS_ALONE_BELOW:
        return spelling
    # What stands before may end in a letter or digit and still be no part of a word: "%3D", "\\n".
    return rf"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{{2}})|(?<=\\[nrt])){spelling}(?![A-Za-z0-9])"


def _any_spelling_of_character(character: str) -> str:
    encoded = character.encode("utf-8", "surrogatepass")
    # %2F, %2f, and %252F for an address inside an address.
    spellings = ["".join(f"(?i:%(?:25)*{byte:02x})" for byte in encoded)]
    if html.escape(character) != character:
        spellings.append(re.escape(html.escape(character)))
    # One backslash more for each time that an escaped text is escaped again.
    escapes = {json.dumps(character)[1:-1], ascii(character)[1:-1], repr(encoded)[2:-1]} - {character}
    spellings += sorted(re.sub(r"(?:\\\\)+", r"\\\\+", re.escape(escape)) for escape in escapes)
    if character in "\\\"'/":
        spellings.append(r"\\*" + re.escape(character))
    if character == " ":
        spellings.append(r"\+")
    # The shortest last: what is left of a longer one would stay in the text.
    return f"(?:{'|'.join([*spellings, re.escape(character)])})"


def redact(text: str) -> str:
    """`text` with every registered secret replaced by `***`."""
    return _pattern.sub(REPLACEMENT, text) if _pattern else text


def redact_data(body: bytes) -> bytes:
    """The body of an answer without the secrets that it repeats, such as the key in a link from a record to itself.

    Only secrets of `IN_DATA_FROM` characters or more, in their usual spellings: a record is data, not a message.
    """
    for form in _in_data:
        if form in body:
            body = body.replace(form, REPLACEMENT.encode())
    return body


def redact_error(error: BaseException) -> None:
    """Redact, in place, the texts of `error` and of everything that caused it."""
    for link in _chain(error, set()):
        link.args = _redacted(link.args)
        # Libraries keep their message beside `args` too (dlt: `msg`, the databases: `pgerror`, `orig`, …), notes are
        # there (`__notes__`), and some of Python's own errors build their text from fields that are not in `vars`.
        for name in (*vars(link), *_FIELDS_OF_PYTHON):
            value = getattr(link, name, None)
            redacted = _redacted(value)
            if redacted is not value:
                # An attribute that refuses cannot be helped; the others still are.
                with suppress(AttributeError, TypeError):
                    setattr(link, name, redacted)


# Of OSError, UnicodeError, SyntaxError and ImportError.
_FIELDS_OF_PYTHON = ("strerror", "filename", "filename2", "object", "reason", "msg", "text", "name", "path")


def _redacted(value: Any) -> Any:
    """`value` with its texts redacted, down through plain containers; itself where it holds no secret."""
    redacted: Any
    match value:
        case str():
            redacted = redact(value)
        case bytes():
            redacted = redact(value.decode("latin-1")).encode("latin-1")
            redacted = redact(redacted.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        case tuple() | list() | set() | frozenset() if type(value) in (tuple, list, set, frozenset):
            redacted = type(value)(_redacted(item) for item in value)
        case dict() if type(value) is dict:
            redacted = {_redacted(key): _redacted(item) for key, item in value.items()}
        case _:
            return value
    return value if redacted == value else redacted


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from _chain(error.__cause__, seen)
    yield from _chain(error.__context__, seen)
    # requests and urllib3 hand the error below them on as an argument.
    for argument in error.args:
        if isinstance(argument, BaseException):
            yield from _chain(argument, seen)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _chain(member, seen)


def redact_log_records() -> None:
    """From now on, every record of `logging` in this process is redacted. Calling it again changes nothing."""
    global _records_are_redacted
    if _records_are_redacted:
        return
    make_record = logging.getLogRecordFactory()

    def make_redacted_record(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        if _pattern is not None:
            try:
                message = record.getMessage()
            except Exception:
                # A log call with the wrong arguments: `logging` reports those, and never to the caller.
                record.msg, record.args = _redacted((record.msg, record.args))
            else:
                record.msg, record.args = redact(message), None
            if record.exc_info and record.exc_info[1] is not None:
                redact_error(record.exc_info[1])
        return record

    logging.setLogRecordFactory(make_redacted_record)
    _records_are_redacted = True
