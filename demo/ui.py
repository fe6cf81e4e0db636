"""`make ui`: the whole of Airflow on this machine, with the demo API behind the DAG, until Ctrl-C.

Out: the address and the login, printed once the DAG is there and unpaused. Everything is stopped at the end.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from demo.processes import (
    PROJECT,
    DemoError,
    demo_api,
    get_json,
    last_line,
    prepare,
    running,
    stop_on_signals,
)

DAG_ID = "datasets"
USER = "admin"
# Where Airflow keeps what it has made up, in its home.
PASSWORDS = "simple_auth_manager_passwords.json.generated"
_READY_TIMEOUT_SECONDS = 240


def serve(port: int) -> None:
    """Runs `airflow standalone` until it ends or is interrupted. Raises DemoError."""
    check_free(port)
    home = prepare("ui")
    log_file = home / "ui.log"
    url = f"http://localhost:{port}"
    with demo_api() as api:
        print(f"Demo API   {api.base_url} with {api.records} datasets (no connection of yours is used)")
        print(f"Airflow    is starting; its log is {log_file}", flush=True)
        environment = {
            # Only this machine: the login is one for development.
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            **api.environment(home),
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        }
        command = [str(PROJECT / "bin" / "airflow"), "standalone"]
        with log_file.open("wb") as log, running(command, environment, log) as process:
            password = wait_until_ready(url, process, home)
            print(f"\n  {url}   user {USER}   password {password}\n\nCtrl-C stops everything.", flush=True)
            process.wait()
            raise DemoError(f"Airflow ended by itself: {last_line(log_file)} The whole log is {log_file}")


def wait_until_ready(url: str, process: subprocess.Popen[bytes], home: Path) -> str:
    """The password, once the login works and the DAG is there and unpaused, whatever an earlier run left."""
    log_file = home / "ui.log"
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    state = "nothing answered"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoError(f"Airflow did not start: {last_line(log_file)} The whole log is {log_file}")
        try:
            password: str = json.loads((home / PASSWORDS).read_text())[USER]
            login = get_json(f"{url}/auth/token", {"username": USER, "password": password})
            get_json(
                f"{url}/api/v2/dags/{DAG_ID}",
                {"is_paused": False},
                token=login["access_token"],
                method="PATCH",
            )
            return password
        except (OSError, ValueError, KeyError) as error:
            state = str(error)
            time.sleep(0.5)
    raise DemoError(f"Airflow was not ready after {_READY_TIMEOUT_SECONDS} s ({state}). The whole log is {log_file}")


def check_free(port: int) -> None:
    """Raises DemoError when somebody listens on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise DemoError(f"Port {port} cannot be used ({error}); take another one: PORT=8081 make ui") from error


def main() -> None:
    """Exits with 1 and a last line on stderr when Airflow fails, with 0 on Ctrl-C."""
    stop_on_signals()
    try:
        port = os.environ.get("PORT") or "8080"
        if not port.isdecimal():
            raise DemoError(f"PORT has to be a number; it is {port!r}.")
        serve(int(port))
    except DemoError as error:
        sys.exit(f"make ui failed: {error}")
    except KeyboardInterrupt:
        print("\nStopped.")


if __name__ == "__main__":
    main()
