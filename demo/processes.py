"""The processes behind `make run` and `make ui`: the demo API, and Airflow with a connection to it.

In: free ports and the caller's environment, of which nothing counts that belongs to an Airflow or a warehouse of theirs. Out:
context managers that stop what they started, with all its descendants, however the block is left. A failure is a `DemoError`
with one sentence for the user.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil  # type: ignore[import-untyped]

PROJECT = Path(__file__).resolve().parent.parent
# A home for each command: what is left of a `make run` that was killed holds up no DAG in `make ui`.
HOMES = PROJECT / ".airflow-demo"
DUCKDB_FILE = PROJECT / "data" / "demo.duckdb"
# No rights for the group and for others, on whatever the demo makes.
OWNER_ALONE = 0o077

_START_TIMEOUT_SECONDS = 60
_STOP_TIMEOUT_SECONDS = 15
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """What went wrong, as one sentence for the user."""


def prepare(name: str) -> Path:
    """The Airflow home of the command `name`. From now on this process, and what it starts, makes files for its owner alone."""
    os.umask(OWNER_ALONE)
    for folder in (HOMES / name, DUCKDB_FILE.parent):
        folder.mkdir(parents=True, exist_ok=True)
    return HOMES / name


def of_the_user(name: str) -> bool:
    """Whether a variable is about an Airflow, a warehouse or a dlt of the user's: dlt and Airflow nest by two underscores.

    Options of the source count: docs/backfills.md tries them on the demo.
    """
    return name.startswith(("AIRFLOW_", "DATASETS_", "DLT_")) or ("__" in name and not name.startswith("SOURCES__"))


@dataclass(frozen=True)
class DemoApi:
    """A demo API that listens. `records`: how many it serves."""

    base_url: str
    key: str
    records: int

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of an Airflow in `home` that knows this API and the demo's own database, and nothing of the user's.

        The destination is named outright: a connection of that name may have been made in the UI.
        """
        connection = json.dumps({"conn_type": "http", "host": self.base_url, "password": self.key})
        loopback = ",".join(filter(None, (os.environ.get("no_proxy"), "localhost,127.0.0.1")))
        return {
            **{name: value for name, value in os.environ.items() if not of_the_user(name)},
            "AIRFLOW_HOME": str(home),
            "DATASETS_DUCKDB_PATH": str(DUCKDB_FILE),
            "AIRFLOW_CONN_DATASETS_API": connection,
            "AIRFLOW_CONN_DEMO_CATALOGUE_API": connection,
            "AIRFLOW_CONN_DATASETS_DESTINATION": json.dumps({"conn_type": "duckdb", "host": str(DUCKDB_FILE)}),
            # The project's DAGs, and the demo's own.
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
                [_bundle("dags-folder", PROJECT / "dags"), _bundle("demo", PROJECT / "demo" / "dags")]
            ),
            "no_proxy": loopback,
            "NO_PROXY": loopback,
        }


def _bundle(name: str, path: Path) -> dict[str, Any]:
    classpath = "airflow.dag_processing.bundles.local.LocalDagBundle"
    return {"name": name, "classpath": classpath, "kwargs": {"path": str(path)}}


@contextmanager
def demo_api() -> Iterator[DemoApi]:
    """A demo API on a free loopback port with a key of its own."""
    key = secrets.token_urlsafe()
    with tempfile.TemporaryDirectory(prefix="demo-api-") as folder:
        port_file, log_file = Path(folder, "port"), Path(folder, "log")
        command = [sys.executable, "-m", "demo.api", "--port-file", str(port_file)]
        with (
            log_file.open("wb") as log,
            running(command, {**os.environ, "DEMO_API_KEY": key}, log) as process,
        ):
            deadline = time.monotonic() + _START_TIMEOUT_SECONDS
            while not port_file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"The demo API did not start: {last_line(log_file)}")
                time.sleep(0.05)
            base_url = f"http://127.0.0.1:{int(port_file.read_text())}"
            yield DemoApi(base_url, key, get_json(f"{base_url}/health")["records"])


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` in a session of its own, out of reach of Ctrl-C; all of it is ended with the block."""
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end_session(process)


def _end_session(leader: subprocess.Popen[bytes]) -> None:
    # Airflow's components make process groups of their own, so the group of the leader is not enough.
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _session(leader.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            # Reaps the leader; until then its pid cannot belong to anybody else's session.
            if not _session(leader.pid) and leader.poll() is not None:
                return
            time.sleep(0.05)
            leader.poll()


def _session(leader_pid: int) -> list[int]:
    """The living processes of a session, without zombies: those wait for a parent, not for a signal."""
    found = []
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader_pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def stop_on_signals() -> None:
    """SIGTERM and a closed terminal end this process like Ctrl-C does: through every `finally`."""
    # SIGINT as well: a shell has its background jobs ignore it, and Python leaves that as it is.
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop_once)


def _stop_once(*_: object) -> None:
    # A second, impatient Ctrl-C must not end the clean-up, which takes seconds and ends by itself.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def get_json(
    url: str, body: object | None = None, *, token: str | None = None, method: str | None = None
) -> dict[str, Any]:
    """The JSON object at a loopback `url`. Raises OSError (urllib's URLError is one)."""
    request = urllib.request.Request(url, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    # No proxy of the user's shell stands between two processes of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def last_line(log_file: Path) -> str:
    """The last line with text in a log."""
    lines = log_file.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing."
