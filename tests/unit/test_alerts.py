"""When somebody is told, and what: from Airflow's context, without a server."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include import redaction
from include.decide.failure import LoadFailed
from include.report.alerts import of_failure, of_success
from include.report.alerts_told import NOTHING_TOLD, Told

SECRET = "s3cret-of-the-tests"


def context(returned: Any = None, error: object = None, run_id: str = "manual__1", **params: Any) -> dict[str, Any]:
    """What Airflow hands to a callback."""
    instance = SimpleNamespace(
        dag_id="datasets",
        task_id="publishers",
        run_id=run_id,
        log_url="http://localhost:8080/dags/datasets?try_number=2",
        xcom_pull=lambda task_ids: returned if task_ids == "publishers" else None,
    )
    run = SimpleNamespace(data_interval_start=None, data_interval_end=None)
    return {"ti": instance, "dag_run": run, "params": params, "exception": error}


def report(resource: str, **notes: Any) -> dict[str, Any]:
    return {"resource": resource, "notes": notes or None}


def test_one_cause_is_told_once_whatever_its_numbers_and_counted() -> None:
    (alert,), told = of_failure(context(error=LoadFailed("The API promised 250 and gave 249.", False)), NOTHING_TOLD)
    assert (alert.kind, alert.reason) == ("failure", "a later try may not meet it; this was the last")
    none, told = of_failure(context(error=LoadFailed("The API promised 90 and gave 7.", False)), told)
    assert (none, told.failures) == ([], 2)
    (_,), told = of_failure(context(error=LoadFailed("The disk is full.", False)), told)
    assert told.failures == 3
    (recovery,), told = of_success(context(returned=report("publishers")), told)
    assert (recovery.kind, recovery.sentence) == (
        "recovery",
        "This is the first good load after 3 failed runs.",
    )
    assert told == NOTHING_TOLD
    assert of_success(context(returned=report("publishers")), told) == ([], NOTHING_TOLD)


@pytest.mark.parametrize("error", [None, "a text, from the DAG processor"])
def test_a_task_that_was_lost_has_a_sentence_too(error: object) -> None:
    (alert,), _ = of_failure(context(error=error), NOTHING_TOLD)
    assert alert.sentence.startswith("The task ended without saying why")
    assert alert.reason == "not known to this project"


def test_a_warning_is_told_once_while_it_stays_and_again_when_it_comes_back() -> None:
    odd = {
        "publishers": report("publishers", records_listed_twice=3),
        "children": report("children", not_proven="…"),
    }
    (alert,), told = of_success(context(returned=odd), NOTHING_TOLD)
    assert alert.kind == "warning"
    assert alert.sentence.startswith("The API lists 3 records twice")
    assert told.warned == ("publishers records_listed_twice",)
    assert of_success(context(returned=odd), told) == ([], told)
    _, told = of_success(context(returned=report("publishers")), told)
    assert told == NOTHING_TOLD


def test_a_failure_forgets_no_warning() -> None:
    _, told = of_failure(context(error=ValueError()), Told(warned=("publishers records_listed_twice",)))
    assert told.warned == ("publishers records_listed_twice",)


def test_an_alert_names_the_window() -> None:
    asked = context(error=ValueError(), window_start="2026-01-01T00:00:00Z", window_end="2026-01-02T00:00:00Z")
    (alert,), _ = of_failure(asked, NOTHING_TOLD)
    assert "\nWindow: [2026-01-01T00:00:00Z, 2026-01-02T00:00:00Z), as the run asked for it\n" in alert.text
    scheduled = context(error=ValueError())
    scheduled["dag_run"].data_interval_start = datetime(2026, 1, 1, tzinfo=UTC)
    scheduled["dag_run"].data_interval_end = datetime(2026, 1, 2, tzinfo=UTC)
    (alert,), _ = of_failure(scheduled, NOTHING_TOLD)
    assert (
        "\nWindow: [2026-01-01T00:00:00Z, 2026-01-02T00:00:00Z), the interval of the run\nLog: http://localhost"
        in alert.text
    )


def test_an_alert_holds_no_secret_and_its_subject_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)
    redaction.register(SECRET)
    failed = context(error=ValueError(f"refused {SECRET}"), run_id=f"manual__{SECRET}\nBcc: x", window_start=SECRET)
    (alert,), _ = of_failure(failed, NOTHING_TOLD)
    assert SECRET not in alert.text
    assert alert.text.count("***") == 3
    assert "\nBcc" not in alert.text
    assert "\n" not in alert.subject
    assert "?try_number=2" in alert.text
