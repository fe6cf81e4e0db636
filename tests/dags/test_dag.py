"""The DAG as Airflow sees it: what it says of itself, and that parsing it touches nothing and is always the same."""

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.apis.datasets import DATASETS
from include.configure.settings import Settings
from include.decide.sync_mode import SYNC_MODES
from include.errors import ConfigurationError
from include.load.destinations.postgres.staging import LONGEST_RUN_SECONDS
from tests.support.airflow_run import DAGS, PROJECT, load_dag

# A parse takes at most so many times that of an empty DAG file which imports dlt's helper.
PARSE_LIMIT = 1.5


@pytest.fixture
def dag() -> Any:
    return load_dag()


# --- what it says of itself


def test_it_runs_every_day_over_the_day_before(dag: Any) -> None:
    timetable = dag.timetable
    assert type(timetable).__name__ == "CronDataIntervalTimetable"
    assert (timetable.expression, str(timetable.timezone)) == ("0 0 * * *", "UTC")
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert dag.start_date.utcoffset() == timedelta()


def test_its_runs_have_an_interval_of_a_day(dag: Any) -> None:
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    restriction = TimeRestriction(dag.start_date, None, catchup=True)
    timetable = coerce_to_core_timetable(dag.timetable)
    run = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert run.data_interval.end - run.data_interval.start == timedelta(days=1)
    # A run that is due has an interval that is over.
    assert run.run_after == run.data_interval.end


def test_it_can_be_found_and_read(dag: Any) -> None:
    assert dag.dag_id == "datasets"
    assert dag.tags == {"dlt", "rest-api", "ingest"}
    assert dag.owner == "data-engineering"
    # The docstring is the user's page: it names what has to be there, and where what was loaded is told.
    for word in ("`datasets_api`", "`datasets_destination`", "`datasets_raw._load_reports`"):
        assert word in dag.doc_md


def test_its_form_takes_nothing_a_mode_or_a_window(dag: Any) -> None:
    assert list(dag.params) == ["sync_mode", "window_start", "window_end", "allow_deletes"]
    dag.params.validate()
    assert dag.params.dump() == {**dict.fromkeys(dag.params), "allow_deletes": False}
    fields = {name: dag.params.get_param(name).schema for name in dag.params}
    assert fields["sync_mode"]["examples"] == list(SYNC_MODES)
    assert [dag.params.get_param("sync_mode").resolve(mode) for mode in SYNC_MODES] == list(SYNC_MODES)
    assert {fields[name]["format"] for name in ("window_start", "window_end")} == {"date-time"}
    assert all(field["title"] and dag.params.get_param(name).description for name, field in fields.items())


