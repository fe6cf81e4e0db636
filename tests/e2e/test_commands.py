"""The commands of the README, as a user starts them."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import psutil
import pytest

from demo import catalogue

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 180


def run(*command: str | Path, cwd: Path = ROOT, **environment: str | Path | None) -> subprocess.CompletedProcess[str]:
    """`command` with variables added, or removed where they are None."""
    variables = os.environ | {name: str(value) for name, value in environment.items() if value is not None}
    for name in (name for name, value in environment.items() if value is None):
        variables.pop(name, None)
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


def demo(home: Path, **environment: str | Path | None) -> subprocess.CompletedProcess[str]:
    """What `make run` starts, after the installation."""
    return run(sys.executable, "-m", "demo.run", AIRFLOW_HOME=home, **environment)


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for the demo runs of this module: its database is set up once."""
    return tmp_path_factory.mktemp("airflow-home")


def test_help_lists_every_target() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = re.findall(r"^make ([a-z-]+) +\S", run("make").stdout, re.MULTILINE)
    assert {"run", "test", "ui", "lint", "install", "help"} <= set(listed)
    assert listed == targets


def test_airflow_takes_defaults_from_its_project_from_anywhere(tmp_path: Path) -> None:
    link = tmp_path / "airflow"
    link.symlink_to(ROOT / "bin" / "airflow")
    answer = run(link, "config", "get-value", "core", "dags_folder", cwd=tmp_path, AIRFLOW_HOME=tmp_path / "home")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().splitlines()[-1] == str(ROOT / "dags")
    assert (tmp_path / "home" / "airflow.cfg").exists()


def test_values_in_the_environment_win(tmp_path: Path) -> None:
    answer = run(
        ROOT / "bin" / "airflow",
        "config",
        "get-value",
        "core",
        "parallelism",
        AIRFLOW_HOME=tmp_path,
        AIRFLOW__CORE__PARALLELISM="7",
    )
    assert answer.stdout.strip().splitlines()[-1] == "7"


def test_demo_loads_what_the_api_serves(airflow_home: Path, tmp_path: Path) -> None:
    database = tmp_path / "new folder" / "demo.duckdb"
    finished = demo(
        airflow_home,
        DATASETS_DUCKDB_PATH=database,
        # The user's own connections, which a demo must not use.
        AIRFLOW_CONN_DATASETS_API="http://user:secret@192.0.2.1",
        AIRFLOW_CONN_DATASETS_DESTINATION="postgres://user:secret@192.0.2.1/warehouse",
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    served = len(catalogue.load_catalogue())
    assert f"with {served} datasets" in finished.stdout
    assert re.search(
        rf"^Loaded +{served} rows from {-(-served // 100)} pages in [\d.]+ s", finished.stdout, re.MULTILINE
    )
    assert f"{served} rows, {served} distinct ids" in finished.stdout
    assert str(database) in finished.stdout
    with duckdb.connect(str(database), read_only=True) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT id) FROM datasets_raw.datasets").fetchone()
    assert counted == (served, served)
    assert not left_over(database), "the demo stops what it started"


def test_a_failing_demo_says_why_in_its_last_line(airflow_home: Path, tmp_path: Path) -> None:
    database = tmp_path / "no-database.duckdb"
    database.write_text("This is a letter, not a database.\n" * 400)

    finished = demo(airflow_home, DATASETS_DUCKDB_PATH=database)

    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("make run failed: ")
    assert str(database) in last
    assert "Traceback" not in finished.stdout + finished.stderr
    assert str(airflow_home / "demo-run.log") in last
    assert database.read_text().startswith("This is a letter")


def left_over(database: Path) -> list[str]:
    """The command lines of processes that still run for the demo with this database: they inherit its environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("DATASETS_DUCKDB_PATH") == str(database):
                found.append(" ".join(process.cmdline()))
    return found
