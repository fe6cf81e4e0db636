"""Whoever waits long for a lock says for what, once; who does not wait long says nothing."""

import logging
import threading
import time

import pytest

from include.load import waiting
from include.load.waiting import waiting_for


def test_a_long_wait_is_a_log_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.01)
    said = threading.Event()
    monkeypatch.setattr(caplog.handler, "emit", lambda record: (caplog.handler.records.append(record), said.set()))
    with caplog.at_level(logging.INFO, "include.load"), waiting_for("the lock `ddl datasets_raw` of PostgreSQL"):
        assert said.wait(10)
    (line,) = caplog.messages
    assert line == "This run waits for the lock `ddl datasets_raw` of PostgreSQL: another run or program holds it."


def test_a_short_wait_is_none(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting.LONG_SECONDS == 10
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.05)
    with caplog.at_level(logging.INFO, "include.load"):
        with pytest.raises(ZeroDivisionError), waiting_for("a lock"):
            raise ZeroDivisionError
        time.sleep(0.1)
    assert caplog.messages == []


def test_a_process_that_ends_does_not_wait_for_the_line() -> None:
    with waiting_for("a lock"):
        timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
        assert [timer.daemon for timer in timers] == [True]