# What is text and no instant is refused by the task, before it sends a request.
@pytest.mark.parametrize(("name", "value"), [("sync_mode", "upsert"), ("window_start", 5), ("window_end", True)])
def test_its_form_refuses_the_rest(dag: Any, name: str, value: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


def test_it_has_a_task_and_an_asset_for_each_resource(dag: Any) -> None:
    assert [task.task_id for task in dag.tasks] == list(DATASETS.resource_names)
    outlets = [[asset.name for asset in task.outlets] for task in dag.tasks]
    assert outlets == [[f"datasets_raw.{resource}"] for resource in DATASETS.resource_names]


def test_its_tasks_are_retried_and_end(dag: Any) -> None:
    for task in dag.tasks:
        assert (task.retries, task.retry_delay) == (3, timedelta(seconds=60))
        assert (task.retry_exponential_backoff, task.max_retry_delay) == (2.0, timedelta(hours=1))
        assert type(task.retry_policy).__name__ == "CausalRetryPolicy"
        assert task.execution_timeout == timedelta(seconds=LONGEST_RUN_SECONDS) == timedelta(hours=6)


def test_the_environment_sets_its_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASETS_TASK_RETRIES", "7")
    monkeypatch.setenv("DATASETS_TASK_RETRY_DELAY_SECONDS", "1.5")
    (task,) = load_dag().tasks
    assert (task.retries, task.retry_delay) == (7, timedelta(seconds=1.5))


def test_the_environment_sets_its_pool_and_how_many_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = load_dag().tasks
    assert (task.pool, task.pool_slots, task.max_active_tis_per_dag) == ("default_pool", 1, None)
    monkeypatch.setenv("DATASETS_POOL", "datasets_api")
    monkeypatch.setenv("DATASETS_POOL_SLOTS", "8")
    monkeypatch.setenv("DATASETS_TASK_MAX_ACTIVE", "1")
    (task,) = load_dag().tasks
    assert (task.pool, task.pool_slots, task.max_active_tis_per_dag) == ("datasets_api", 8, 1)


@pytest.mark.parametrize("name", [str(field.validation_alias) for field in Settings.model_fields.values()])
def test_an_empty_variable_breaks_no_import(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    (task,) = load_dag().tasks
    assert (task.retries, task.retry_delay) == (3, timedelta(seconds=60))


def test_a_wrong_variable_is_an_import_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASETS_TASK_RETRIES", "many")
    with pytest.raises(ConfigurationError, match="`DATASETS_TASK_RETRIES` has to be a whole number"):
        load_dag()


@pytest.fixture(autouse=True)
def _settings_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


# --- what parsing it does

PARSE = r"""
import json, os, socket, sys, tempfile

def forbidden(*args, **kwargs):
    raise AssertionError(f"a parse may not do this: {args}")

import airflow.settings
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Connection, Variable
from airflow.sdk.execution_time import context
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.dag_version_inflation_checker import check_dag_file_stability
from dlt.common.configuration.providers.toml import SecretsTomlProvider

Connection.get = Variable.get = forbidden
context._get_connection = context._get_variable = forbidden
SecretsTomlProvider.get_value = forbidden
for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, forbidden)

before = sorted(os.listdir(tempfile.gettempdir()))
bag = DagBag(sys.argv[1], collect_dags=True)
print(json.dumps({
    "errors": list(bag.import_errors.values()),
    "left": sorted(set(os.listdir(tempfile.gettempdir())) - set(before)),
    "serialized": {dag_id: DagSerialization.to_dict(dag) for dag_id, dag in bag.dags.items()},
    "modules": sorted(sys.modules),
    "warnings": [str(found) for found in check_dag_file_stability(sys.argv[1] + "/datasets.py").warnings],
}, sort_keys=True))
"""
SECRET = "s3cr3t/+key=%&"


def run_python(code: str, home: Path, *arguments: str, **environment: str) -> str:
    """What `code` prints, in a process of its own with a temp folder of its own."""
    (home / "tmp").mkdir(parents=True)
    variables = (
        os.environ
        | environment
        | {
            "AIRFLOW_HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "AIRFLOW__CORE__DAGS_FOLDER": arguments[0],
            "PYTHONPATH": str(PROJECT),
        }
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def parses(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two parses of the DAG, each in a process of its own, where looking anything up raises."""
    return [
        json.loads(
            run_python(
                PARSE,
                tmp_path_factory.mktemp("home") / "airflow",
                str(DAGS),
                # Sets and dicts in another order.
                PYTHONHASHSEED=seed,
                AIRFLOW_CONN_DATASETS_API=json.dumps({"conn_type": "http", "host": "h", "password": SECRET}),
                SOURCES__DATASETS__API_KEY=SECRET,
            )
        )
        for seed in ("1", "2")
    ]


def test_a_parse_looks_nothing_up(parses: list[dict[str, Any]]) -> None:
    for parse in parses:
        assert parse["errors"] == []
        assert list(parse["serialized"]) == ["datasets"]


def test_a_parse_leaves_nothing_in_the_temp_directory(parses: list[dict[str, Any]]) -> None:
    assert [parse["left"] for parse in parses] == [[], []]


def test_a_parse_imports_nothing_that_only_the_task_needs(parses: list[dict[str, Any]]) -> None:
    needed_in_the_task = {
        "include.extract.source",
        "include.configure.provider",
        "include.load.destination",
        "duckdb",
        "dlt.sources.rest_api",
    }
    for parse in parses:
        assert needed_in_the_task & set(parse["modules"]) == set()


def test_two_parses_are_the_same_to_airflow(parses: list[dict[str, Any]]) -> None:
    first, second = (json.dumps(parse["serialized"], sort_keys=True) for parse in parses)
    assert first == second
    assert "0 0 * * *" in first


def test_a_serialized_dag_holds_no_secret(parses: list[dict[str, Any]]) -> None:
    from include.redaction import forms_of

    for parse in parses:
        assert not [form for form in forms_of(SECRET) if form in json.dumps(parse["serialized"])]


def test_airflow_finds_nothing_that_changes_between_parses(parses: list[dict[str, Any]], tmp_path: Path) -> None:
    # What `dag_version_inflation_check_level=error` asks.
    assert [parse["warnings"] for parse in parses] == [[], []]
    from airflow.utils.dag_version_inflation_checker import check_dag_file_stability

    # What it would say, if a file of `dags` gave its DAG a start that moves.
    changing = tmp_path / "datasets.py"
    changing.write_text(
        (DAGS / "datasets.py").read_text()
        + 'import pendulum\nfrom airflow.sdk import DAG\n\nDAG("moves", start_date=pendulum.now())\n'
    )
    assert check_dag_file_stability(str(changing)).warnings


# Airflow's DAG processor has imported Airflow before it forks to parse a file: so does this.
TIME = r"""
import importlib.util, os, sys, time
import airflow.settings
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

def seconds(file):
    reader, writer = os.pipe()
    if os.fork() == 0:
        begun = time.process_time()
        spec = importlib.util.spec_from_file_location("dag_file", file)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        os.write(writer, str(time.process_time() - begun).encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    return float(os.read(reader, 100))

ours, empty = sys.argv[1] + "/datasets.py", sys.argv[2]
rounds = [(seconds(ours), seconds(empty)) for _ in range(3)]
print(min(o for o, _ in rounds) / min(e for _, e in rounds))
"""


def test_a_parse_takes_hardly_longer_than_importing_dlts_helper(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text(
        "from airflow.sdk import DAG\n"
        "from dlt.helpers.airflow_helper import PipelineTasksGroup\n"
        "with DAG('empty'):\n    pass\n"
    )
    # Processor time of both in one process, the best of three: no matter how busy the machine is.
    ratio = float(run_python(TIME, tmp_path / "home", str(DAGS), str(empty)))
    assert 0.5 < ratio <= PARSE_LIMIT


def test_the_file_stays_one_that_can_be_read_at_once() -> None:
    assert len((DAGS / "datasets.py").read_text().splitlines()) <= 80


# --- who may import whom: the contracts are in pyproject.toml, `make lint` holds them; import-linter sees packages alone


def test_one_module_uses_dlts_airflow_helper() -> None:
    assert modules_with(r"\bdlt\.helpers\b") == {"include/pipeline.py"}


def test_what_is_decided_and_told_touches_no_pipeline() -> None:
    found = modules_with(r"\bdlt\.(pipeline|Pipeline)\b|from dlt import")
    assert not {name for name in found if name.startswith(("include/decide/", "include/configure/", "include/apis/"))}
    assert "include/report/assets.py" not in found
    assert "include/pipeline.py" in found


def test_nothing_imports_a_dag() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["id"] == "nothing-above")
    assert {"dags", *(path.stem for path in DAGS.glob("*.py"))} <= set(contract["forbidden_modules"])
    names = "|".join(contract["forbidden_modules"])
    for file in (PROJECT / "plugins").glob("**/*.py"):
        assert not re.search(rf"^\s*(from|import) ({names})\b", file.read_text(), re.M), file


def modules_with(pattern: str) -> set[str]:
    """The modules of `include` whose text has `pattern`."""
    files = (PROJECT / "include").glob("**/*.py")
    return {str(file.relative_to(PROJECT)) for file in files if re.search(pattern, file.read_text())}


def test_the_dag_file_asks_the_environment_for_nothing_but_how_its_tasks_run() -> None:
    file = (DAGS / "datasets.py").read_text() + (PROJECT / "include" / "api_dag.py").read_text()
    assert "environ" not in file
    asked = {f"DATASETS_{name.upper()}" for name in re.findall(r"\bsettings\.(\w+)", file)}
    assert [name for name in asked if not name.startswith(("DATASETS_TASK_", "DATASETS_POOL"))] == []
    assert {"DATASETS_TASK_RETRIES", "DATASETS_TASK_RETRY_DELAY_SECONDS"} <= asked
