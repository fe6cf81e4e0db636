"""Who is compared: for each contender, the command that loads the API into a destination, as a whole process.

In: a `Job`. Out: a command and its environment variables. Each is told the same: where the API is, its key, and
where the data goes.
"""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import FOLDER, PROJECT, python_of

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """One run. `destination` is a DuckDB file or a PostgreSQL URL; `work` an empty folder."""

    url: str
    destination: str
    work: Path

    @property
    def to_postgres(self) -> bool:
        return self.destination.startswith("postgresql://")


@dataclass(frozen=True)
class Contender:
    """`environments` are made before the clock starts; `prepare` runs then too. `loads`: it loads the records."""

    command: Callable[[Job], list[str]]
    environments: tuple[str, ...] = ()
    variables: Callable[[Job], dict[str, str]] = lambda _: {}
    prepare: Callable[[Job], None] = lambda _: None
    postgres: bool = True
    loads: bool = True


def _dlt_variables(job: Job) -> dict[str, str]:
    return {"DLT_DATA_DIR": str(job.work), "RUNTIME__DLTHUB_TELEMETRY": "false"}


def _in_project(nested: str, **options: str) -> Contender:
    return Contender(
        lambda job: [str(python_of("project")), f"{HERE}/project.py", job.destination],
        environments=("project",),
        variables=lambda job: {
            **_dlt_variables(job),
            "PYTHONPATH": str(PROJECT),
            "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
            "SOURCES__DATASETS__BASE_URL": job.url,
            "SOURCES__DATASETS__API_KEY": "key",
            "SOURCES__DATASETS__NESTED": nested,
            **{f"SOURCES__DATASETS__{name.upper()}": value for name, value in options.items()},
        },
    )


def _airflow_variables(job: Job, nested: str) -> dict[str, str]:
    api = {"conn_type": "http", "host": job.url, "password": "key", "extra": {"nested": nested}}
    variables = {
        "AIRFLOW_HOME": str(FOLDER / "airflow-home"),
        "AIRFLOW_CONN_DATASETS_API": json.dumps(api),
    }
    key = "AIRFLOW_CONN_DATASETS_DESTINATION" if job.to_postgres else "DATASETS_DUCKDB_PATH"
    return {**variables, key: job.destination}


def _migrate(job: Job) -> None:
    environment = {**os.environ, **_airflow_variables(job, "json")}
    subprocess.run([PROJECT / "bin" / "airflow", "dags", "list"], env=environment, check=True, capture_output=True)


def _through_airflow(nested: str) -> Contender:
    return Contender(
        lambda _: [str(PROJECT / "bin" / "airflow"), "dags", "test", "datasets"],
        variables=lambda job: _airflow_variables(job, nested),
        prepare=_migrate,
    )


def _other_dag(dag_id: str, loads: bool) -> Contender:
    """A DAG of `benchmarks/dags`, in a folder of its own: `dags test` imports all that it finds."""

    def variables(job: Job) -> dict[str, str]:
        own = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(HERE.parent / "dags" / dag_id),
            "BENCH_URL": job.url,
            "BENCH_DESTINATION": job.destination,
        }
        return {**_airflow_variables(job, "json"), **own}

    return Contender(
        lambda _: [str(PROJECT / "bin" / "airflow"), "dags", "test", dag_id],
        variables=variables,
        prepare=_migrate,
        loads=loads,
    )


def _airbyte_variables(job: Job) -> dict[str, str]:
    folders = ("AIRBYTE_PROJECT_DIR", "AIRBYTE_LOGGING_ROOT", "AIRBYTE_TEMP_DIR", "HOME")
    return {**dict.fromkeys(folders, str(job.work)), "DO_NOT_TRACK": "1", "AIRBYTE_OFFLINE_MODE": "1"}


def _script(environment: str, name: str, *given: str) -> Callable[[Job], list[str]]:
    return lambda job: [
        str(python_of(environment)),
        f"{HERE}/{name}.py",
        job.url,
        job.destination,
        *(str(getattr(job, field)) for field in given),
    ]


LIMIT = "raw limit"
CONTENDERS: dict[str, Contender] = {
    LIMIT: Contender(_script("limit", "limit"), ("limit",)),
    "this project, `json`": _in_project("json"),
    "this project, `tables`": _in_project("tables"),
    # As many as the raw limit sends at once; the project's default is 8.
    "this project, `json`, 16 requests at once": _in_project("json", max_parallel_requests="16"),
    "this project through Airflow, `json`": _through_airflow("json"),
    "Airflow, a task that does nothing": _other_dag("nothing", loads=False),
    "tap-rest-api-msdk, target": Contender(
        lambda job: [f"{HERE}/singer.sh", str(FOLDER), job.url, job.destination, str(job.work)],
        environments=("tap", "target-duckdb", "target-postgres"),
    ),
    "airbyte-cdk, PyAirbyte": Contender(
        _script("airbyte", "pyairbyte", "work"), ("airbyte",), _airbyte_variables, postgres=False
    ),
    "dlt as it comes through Airflow": _other_dag("dlt_as_it_comes", loads=True),
    "dlt as it comes": Contender(_script("dlt", "dlt_as_it_comes"), ("dlt",), _dlt_variables),
}
