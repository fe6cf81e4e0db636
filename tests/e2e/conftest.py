"""One started Airflow for all tests of the session, and a deployment of the project for each."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include import redaction
from tests.support.airflow_run import Outcome, StartedAirflow
from tests.support.api_server import ApiServer


@pytest.fixture(scope="session")
def airflow() -> StartedAirflow:
    """Airflow in this process. Its first run takes ten seconds more than the others."""
    # A task that fails ends the run at once, and none waits between requests.
    os.environ |= {"DATASETS_TASK_RETRIES": "0", "RUNTIME__REQUEST_BACKOFF_FACTOR": "0"}
    return StartedAirflow()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """An empty API that anybody may read who has the key."""
    with ApiServer(key="k3y-of-the-tests", start_param="since", end_param="until") as server:
        yield server


class Deployment:
    """The project with its connections, on the embedded DuckDB unless a test names another destination."""

    def __init__(self, airflow: StartedAirflow, api: ApiServer, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.airflow, self.api, self.folder = airflow, api, folder
        self.database = folder / "datasets.duckdb"
        self._monkeypatch = monkeypatch
        self.set(DATASETS_DUCKDB_PATH=str(self.database), AIRFLOW_CONN_DATASETS_DESTINATION=None)
        self.options()

    def set(self, **variables: str | None) -> None:
        """Set or remove variables of the environment."""
        for name, value in variables.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)

    def options(self, **extra: Any) -> None:
        """The connection to the API, with options of the source as its extra."""
        self.set(AIRFLOW_CONN_DATASETS_API=self.api.connection_json(**extra))

    def destination(self, **connection: Any) -> None:
        """The connection to the destination."""
        self.set(AIRFLOW_CONN_DATASETS_DESTINATION=json.dumps(connection))

    def run(self, *args: Any, **kwargs: Any) -> Outcome:
        """`StartedAirflow.run`, which has to end green."""
        outcome = self.airflow.run(*args, **kwargs)
        assert outcome.state == "success", outcome.log
        return outcome

    def run_again(self, outcome: Outcome) -> Outcome:
        """`StartedAirflow.run_again`, which has to end green."""
        again = self.airflow.run_again(outcome)
        assert again.state == "success", again.log
        return again

    def refused(self, *args: Any, **kwargs: Any) -> str:
        """Why the run failed: the sentence. It may not have asked the API for anything."""
        before = self.api.count()
        outcome = self.airflow.run(*args, **kwargs)
        assert outcome.state == "failed", outcome.log
        assert self.api.count() == before
        return outcome.reason

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the embedded database; tables are found without their schema."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("SET search_path = 'datasets_raw'; SET TimeZone = 'UTC'")
            return connection.execute(query).fetchall()

    def ids(self) -> list[Any]:
        """The ids in the table, in order. Without a table, or a database: none."""
        with suppress(duckdb.CatalogException, duckdb.IOException):
            return [row[0] for row in self.rows("SELECT id FROM datasets ORDER BY id")]
        return []

    def reports(self, *columns: str) -> list[tuple[Any, ...]]:
        """The history of loads, oldest first."""
        return self.rows(f"SELECT {', '.join(columns)} FROM _load_reports ORDER BY started_at")


@pytest.fixture
def deployment(airflow: StartedAirflow, api: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Deployment:
    """A `Deployment` with an empty database, in a process that knows no secret yet, as each task's."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)
    return Deployment(airflow, api, monkeypatch, tmp_path)
