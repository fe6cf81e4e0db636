"""What one Airflow run is to load: a window, everything, or nothing because it has been loaded.

In: the run, the options, the history of loads. Out: the window (None: a snapshot, the whole collection); or a skip, with a
sentence that says which load holds the data.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from airflow.sdk.exceptions import AirflowSkipException

from include.configure.options import SourceOptions
from include.decide.run import AirflowRun
from include.decide.sync_mode import SyncMode
from include.decide.window import LoadWindow, NothingToLoad, coverage, form_window, run_window
from include.errors import ConfigurationError

log = logging.getLogger(__name__)


class CompletedLoad(Protocol):
    """What the plan needs to know of an earlier load. Instants are UTC; `window_end` None: it read everything."""

    @property
    def dag_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def load_id(self) -> str: ...
    @property
    def sync_mode(self) -> str: ...
    @property
    def window_start(self) -> datetime | None: ...
    @property
    def window_end(self) -> datetime | None: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def source(self) -> str | None: ...


def plan_window(
    options: SourceOptions, mode: SyncMode, run: AirflowRun, history: Sequence[CompletedLoad], source: str
) -> LoadWindow | None:
    """The window that `run` loads; None: a snapshot.

    What earlier loads cover, they cover for their `source` only: another address, path or set of fixed parameters in the
    same table reads everything first, and so does the first run after an upgrade from a version that kept no source.

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
    of_source = [report for report in history if report.source == source]
    if not (options.cursor_path and mode.takes_window):
        _skip_what_a_snapshot_holds(mode, run, of_source)
        return None
    if requested:
        return requested
    if loaded := next((_covered(report) for report in history if _is_of(run, report)), None):
        # Cleared and run again: the same work, whatever has been loaded since. In `append` what this run added before
        # is replaced by what it adds now.
        return loaded
    covered_until = coverage(map(_covered, of_source))
    if covered_until is None and run.kind != "backfill":
        _say_that_all_is_read(mode, source, history)
    try:
        return run_window(
            run.kind, run.data_interval_start, run.data_interval_end, covered_until, now, options.lookback_days
        )
    except NothingToLoad as nothing:
        raise AirflowSkipException(str(nothing)) from None


def _say_that_all_is_read(mode: SyncMode, source: str, history: Sequence[CompletedLoad]) -> None:
    """Raises ConfigurationError (permanent) where reading all again would add rows that are there."""
    without_source = [report for report in history if report.source is None]
    if without_source and mode.stamps_rows:
        raise ConfigurationError(
            "Earlier loads do not say which source they came from, as this version does, and reading everything in the sync "
            "mode `append` would add their rows again. Run it once with window_start and window_end, from where the last "
            "load ended."
        )
    if history:
        log.info("The table has no complete load of %s yet: everything is read.", source)


def _is_of(run: AirflowRun, report: CompletedLoad) -> bool:
    return (report.dag_id, report.run_id) == (run.dag_id, run.run_id) and report.window_end is not None


def _covered(report: CompletedLoad) -> LoadWindow:
    # A snapshot holds what the API had when its reading began.
    return LoadWindow(report.window_start, report.window_end or report.started_at)  # type: ignore[arg-type]


def _skip_what_a_snapshot_holds(mode: SyncMode, run: AirflowRun, history: Iterable[CompletedLoad]) -> None:
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
