"""A task that does nothing: what `airflow dags test` costs on its own."""

from datetime import UTC, datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC))
def nothing() -> None:
    """One empty task."""

    @task
    def nothing_at_all() -> None:
        """As it says."""

    nothing_at_all()


nothing()
