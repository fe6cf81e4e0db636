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
import unicodedata
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from include.errors import causes

REPLACEMENT = "***"
# Values shorter than this are replaced only where they stand alone: "a" must not blank every a of a message.
STANDS_ALONE_BELOW = 5
# A name of somebody else's in a message is cut after so many characters.
SHOWN_CHARACTERS = 100
# What one line of the log holds at the most.
LOGGED_CHARACTERS = 20_000

_QUERY = re.compile(r"\?[^\s'\")]*")
# In any text, where not each question mark begins a query: behind an address, with a name and a value.
_QUERY_OF_ADDRESS = re.compile(r"(?<=[\w/.:%-])\?[\w.~%+:$\[\]-]{1,100}=[^\s'\"<>)]*")
# Whose log lines and errors are about requests to the API. What others say of theirs is not ours to cut.
_OF_THE_API = ("dlt", "include", "requests", "urllib3.exceptions")
_lock = threading.Lock()
_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None
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
    global _pattern
    if not secret:
        return
    with _lock:
        _secrets.add(secret)
        # Longest first: a secret that contains another has to be replaced whole.
        _pattern = re.compile("|".join(_any_spelling(known) for known in sorted(_secrets, key=len, reverse=True)))


def behind_prefix(secret: str) -> str:
    """The key in `Token <key>`, as an API wants it in a header: it may be told without its prefix. Empty: there is none."""
    prefix, _, key = secret.partition(" ")
    return key if prefix.isalpha() and " " not in key and len(key) >= STANDS_ALONE_BELOW else ""


def register_values(values: object, but: Collection[object] = ()) -> None:
    """Remember what is in `values`, down through lists and objects: fixed parameters, that may be secrets or not.

    Not those that are so short that a word or a number of each message would go, and not what `but` names: names of
    fields and tables, by which many APIs are asked to sort.
    """
    match values:
        case dict():
            register_values(list(values.values()), but)
        case list() | tuple():
            for value in values:
                register_values(value, but)
        case str() | int() | float() if len(str(values)) >= STANDS_ALONE_BELOW and values not in but:
            # True and False are integers to Python.
            register("" if isinstance(values, bool) else str(values))


def register_login(url: str | None) -> None:
    """Remember name and password of an address, `https://name:password@host`, where it has them."""
    with suppress(ValueError):
        parts = urlsplit(url if "://" in (url or "") else f"http://{url or ''}")
        for secret in (parts.password, parts.username):
            register(unquote(secret or ""))


def _any_spelling(secret: str) -> str:
    """A pattern for `secret`, however each of its characters is written: no list of whole spellings is complete.

    What it reads it reads once, whatever the text: a run of backslashes is taken whole, from its beginning, or not at
    all (`++`, and nothing that could give a part of it back).
    """
    pattern, after_run = "", False
    for part in re.findall(r"\\+|[^\\]", secret):
        begins = "" if pattern else r"(?<!\\)"
        is_run = part[0] == "\\"
        pattern += _run_of_backslashes(len(part), begins) if is_run else _spellings_of(part, begins, after_run)
        after_run = is_run
    if len(secret) >= STANDS_ALONE_BELOW:
        return pattern
    # What stands before may end in a letter or digit and still be no part of a word: "%3D", "\\n".
    return rf"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{{2}})|(?<=\\[nrt])){pattern}(?![A-Za-z0-9])"


def _run_of_backslashes(length: int, begins: str) -> str:
    # One more for each time that an escaped text is escaped again; and `\x5c`, which is one too.
    return rf"(?:{begins}\\{{{length},}}+(?:x5c|u005c)?|(?:(?i:%(?:25)*5c)){{{length}}})"


def _spellings_of(character: str, begins: str, after_run: bool) -> str:
    encoded = character.encode("utf-8", "surrogatepass")
    # %2F, %2f, and %252F for an address inside an address.
    spellings = ["".join(f"(?i:%(?:25)*{byte:02x})" for byte in encoded)]
    if html.escape(character) != character:
        spellings.append(re.escape(html.escape(character)))
    escapes = {json.dumps(character)[1:-1], ascii(character)[1:-1], repr(encoded)[2:-1]} - {character}
    # A run of backslashes that belongs to the secret has taken those of the escape behind it as well.
    run = rf"(?:{begins}\\++)?" if after_run else rf"{begins}\\++"
    spellings += sorted(_escape(escape, run) for escape in escapes if escape[0] == "\\")
    if character in "\"'/":
        spellings.append(rf"(?:{begins}\\++)?" + re.escape(character))
    if character == " ":
        spellings.append(r"\+")
    # The shortest last: what is left of a longer one would stay in the text.
    return f"(?:{'|'.join([*spellings, re.escape(character)])})"


