"""The commands of the README, as a user starts them."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import psutil
import pytest

from demo import catalogue, processes
from tests.support.api_server import ApiServer

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


def demo(project: Path, **environment: str | Path | None) -> subprocess.CompletedProcess[str]:
    """What `make run` starts, after the installation."""
    return run(sys.executable, "-m", "demo.run", cwd=project, **environment)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a place of its own, for the demo runs of this module: its Airflow is set up once."""
    project = tmp_path_factory.mktemp("project")
    for name in ("bin", "dags", "demo", "include"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", project)
    (project / "plugins").mkdir()
    (project / ".venv").symlink_to((ROOT / ".venv").resolve())
    return project


def readable_by_others(folder: Path) -> list[Path]:
    """Files and folders in `folder`, and itself, that the group or others may read, write or enter."""
    return [path for path in (folder, *folder.rglob("*")) if not path.is_symlink() and path.stat().st_mode & 0o077]


def test_help_lists_every_target() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    # `make` that runs the tests says where it is.
    printed = run("make", "--no-print-directory").stdout.splitlines()
    listed = re.findall(r"^make ([a-z-]+) +\S", "\n".join(printed), re.MULTILINE)
    assert printed[0].startswith("Begin with make run")
    assert max(map(len, printed)) <= 80
    assert len({len(re.match(r"make [a-z-]+ +", line)[0]) for line in printed[1:]}) == 1, "one column"  # type: ignore[index]
    assert {"run", "test", "ui", "lint", "install", "help"} <= set(listed)
    assert listed == targets


def test_airflow_takes_defaults_from_its_project_from_anywhere(tmp_path: Path) -> None:
    link = tmp_path / "airflow"
    link.symlink_to(ROOT / "bin" / "airflow")
    answer = run(link, "config", "get-value", "core", "dags_folder", cwd=tmp_path, AIRFLOW_HOME=tmp_path / "home")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().splitlines()[-1] == str(ROOT / "dags")
    assert (tmp_path / "home" / "airflow.cfg").exists()


def test_airflow_refuses_a_home_that_another_airflow_made(tmp_path: Path) -> None:
    """Its database may be of another version, and its DAGs are others."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "airflow.cfg").write_text("[core]\n")
    (home / "airflow.db").write_text("of somebody else")
    answer = run(ROOT / "bin" / "airflow", "dags", "list", AIRFLOW_HOME=home)
    assert answer.returncode == 1
    assert f"{home} was made by another Airflow" in answer.stderr
    assert "unset AIRFLOW_HOME" in answer.stderr
    assert sorted(file.name for file in home.iterdir()) == ["airflow.cfg", "airflow.db"]
    assert (home / "airflow.db").read_text() == "of somebody else"


def test_check_api_asks_the_api_of_a_connection_from_anywhere(tmp_path: Path) -> None:
    """No word of a library stands between its lines; make hands on what it ends with."""
    records = [{"id": number, "name": f"name of {number}"} for number in range(30)]
    with ApiServer(records=records, key="k3y-of-the-tests") as server:
        environment = {
            "AIRFLOW_HOME": tmp_path,
            "AIRFLOW_CONN_DATASETS_API": server.connection_json(),
            # Nobody asks a database for what the environment says.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        }
        (tmp_path / "check-api").symlink_to(ROOT / "bin" / "check-api")
        answer = run(tmp_path / "check-api", cwd=tmp_path, **environment)
        asked = len(server.requests)
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout + answer.stderr
    assert "is at `total`: 30; the last record is where it says" in answer.stdout
    assert f"{asked} of 20" in answer.stdout
    assert "k3y-of-the-tests" not in answer.stdout
    assert "name of" not in answer.stdout


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


def test_demo_loads_what_the_api_serves_and_touches_nothing_of_the_user(project: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    warehouse = theirs / "warehouse.duckdb"
    theirs.mkdir()
    finished = demo(
        project,
        # All that a user may have in the environment, and a demo must not use.
        AIRFLOW_HOME=theirs / "airflow",
        AIRFLOW_CONFIG=theirs / "airflow.cfg",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{theirs}/airflow.db",
        AIRFLOW__CORE__DAGS_FOLDER=theirs / "dags",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=theirs / "logs",
        AIRFLOW_CONN_DATASETS_API="http://user:secret@192.0.2.1",
        AIRFLOW_CONN_DATASETS_DESTINATION="postgres://user:secret@192.0.2.1/warehouse",
        DATASETS_DUCKDB_PATH=warehouse,
        DATASETS_POOL="no-such-pool",
        DESTINATION__DUCKDB__CREDENTIALS=str(theirs / "dlt.duckdb"),
        # An option of the source counts.
        SOURCES__DATASETS__MAX_PARALLEL_REQUESTS="2",
        DLT_DATA_DIR=theirs / "dlt",
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    served = len(catalogue.load_catalogue())
    database = project / "data" / "demo.duckdb"
    assert f"with {served} datasets" in finished.stdout
    # Pages of 100 that overlap by one record.
    assert re.search(
        rf"^Loaded +{served} rows from {-(-(served - 1) // 99)} pages in [\d.]+ s", finished.stdout, re.MULTILINE
    )
    assert f"{served} rows, {served} distinct ids" in finished.stdout
    assert str(database) in finished.stdout
    with duckdb.connect(str(database), read_only=True) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT id) FROM datasets_raw.datasets").fetchone()
    assert counted == (served, served)
    assert not left_over(database), "the demo stops what it started"
    assert list(theirs.iterdir()) == []
    assert not (project / ".airflow").exists()
    # Beside the demo's own, nothing is there that others may read.
    assert readable_by_others(project / "data") == []
    assert readable_by_others(project / ".airflow-demo") == []


def test_a_failing_demo_says_why_in_its_last_line(project: Path) -> None:
    database = project / "data" / "demo.duckdb"
    database.unlink(missing_ok=True)
    database.parent.mkdir(exist_ok=True)
    database.write_text("This is a letter, not a database.\n" * 400)

    finished = demo(project)

    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("make run failed: The file of the destination is no database of this DuckDB: ")
    assert str(database) in last
    assert "Traceback" not in finished.stdout + finished.stderr
    assert str(project / ".airflow-demo" / "run" / "demo-run.log") in last
    assert database.read_text().startswith("This is a letter")
    database.unlink()


def test_each_demo_has_a_home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A `make run` that was stopped leaves a run that is never over; it must not hold up the DAG in `make ui`."""
    monkeypatch.setattr(processes, "HOMES", tmp_path / "homes")
    monkeypatch.setattr(processes, "DUCKDB_FILE", tmp_path / "data" / "demo.duckdb")
    before = os.umask(0o022)
    try:
        homes = {processes.prepare(name) for name in ("run", "ui")}
    finally:
        os.umask(before)
    assert len(homes) == 2
    api = processes.DemoApi("http://127.0.0.1:1", "key", 1)
    assert {api.environment(home)["AIRFLOW_HOME"] for home in homes} == {str(home) for home in homes}


def test_what_bin_airflow_makes_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    answer = run(ROOT / "bin" / "airflow", "config", "get-value", "core", "parallelism", AIRFLOW_HOME=home)
    assert answer.returncode == 0, answer.stderr
    assert list(home.rglob("*"))
    assert readable_by_others(home) == []


def left_over(database: Path) -> list[str]:
    """The command lines of processes that still run for the demo with this database: they inherit its environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("DATASETS_DUCKDB_PATH") == str(database):
                found.append(" ".join(process.cmdline()))
    return found
