"""Somebody is told of a failure, of the first good load after it, and of a good load about which something is odd.

In: Airflow's context when a task has ended for good, as its callbacks get it. Out: alerts to the connection for them, each once for a
cause. No connection: nothing is sent, kept or said. Nothing that goes wrong here changes what became of the load.
"""

import hashlib
import html
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from include.configure.lookup import look_up_first
from include.decide.failure import LoadFailed, failure_of
from include.decide.window import LoadWindow
from include.redaction import cleaned, redact, shown
from include.report.alert_channels import send
from include.report.alerts_told import NOTHING_TOLD, Told, keep_told, read_told
from include.report.announcement import warnings_of

log = logging.getLogger(__name__)

Kind = Literal["failure", "recovery", "warning"]
Decided = tuple[list["Alert"], Told]

_HEADS: dict[Kind, str] = {
    "failure": "the load of `{task}` failed",
    "recovery": "`{task}` is loaded again",
    "warning": "`{task}` is loaded, and something is odd",
}
_MENDABLE = {
    True: "no later try can mend it; somebody has to change something first",
    False: "a later try may not meet it; this was the last",
    None: "not known to this project",
}
_NO_REASON = "The task ended without saying why: its process was killed, or its worker was lost."


@dataclass(frozen=True)
class Alert:
    """One message. Its texts hold no secret. `reason`: what the sentence does not say of the cause; empty: nothing."""

    kind: Kind
    api: str
    task: str
    run_id: str
    window: str
    reason: str
    sentence: str
    log_url: str

    @property
    def subject(self) -> str:
        """One line."""
        return redact(shown(f"{self.api}: {_HEADS[self.kind].format(task=self.task)}"))

    @property
    def text(self) -> str:
        """All of it, in lines."""
        reason = f"\nReason: {self.reason}" if self.reason else ""
        return redact(
            f"{self.subject}\n{self.sentence}{reason}\nRun: {self.run_id}\nWindow: {self.window}\nLog: {self.log_url}"
        )


def tell_of_failure(conn_ids: Sequence[str], context: Any) -> None:
    """For `on_failure_callback`, which Airflow calls at the last try only. `conn_ids`: the first that there is counts."""
    _tell(conn_ids, context, of_failure)


def tell_of_success(conn_ids: Sequence[str], context: Any) -> None:
    """For `on_success_callback`."""
    _tell(conn_ids, context, of_success)


def of_failure(context: Any, told: Told) -> Decided:
    """The alert of a failure, unless it was told; and what is told then."""
    error = context.get("exception")
    failure = failure_of(error) if isinstance(error, BaseException) else LoadFailed(_NO_REASON, None)
    cause = _cause(str(failure))
    if cause == told.cause:
        return [], replace(told, failures=told.failures + 1)
    alert = _alert("failure", context, str(failure), _MENDABLE[failure.is_permanent])
    return [alert], replace(told, cause=cause, failures=told.failures + 1)


def of_success(context: Any, told: Told) -> Decided:
    """The alert of a recovery, where a failure was told, and one of each warning that was not; and what is told then."""
    alerts = []
    if told.cause:
        runs = "1 failed run" if told.failures == 1 else f"{told.failures} failed runs"
        alerts.append(_alert("recovery", context, f"This is the first good load after {runs}."))
    found = {f"{resource} {name}": sentence for resource, name, sentence in _warnings(context)}
    if new := [sentence for name, sentence in found.items() if name not in told.warned]:
        alerts.append(_alert("warning", context, "\n".join(new)))
    return alerts, replace(NOTHING_TOLD, warned=tuple(found))


def _tell(conn_ids: Sequence[str], context: Any, decide: Callable[[Any, Told], Decided]) -> None:
    try:
        if (connection := look_up_first(conn_ids)) is None:
            return
        name = f"{context['ti'].dag_id}.{context['ti'].task_id}"
        before = read_told(name)
        alerts, after = decide(context, before)
        for alert in alerts:
            send(connection, alert.subject, alert.text, _as_html(alert))
        # Behind them: what could not be sent is sent with the next run.
        if after != before:
            keep_told(name, after)
    except Exception as error:
        log.warning(
            "Nobody was told how this run ended: %s: %s Check the connection `%s`.",
            *(type(error).__name__, shown(" ".join(cleaned(str(error)).split()), 500), " or ".join(conn_ids)),
        )


def _as_html(alert: Alert) -> str:
    return "<br>\n".join(html.escape(line) for line in alert.text.splitlines())


def _alert(kind: Kind, context: Any, sentence: str, reason: str = "") -> Alert:
    instance = context["ti"]
    return Alert(
        kind=kind,
        api=instance.dag_id,
        task=instance.task_id,
        run_id=shown(instance.run_id),
        window=_window(context),
        reason=reason,
        sentence=cleaned(sentence),
        log_url=instance.log_url,
    )


def _window(context: Any) -> str:
    params, run = context.get("params") or {}, context["dag_run"]
    if params.get("window_start") or params.get("window_end"):
        return shown(f"[{params.get('window_start')}, {params.get('window_end')}), as the run asked for it")
    if run.data_interval_start and run.data_interval_end:
        return f"{LoadWindow(run.data_interval_start, run.data_interval_end)}, the interval of the run"
    return "none asked for"


def _cause(sentence: str) -> str:
    # Two days' failures with one cause differ in their counts and times.
    return hashlib.sha256(re.sub(r"\d+", "#", sentence).encode()).hexdigest()[:16]


def _warnings(context: Any) -> Iterator[tuple[str, str, str]]:
    """Resource, name and sentence of each, from what the task has returned: a report, or one for each resource."""
    returned: Mapping[str, Any] = context["ti"].xcom_pull(task_ids=context["ti"].task_id) or {}
    for report in [returned] if "resource" in returned else returned.values():
        for name, sentence in warnings_of(report.get("notes") or {}).items():
            yield report["resource"], name, sentence
