"""What is told of a load that failed: rows of the history, where the destination can be reached, and facts for Airflow's UI.

In: what is known of each resource when the load fails, and the failure. Out: reports with the status `failed`. Nothing of this
hides or delays the failure itself.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from threading import Thread

import dlt
from pydantic import JsonValue

from include.decide.failure import LoadFailed
from include.report.history import LoadReport, write_report

log = logging.getLogger(__name__)

# A failed task has no return value; Airflow clears all XComs of a task when its next try starts (apache-airflow-task-sdk 1.3.2,
# `task_runner.py`, `xcom_keys_to_clear`).
XCOM_KEY = "load_report"
# After so long the failure is raised, whether its reports are written or not.
LIMIT_SECONDS = 20.0


def failed_report(failure: LoadFailed, report: LoadReport) -> LoadReport:
    """The report of a load that fails now, from what it had done by then."""
    return replace(report, status="failed", reason=failure.reason, message=str(failure))


def failed_facts(failure: LoadFailed, resource: str) -> dict[str, JsonValue]:
    """What is known of a load that failed before there was anything to report of `resource`."""
    return {"resource": resource, "status": "failed", "reason": failure.reason, "message": str(failure)}


def keep_failed(reports: Iterable[LoadReport], pipeline: dlt.Pipeline) -> None:
    """Append `reports` to the history table, where that is possible within `LIMIT_SECONDS`."""

    def write() -> None:
        try:
            for report in reports:
                write_report(report, pipeline)
        except Exception:
            # What cannot be reached is what failed, as a rule, and the failure says so.
            log.debug("The report of a failed load could not be written.", exc_info=True)

    # A thread of its own: what a destination's driver waits for cannot be limited otherwise. The process does not wait for it.
    writing = Thread(target=write, name="failed-report", daemon=True)
    writing.start()
    writing.join(LIMIT_SECONDS)
