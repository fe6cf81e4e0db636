"""What a load needs to know of the Airflow run that it belongs to.

In: the task's context. Out: a frozen `AirflowRun`. Imports no Airflow: it is handed in.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.decide.window import RunKind


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
    sync_mode: str | None
    """What the run's form asks for; None: what the options say."""
    resources: tuple[str, ...] = ()
    """The resources that the run's form asks for; none: all."""
    allow_deletes: bool = False
    """Whether more of a table may go than the option `max_delete_share` says."""

    @classmethod
    def from_context(cls, context: Any) -> "AirflowRun":
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
            sync_mode=params.get("sync_mode") or None,
            resources=tuple(params.get("resources") or ()),
            allow_deletes=bool(params.get("allow_deletes")),
        )

    @property
    def name(self) -> str:
        """The same at each try of the same run, and no other run's."""
        return f"{self.dag_id} {self.run_id} {self.task_id} {self.map_index}"
