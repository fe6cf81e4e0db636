"""docs/another-api.md, done as it says: two files and a connection, put into a project, and run."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

import include.apis
from tests.e2e.conftest import Deployment
from tests.support.airflow_run import load_dag
from tests.support.api_server import Answer, ApiServer, Request
from tests.support.documents import DOCS, block, sections

STEPS = sections("another-api.md")
LOANS, AUTHORS, PAGE = 25, 12, 5
LINES_OF_A_DAG_FILE = 12
PARAM = "resources"


def library(request: Request) -> Answer:
    """The API of the page."""
    if request.headers.get("X-Api-Key") != "the key":
        return Answer(401, {"error": "who are you?"})
    if request.path == "/loans":
        first = (int(request.query["page"]) - 1) * PAGE
        return Answer(
            200, {"loans": [{"id": number} for number in range(first, min(first + PAGE, LOANS))], "total": LOANS}
        )
    if request.path == "/authors":
        first = int(request.query.get("from", 0))
        records = [{"id": number, "name": f"author {number}"} for number in range(first, min(first + PAGE, AUTHORS))]
        following = f"/authors?from={first + PAGE}" if first + PAGE < AUTHORS else None
        return Answer(200, {"authors": records, "links": {"next": following}})
    author = re.fullmatch(r"/authors/(\d+)/books", request.path)
    assert author, request.path
    # As many as the number of the author.
    return Answer(200, [{"id": int(author[1]) * 100 + number} for number in range(int(author[1]))])


def rows(deployment: Deployment, query: str) -> list[tuple[Any, ...]]:
    """As a reader of the page finds them, in the embedded database."""
    with duckdb.connect(str(deployment.database), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def dags(deployment: Deployment, api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's files in a project, and its connection in the environment."""
    from airflow import settings

    apis, dags = tmp_path / "include" / "apis", tmp_path / "dags"
    apis.mkdir(parents=True)
    dags.mkdir()
    (apis / "library.py").write_text(block(STEPS["1. The API"], "python"))
    (dags / "library.py").write_text(block(STEPS["2. The DAG"], "python"))
    # As if it lay in the project's own folder.
    monkeypatch.setattr(include.apis, "__path__", [*include.apis.__path__, str(apis)])
    # Where `dag.test` looks for what it writes into Airflow's database.
    monkeypatch.setattr(settings, "DAGS_FOLDER", str(dags))
    written = re.search(r"AIRFLOW_CONN_LIBRARY_API='(.*)'", block(STEPS["3. The connection"], "sh"), re.DOTALL)
    assert written
    connection: dict[str, Any] = json.loads(written[1])
    deployment.set(AIRFLOW_CONN_LIBRARY_API=json.dumps(connection | {"host": api.url}))
    api.script(library)
    return dags


def test_the_page_is_two_files_and_a_connection(deployment: Deployment, dags: Path) -> None:
    lines = (dags / "library.py").read_text().splitlines()
    assert len(lines) <= LINES_OF_A_DAG_FILE
    dag = load_dag(dags, "library.py")
    said = re.search(r"Its tasks are (.+?)\.", STEPS["2. The DAG"])
    assert said
    assert sorted(dag.task_ids) == sorted(re.findall("`(.+?)`", said[1]))
    assert list(dag.params)[-1] == PARAM
    outcome = deployment.run(dag=dag)
    assert outcome.xcom
    books = sum(range(AUTHORS))
    assert rows(deployment, block(STEPS["4. The first run"], "sql")) == [(LOANS, AUTHORS, books)]
    reports = "SELECT resource, read_rows, promised_rows FROM library_raw._load_reports ORDER BY resource"
    assert rows(deployment, reports) == [
        ("author_books", books, None),
        ("authors", AUTHORS, None),
        ("loans", LOANS, LOANS),
    ]


def test_a_run_may_ask_for_one_of_them(deployment: Deployment, api: ApiServer, dags: Path) -> None:
    deployment.run(dag=load_dag(dags, "library.py"), resources=["loans"])
    assert {request.path for request in api.requests} == {"/loans"}
    assert rows(deployment, "SELECT count(*) FROM library_raw.loans") == [(LOANS,)]


def test_the_page_names_the_files_where_they_belong() -> None:
    text = (DOCS / "another-api.md").read_text()
    assert re.findall(r"^\*\*((?:include|dags)/\S+\.py)\*\*", text, re.MULTILINE) == [
        "include/apis/library.py",
        "dags/library.py",
    ]
