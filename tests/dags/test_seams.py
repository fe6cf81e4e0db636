"""Canaries: what this project leans on inside Airflow and dlt's Airflow helper. The others are in tests/unit/test_seams.py."""

import inspect
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pytest
from airflow.models import taskinstance
from airflow.models.taskinstance import TaskInstance
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from airflow.utils import file as airflow_file
from dlt.common.known_env import DLT_DATA_DIR, DLT_LOCAL_DIR, DLT_PROJECT_DIR
from dlt.helpers import airflow_helper
from dlt.helpers.airflow_helper import PipelineTasksGroup

UUID_VERSION = 7
_OTHER_NAME = "DLT_ANOTHER_NAME"


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The helper's variables and folders end with the test."""
    for name in (DLT_DATA_DIR, DLT_LOCAL_DIR, DLT_PROJECT_DIR, _OTHER_NAME):
        monkeypatch.setenv(name, str(tmp_path / "nothing" / "yet"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_id_of_a_task_instance_begins_with_the_time() -> None:
    made = [taskinstance.uuid7(), TaskInstance.__table__.c.id.default.arg(None)]
    for one in made:
        assert one.version == UUID_VERSION
        assert abs((one.int >> 80) / 1000 - time.time()) < 60
    # And it is made anew for the next try.
    assert "self.id = uuid7()" in inspect.getsource(TaskInstance.prepare_db_for_next_try)


def test_the_helper_names_a_folder_for_the_data_in_the_environment() -> None:
    with DAG("seams"):
        PipelineTasksGroup("seams", wipe_local_data=False)
        folder = Path(os.environ[DLT_DATA_DIR])
        pipeline = dlt.pipeline("seams")
    assert folder.parent == Path(tempfile.gettempdir())
    assert folder in Path(pipeline.pipelines_dir).parents


def test_the_helper_reads_its_retry_policy_when_it_has_the_data() -> None:
    source = inspect.getsource(PipelineTasksGroup._run)
    between = re.search(r"\bdata = data\(\)\s*(#.*\s*)?for attempt in self\.retry_policy\.copy\(\s*retry=", source)
    assert between, "something happens between the two, or they come in another order"
    run = source.index("task_pipeline.run(")
    assert between.start() < run, "the data is there before the pipeline runs"
    assert "stop=" not in source[between.start() : run], "when to stop is what the policy says"


def test_the_helper_builds_dlts_providers_anew() -> None:
    assert "Container()[PluggableRunContext].reload_providers()" in inspect.getsource(PipelineTasksGroup.__init__)


def test_a_group_of_the_helper_can_stand_in_another_dag_than_its_task() -> None:
    nowhere = DAG("nowhere", schedule=None, auto_register=False)
    with DAG("seams") as dag:
        group = PipelineTasksGroup("seams", parent_group=nowhere.task_group, wipe_local_data=False)
        operator = group.run(dlt.pipeline("seams"), [{"id": 1}])
    assert dag.task_ids == [operator.task_id] == ["seams"]
    assert list(dag.task_group.children) == ["seams"], "no box around the task"
    assert dag.task_group.children["seams"] is operator


def test_airflow_looks_for_dags_where_it_finds_two_words(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    found = {}
    for text in ("Airflow, api_dag", "airflow alone", "a dag alone"):
        file.write_text(f"# {text}")
        found[text] = airflow_file.might_contain_dag_via_default_heuristic(str(file))
    assert found == {"Airflow, api_dag": True, "airflow alone": False, "a dag alone": False}


def test_an_operator_calls_what_its_attribute_says() -> None:
    ran: list[str] = []
    with DAG("seams"):
        operator = PythonOperator(task_id="seams", python_callable=lambda: ran.append("first"))
    operator.python_callable = lambda: ran.append("second")
    assert "self.python_callable" in inspect.getsource(PythonOperator.execute_callable)
    operator.python_callable()
    assert ran == ["second"]


CANARIES: dict[str, Callable[..., None]] = {
    name: value for name, value in list(globals().items()) if name.startswith("test_") and callable(value)
}


def _other(*_: Any, **__: Any) -> Any:
    """What an inside could become."""


def _named_twice(*_: Any) -> str:
    return "seams.seams"


CHANGES: list[tuple[str, Any, str, Any]] = [
    ("test_the_id_of_a_task_instance_begins_with_the_time", taskinstance, "uuid7", uuid.uuid4),
    ("test_the_id_of_a_task_instance_begins_with_the_time", TaskInstance, "prepare_db_for_next_try", _other),
    (
        "test_the_helper_names_a_folder_for_the_data_in_the_environment",
        airflow_helper,
        "DLT_DATA_DIR",
        _OTHER_NAME,
    ),
    ("test_the_helper_reads_its_retry_policy_when_it_has_the_data", PipelineTasksGroup, "_run", _other),
    ("test_the_helper_builds_dlts_providers_anew", PipelineTasksGroup, "__init__", _other),
    (
        "test_a_group_of_the_helper_can_stand_in_another_dag_than_its_task",
        PipelineTasksGroup,
        "_task_name",
        _named_twice,
    ),
    (
        "test_airflow_looks_for_dags_where_it_finds_two_words",
        airflow_file,
        "might_contain_dag_via_default_heuristic",
        _other,
    ),
    ("test_an_operator_calls_what_its_attribute_says", PythonOperator, "execute_callable", _other),
]


@pytest.mark.parametrize(("canary", "owner", "name", "value"), CHANGES)
def test_a_canary_turns_red(
    canary: str, owner: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needed = {"tmp_path": tmp_path} if "tmp_path" in inspect.signature(CANARIES[canary]).parameters else {}
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(AssertionError):
        CANARIES[canary](**needed)


def test_each_canary_was_seen_red() -> None:
    assert {canary for canary, *_ in CHANGES} == set(CANARIES)
