"""A failure as one sentence: what nobody can make a server say, by the texts and codes that it would use."""

import errno
from typing import Any

import duckdb
import psycopg2
import psycopg2.errors
import pymysql
import pytest
import requests

from include.decide.failure import ConnIds, LoadFailed, failure_of
from include.errors import ConfigurationError, TransientError
from include.redaction import register


def postgres(code: str, text: str) -> Exception:
    """What psycopg2 raises for a code of the server."""
    error: Any = psycopg2.errors.lookup(code)(text)
    error.__setstate__({"pgcode": code, "pgerror": text})
    return error  # type: ignore[no-any-return]


CASES: list[tuple[Exception, str, bool]] = [
    (psycopg2.OperationalError('FATAL:  password authentication failed for user "u"'), "refuses the login", True),
    (psycopg2.OperationalError('FATAL:  no pg_hba.conf entry for host "1.2.3.4"'), "refuses the login", True),
    (postgres("53100", "could not extend file: No space left on device"), "disk of the destination is full", False),
    (postgres("42501", "permission denied for schema datasets_raw"), "lacks a right", True),
    (postgres("25006", "cannot execute CREATE TABLE in a read-only transaction"), "may only be read", True),
    (postgres("40P01", "deadlock detected"), "stood in the way", False),
    (postgres("54000", "row is too big: size 9672, maximum size 8160"), "larger columns than the destination", True),
    (pymysql.err.OperationalError(1118, "Row size too large"), "larger columns than the destination", True),
    (psycopg2.OperationalError("server closed the connection unexpectedly"), "cannot be reached", False),
    (
        duckdb.IOException(
            'IO Error: Could not set lock on file "/d.duckdb": Conflicting lock is held in /usr/bin/python (PID 7)'
        ),
        "open in another program",
        False,
    ),
    (duckdb.IOException('IO Error: Cannot open file "/d.duckdb": Permission denied'), "cannot be opened", True),
    (duckdb.IOException("IO Error: Could not write file: No space left on device"), "disk of the destination", False),
    (OSError(errno.ENOSPC, "No space left on device", "/tmp/dlt_1/x"), "A disk of this machine is full", False),
    (PermissionError(errno.EACCES, "Permission denied", "/data/d.duckdb.lock"), "may not be written", True),
    (
        requests.exceptions.SSLError("SSL certificate problem: self-signed certificate"),
        "The certificate of the API cannot be trusted",
        True,
    ),
    (requests.exceptions.ProxyError("Could not resolve proxy: p"), "The proxy before the API", False),
]


@pytest.mark.parametrize(("error", "what", "is_permanent"), CASES, ids=lambda value: str(value)[:40])
def test_a_known_cause_says_what_and_what_to_do(error: Exception, what: str, is_permanent: bool) -> None:
    failure = failure_of(error, ConnIds("datasets_api", "datasets_destination"))
    assert what in str(failure)
    assert " ".join(str(error).split()) in str(failure)
    assert any(
        place in str(failure) for place in ("`datasets_api`", "`datasets_destination`", "HTTP_PROXY", "Make room")
    )
    assert failure.is_permanent is is_permanent
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = error
    assert str(failure_of(wrapped, ConnIds("datasets_api", "datasets_destination"))) == str(failure)


def test_an_error_of_the_project_is_its_own_sentence_whatever_caused_it() -> None:
    error = ConfigurationError("Set `host`.")
    error.__cause__ = requests.ConnectionError("refused")
    assert (str(failure_of(error)), failure_of(error).is_permanent) == ("Set `host`.", True)
    late = failure_of(TransientError("Later.", retry_after_seconds=90))
    assert (late.is_permanent, late.retry_after_seconds) == (False, 90)


def test_a_failure_stays_itself() -> None:
    failure = LoadFailed("It is so.", True)
    assert failure_of(failure) is failure


def test_an_unknown_cause_keeps_its_name_and_is_one_line_without_secrets() -> None:
    register("s3cr3t-of-this-test")
    error = ValueError("bad\nvalue \x1b[2J s3cr3t-of-this-test " + "x" * 5000)
    error.__cause__ = KeyError("deep")
    failure = failure_of(error, ConnIds("datasets_api", "datasets_destination"))
    assert failure.is_permanent is None
    assert "ValueError: bad value \\x1b[2J ***" in str(failure)
    assert "It was caused by KeyError: 'deep'." in str(failure)
    assert str(failure).isprintable()
    assert len(str(failure)) < 2_000