def _escape(escape: str, run: str) -> str:
    """`\\u65e5`, `\\n`, or several in a row (`\\xe6\\x97\\xa5`), each with as many backslashes as there are."""
    first, *others = escape[1:].split("\\")
    return run + re.escape(first) + "".join(r"\\++" + re.escape(other) for other in others)


def redact(text: str) -> str:
    """`text` with every registered secret replaced by `***`."""
    return _pattern.sub(REPLACEMENT, text) if _pattern else text


def without_queries(text: str) -> str:
    """`text` without what stands behind a question mark up to the next space, quote or bracket."""
    return _QUERY.sub("?…", text)


def cleaned(text: str) -> str:
    """`text` without secrets, and without the queries of the addresses in it."""
    return _QUERY_OF_ADDRESS.sub("?…", redact(text))


def shown(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Somebody else's `text` for a message of ours: on one line, control characters as escapes, cut at `characters`."""
    cut = text[:characters] + ("…" if len(text) > characters else "")
    return cut if cut.isprintable() else "".join(map(_visible, cut))


def _visible(character: str) -> str:
    # Spaces of other scripts are no control characters, though not printable to Python.
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()


def redact_error(error: BaseException) -> None:
    """Redact, in place, the texts of `error` and of everything that caused it."""
    for link in causes(error, hidden=True):
        clean = cleaned if type(link).__module__.startswith(_OF_THE_API) else redact
        link.args = _redacted(link.args, clean)
        # Libraries keep their message beside `args` too (dlt: `msg`, the databases: `pgerror`, `orig`, …), notes are
        # there (`__notes__`), and some of Python's own errors build their text from fields that are not in `vars`.
        for name in (*vars(link), *_FIELDS_OF_PYTHON):
            value = getattr(link, name, None)
            redacted = _redacted(value, clean)
            if redacted is not value:
                # An attribute that refuses cannot be helped; the others still are.
                with suppress(AttributeError, TypeError):
                    setattr(link, name, redacted)


# Of OSError, UnicodeError, SyntaxError and ImportError.
_FIELDS_OF_PYTHON = ("strerror", "filename", "filename2", "object", "reason", "msg", "text", "name", "path")


def _redacted(value: Any, clean: Callable[[str], str] = redact) -> Any:
    """`value` with its texts `clean`, down through plain containers; itself where it holds no secret."""
    redacted: Any
    match value:
        case str():
            redacted = clean(value)
        case bytes():
            redacted = redact(value.decode("latin-1")).encode("latin-1")
            redacted = redact(redacted.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        case tuple() | list() | set() | frozenset() if type(value) in (tuple, list, set, frozenset):
            redacted = type(value)(_redacted(item, clean) for item in value)
        case dict() if type(value) is dict:
            redacted = {_redacted(key, clean): _redacted(item, clean) for key, item in value.items()}
        case _:
            return value
    return value if redacted == value else redacted


def _one_record(message: str) -> str:
    """What is logged: nothing that looks like another record, moves the cursor or has no end."""
    text = message[:LOGGED_CHARACTERS]
    if text.isprintable():
        return text
    return "\n  ".join("".join(map(_visible, line.replace("\t", "  "))) for line in text.split("\n"))


def redact_log_records() -> None:
    """From now on, every record of `logging` in this process is redacted. Calling it again changes nothing."""
    global _records_are_redacted
    if _records_are_redacted:
        return
    make_record = logging.getLogRecordFactory()

    def make_redacted_record(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        is_ours = (record.name or "").startswith(_OF_THE_API)
        if _pattern is not None or is_ours:
            try:
                message = record.getMessage()
            except Exception:
                # A log call with the wrong arguments: `logging` reports those, and never to the caller.
                record.msg, record.args = _redacted((record.msg, record.args))
            else:
                clean = cleaned if is_ours else redact
                record.msg, record.args = _one_record(clean(message)), None
            if record.exc_info and record.exc_info[1] is not None:
                redact_error(record.exc_info[1])
        return record

    logging.setLogRecordFactory(make_redacted_record)
    _records_are_redacted = True
