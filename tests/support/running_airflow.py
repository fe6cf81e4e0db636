"""A whole Airflow on this machine: scheduler, DAG processor and API server, as a user has them; more when asked for.

In: a folder, and optionally a database for Airflow's metadata. Out: the REST API, the CLI, and the processes, to
be shared by all tests that need a scheduler. Its connections live in the metadata database, so tests can change them.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[2]
AIRFLOW = PROJECT / "bin" / "airflow"
START_SECONDS = 120
# Runs that Airflow has not ended after so long have failed.
RUN_SECONDS = 600

T = TypeVar("T")


class RunningAirflow:
    """Starts on entry, ends what it started on exit. `parallelism`: tasks at the same time.

    `environment` goes to every process; `also` are processes beside the three that every Airflow has.
    """

    def __init__(
        self,
        home: Path,
        metadata_url: str | None = None,
        parallelism: int = 8,
        environment: Mapping[str, str] | None = None,
        also: tuple[str, ...] = (),
    ) -> None:
        self.home = home
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._also = also
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-the-tests-of-this-machine-0123456789abcdef",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            # A parse costs seconds, and no file changes while this Airflow runs: a processor that is started anew parses it.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            # A DAG that a test changes counts at once, not half a minute later.
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
            "DATASETS_TASK_RETRIES": "3",
            "DATASETS_TASK_RETRY_DELAY_SECONDS": "1",
            "RUNTIME__REQUEST_BACKOFF_FACTOR": "0.1",
        }
        self.environment.pop("AIRFLOW_CONN_DATASETS_API", None)
        self.environment.pop("AIRFLOW_CONN_DATASETS_DESTINATION", None)
        if metadata_url:
            self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = metadata_url
        self.environment |= environment or {}

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        self.cli("db", "migrate")
        for name in ("api-server", "scheduler", "dag-processor", *self._also):
            self.start(name)
        wait_until(self._is_up, START_SECONDS, f"Airflow did not start; its logs are in {self.home}")
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.stop(name)

    def start(self, name: str, *command: str) -> None:
        """Start one of Airflow's processes, in a process group of its own; `command`: where it is not the name."""
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [AIRFLOW, *(command or (name,))],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def stop(self, name: str) -> None:
        """End a process that was started here, and what it started: asked first, killed after 20 seconds."""
        process = self._processes[name]
        started = tree(process.pid)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        psutil.wait_procs(started, 20)
        self.kill(name, started)

    def kill(self, name: str, started: list[psutil.Process] | None = None) -> None:
        """SIGKILL to a process that was started here and to all that it started, as when its machine goes down."""
        process = self._processes.pop(name)
        for one in started or tree(process.pid):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait(20)

    def process_id(self, name: str) -> int:
        """The process id of `scheduler`, `api-server`, `dag-processor` or what else was started."""
        return self._processes[name].pid

    def cli(self, *arguments: str) -> str:
        """Any `airflow` command in this Airflow's environment; what it printed. Fails loudly."""
        done = subprocess.run(
            [AIRFLOW, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(arguments)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def api(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """A call of the REST API, version 2; the JSON that it answers."""
        answer = requests.request(method, f"{self.url}/api/v2/{path}", json=body, params=params, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:2000]}"
        return answer.json() if answer.content else None

    def connection(self, conn_id: str, conn_json: str) -> None:
        """Add a connection, or change it, as a person does in the UI."""
        if self._has_connection(conn_id):
            self.cli("connections", "delete", conn_id)
        self.cli("connections", "add", conn_id, "--conn-json", conn_json)

    def backfill(self, first: datetime, last: datetime, *flags: str) -> None:
        """Create a backfill of the days from `first` to `last`, once Airflow has noticed the end of the one before."""

        def is_free() -> bool:
            return all(one["completed_at"] for one in self.api("GET", "backfills", dag_id="datasets")["backfills"])

        wait_until(is_free, 120, "an earlier backfill does not end")
        dates = ("--from-date", first.date().isoformat(), "--to-date", last.date().isoformat())
        self.cli("backfill", "create", "--dag-id", "datasets", *dates, *flags)

    def trigger(self, **conf: Any) -> str:
        """A manual run as from the UI's form, without a logical date; its run id."""
        run = self.api("POST", "dags/datasets/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def runs(self, **filters: Any) -> list[dict[str, Any]]:
        """The runs of the DAG."""
        return list(self.api("GET", "dags/datasets/dagRuns", limit=200, **filters)["dag_runs"])

    def wait_for(self, is_meant: Callable[[dict[str, Any]], bool], count: int = 1) -> dict[str, str]:
        """The states, by run id, of at least `count` runs that `is_meant`, once all have ended."""

        def states() -> dict[str, str] | None:
            found = {run["dag_run_id"]: run["state"] for run in self.runs() if is_meant(run)}
            return found if len(found) >= count and set(found.values()) <= {"success", "failed"} else None

        return wait_until(states, RUN_SECONDS, f"Not all runs ended; see {self.home}")

    def task(self, run_id: str) -> dict[str, Any]:
        """The task instance of the run."""
        return dict(self.api("GET", f"dags/datasets/dagRuns/{run_id}/taskInstances")["task_instances"][0])

    def log_of(self, run_id: str) -> str:
        """All that the logs of the run's task hold."""
        return "\n".join(path.read_text() for path in self.home.glob(f"logs/dag_id=datasets/run_id={run_id}/**/*.log"))

    def _has_connection(self, conn_id: str) -> bool:
        return requests.get(f"{self.url}/api/v2/connections/{conn_id}", timeout=60).ok

    def _is_up(self) -> bool:
        try:
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
            dag = requests.get(f"{self.url}/api/v2/dags/datasets", timeout=10)
        except (requests.RequestException, json.JSONDecodeError):
            return False
        parts = ("scheduler", "dag_processor", *(name.replace("-", "_") for name in self._also))
        return all(health[part]["status"] == "healthy" for part in parts) and dag.ok


def tree(process_id: int) -> list[psutil.Process]:
    """A process and all that it started, itself first; none: it has ended."""
    try:
        process = psutil.Process(process_id)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_until(ask: Callable[[], T | None], seconds: float, complaint: str) -> T:
    """What `ask` answers as soon as it is true; fails with `complaint` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.5)
    raise AssertionError(complaint)


def postgres_connection(url: str) -> str:
    """A connection to the PostgreSQL database at `url`, in Airflow's JSON."""
    place = urlsplit(url)
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": place.hostname,
            "port": place.port or 5432,
            "login": place.username,
            "password": place.password or "",
            "schema": place.path.lstrip("/"),
        }
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
