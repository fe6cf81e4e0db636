"""What one Airflow run is to load: a window, everything, or nothing because it has been loaded.

In: Airflow's context, the options, the history of loads. Out: the window (None: a snapshot, the whole collection);
or a skip, with a sentence that says which load holds the data.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.decide.window import LoadWindow, NothingToLoad, RunKind, coverage, form_window, run_window
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from include.configure.options import SourceOptions
    from include.decide.sync_mode import SyncMode
    from include.report.history import LoadReport


@dataclass(frozen=True)
class AirflowRun:
    """What the plan needs of Airflow's context. Instants are UTC; None where Airflow has none."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    kind: RunKind
    queued_at: datetime
    data_interval_start: datetime | None
    data_interval_end: datetime | None
    window_start: str | None
    window_end: str | None

    @classmethod
    def of(cls, context: Any) -> "AirflowRun":
        """From the task's context."""
        instance, run, params = context["ti"], context["dag_run"], context["params"]
        kinds: dict[str, RunKind] = {"scheduled": "scheduled", "backfill": "backfill"}
        return cls(
            dag_id=instance.dag_id,
            run_id=instance.run_id,
            task_id=instance.task_id,
            map_index=instance.map_index if instance.map_index is not None else -1,
            try_number=instance.try_number,
            kind=kinds.get(run.run_type.value, "manual"),
            # Airflow does not tell a task when its run was queued, but the id of a task instance is a UUID version 7,
            # made with the run or anew when it is cleared or retried: its first 48 bits are milliseconds (RFC 9562).
            queued_at=datetime.fromtimestamp((instance.id.int >> 80) / 1000, UTC),
            data_interval_start=run.data_interval_start,
            data_interval_end=run.data_interval_end,
            window_start=params.get("window_start"),
            window_end=params.get("window_end"),
        )

    @property
    def name(self) -> str:
        """The same at each try of the same run, and no other run's."""
        return f"{self.dag_id} {self.run_id} {self.task_id} {self.map_index}"


def plan_window(
    options: "SourceOptions", mode: "SyncMode", run: AirflowRun, history: Sequence["LoadReport"]
) -> LoadWindow | None:
    """The window that `run` loads; None: a snapshot.

    Raises ConfigurationError (permanent) for a window that cannot be; AirflowSkipException when there is nothing to
    load, or nothing that a completed load does not hold.
    """
    now = datetime.now(UTC)
    requested = form_window(run.window_start, run.window_end, now)
    if requested and not (options.cursor_path and mode.takes_window):
        reason = (
            f"the sync mode `{mode.name}` needs the whole collection"
            if options.cursor_path
            else "the option `cursor_path` is not set, so that no record has a place in time"
        )
        raise ConfigurationError(f"The run asks for the window {requested}, but {reason}. Run it without a window.")
    if not (options.cursor_path and mode.takes_window):
        _skip_what_a_snapshot_holds(mode, run, history)
        return None
    if requested is None and (loaded := next((_covered(report) for report in history if _is_of(run, report)), None)):
        # Cleared and run again: the same work, whatever has been loaded since. In `append` what this run added before
        # is replaced by what it adds now.
        return loaded
    try:
        return run_window(
            run.kind,
            run.data_interval_start,
            run.data_interval_end,
            requested,
            coverage(_covered(report) for report in history),
            now,
            options.lookback_days,
        )
    except NothingToLoad as nothing:
        raise AirflowSkipException(str(nothing)) from None


def _is_of(run: AirflowRun, report: "LoadReport") -> bool:
    return (report.dag_id, report.run_id) == (run.dag_id, run.run_id) and report.window_end is not None


def _covered(report: "LoadReport") -> LoadWindow:
    # A snapshot holds what the API had when its reading began.
    return LoadWindow(report.window_start, report.window_end or report.started_at)  # type: ignore[arg-type]


def _skip_what_a_snapshot_holds(mode: "SyncMode", run: AirflowRun, history: Iterable["LoadReport"]) -> None:
    if run.kind != "backfill":
        return
    for report in history:
        is_same = report.window_end is None and report.sync_mode == mode.name and mode.name != "append"
        if is_same and report.started_at > run.queued_at:
            raise AirflowSkipException(
                f"This API gives no past state: load {report.load_id} ({report.run_id}) read everything after this backfill "
                "was asked for, and holds what this run would load. To load a day's changes, set the option "
                "`cursor_path`."
            )
