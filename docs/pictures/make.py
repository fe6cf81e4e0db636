"""Makes the pictures of this folder: what a user sees after the demo has run, taken with a headless Chromium.

    PYTHONPATH=. .venv/bin/python docs/pictures/make.py [NAME]

Needs `chromium` on the PATH. In: nothing of the user's; the demo's Airflow is started, asked for runs, and stopped. Out: a PNG for each page below.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from demo.processes import PROJECT, demo_api, get_json, prepare, running
from demo.ui import wait_until_ready

HERE = Path(__file__).parent
PORT = 8085
URL = f"http://localhost:{PORT}"
# Where each picture is taken, and how high it is in pixels.
PAGES = {
    "grid": ("/dags/datasets", 720),
    "connection": ("/connections", 720),
}
WIDTH = 1280
# Beside the daily one, which starts by itself.
RUNS = 2
RUN_SECONDS = 240


@contextmanager
def airflow() -> Iterator[str]:
    """The demo's Airflow, open to everybody on this machine; the token to ask it with."""
    home = prepare("pictures")
    with demo_api() as api, tempfile.TemporaryFile() as log:
        environment = {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            **api.environment(home),
            # A browser without hands cannot log in.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__PORT": str(PORT),
            "AIRFLOW__API__BASE_URL": URL,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{URL}/execution/",
        }
        command = [str(PROJECT / "bin" / "airflow"), "standalone"]
        (home / "simple_auth_manager_passwords.json.generated").write_text('{"admin": "unused"}')
        with running(command, environment, log) as process:
            wait_until_ready(URL, process, home)
            yield get_json(f"{URL}/auth/token")["access_token"]


def wait_until_green(token: str) -> None:
    """Wait until there is a run, and none that has not ended. Raises RuntimeError when one has failed."""
    deadline = time.monotonic() + RUN_SECONDS
    states: set[str] = set()
    while states != {"success"}:
        if "failed" in states or time.monotonic() > deadline:
            raise RuntimeError(f"A run of the demo did not become green: {states}")
        time.sleep(1)
        states = {run["state"] for run in get_json(f"{URL}/api/v2/dags/datasets/dagRuns", token=token)["dag_runs"]}


def ask_for_a_run(token: str) -> None:
    """One more run. Its database is a file, which may be locked for a moment."""
    for wait in (1, 2, 4, 8):
        with suppress(OSError):
            get_json(f"{URL}/api/v2/dags/datasets/dagRuns", {"logical_date": None}, token=token)
            return
        time.sleep(wait)


def photograph(path: str, height: int, file: Path) -> None:
    """One page, once it has settled."""
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("No `chromium` is on the PATH: install it (Debian: apt-get install chromium).")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                chromium, "--headless=new", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}",
                f"--window-size={WIDTH},{height}", "--virtual-time-budget=20000", f"--screenshot={file}", URL + path,
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )  # fmt: skip


def main() -> None:
    """Take the pictures that are named, or all."""
    os.environ.pop("AIRFLOW_HOME", None)
    with airflow() as token:
        wait_until_green(token)
        for _ in range(RUNS):
            ask_for_a_run(token)
            wait_until_green(token)
        for name in sys.argv[1:] or PAGES:
            photograph(*PAGES[name], HERE / f"{name}.png")


if __name__ == "__main__":
    main()
