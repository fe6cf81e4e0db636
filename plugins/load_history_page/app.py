"""The routes of the page, each behind Airflow's auth manager, and the headers that make whatever stands in a report inert.

In: requests below `/load-history`. Out: HTML for people, the same as JSON below `/load-history/api`.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from fastapi import FastAPI, HTTPException, Query, Request, Response, status
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException as StarletteHTTPException

from load_history_page import pages, store
from load_history_page.access import MAY_READ_DAG, readable
from load_history_page.rendering import render

HEADERS = {
    # No script, style or image but those of this page; Airflow alone may show it in a frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
TOLD = {
    status.HTTP_401_UNAUTHORIZED: "You are not signed in. Sign in to Airflow, then load this page again.",
    status.HTTP_403_FORBIDDEN: "You may not read this. Ask who runs this Airflow for the right to read the DAG and its XComs.",
    status.HTTP_404_NOT_FOUND: "There is nothing here: the DAG, the run or the resource is not known to this Airflow.",
}

# Swagger's pages would load their scripts from a CDN.
app = FastAPI(title="Load history", openapi_url=None)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")

Before = Annotated[int | None, Query(ge=0, le=2**31 - 1)]


@app.middleware("http")
async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """On each answer, errors too. What was read for one person is kept for no other."""
    # Before the answer: routes below change what the request says of its path.
    is_private = not _path(request).startswith("/static/")
    response = await call_next(request)
    response.headers.update(HEADERS)
    if is_private:
        response.headers["Cache-Control"] = "no-store"
    return response


@app.exception_handler(StarletteHTTPException)
async def refuse(request: Request, error: StarletteHTTPException) -> Response:
    """A sentence, as a page or as JSON."""
    sentence = TOLD.get(error.status_code, str(error.detail))
    if _path(request).startswith("/api/"):
        return JSONResponse({"detail": sentence}, error.status_code)
    return HTMLResponse(render(request, "error.html", sentence=sentence), error.status_code)


@app.get("/")
def overview(request: Request, user: GetUserDep, session: SessionDep) -> HTMLResponse:
    """All resources whose DAG the user may read."""
    return HTMLResponse(render(request, "overview.html", summaries=_overview(user, session)))


@app.get("/api/")
def overview_as_json(user: GetUserDep, session: SessionDep) -> tuple[pages.Summary, ...]:
    """As `overview`."""
    return _overview(user, session)


@app.get("/dags/{dag_id}", dependencies=MAY_READ_DAG)
def dag(
    request: Request, dag_id: str, session: SessionDep, resource: str | None = None, before: Before = None
) -> HTMLResponse:
    """The loads of a DAG, with the details of one resource."""
    return HTMLResponse(render(request, "dag.html", page=_dag(session, dag_id, resource, before)))


@app.get("/api/dags/{dag_id}", dependencies=MAY_READ_DAG)
def dag_as_json(dag_id: str, session: SessionDep, resource: str | None = None, before: Before = None) -> pages.DagPage:
    """As `dag`."""
    return _dag(session, dag_id, resource, before)


@app.get("/dags/{dag_id}/runs/{run_id}", dependencies=MAY_READ_DAG)
def run(request: Request, dag_id: str, run_id: str, session: SessionDep, task_id: str | None = None) -> HTMLResponse:
    """What one run has loaded, and why not."""
    return HTMLResponse(render(request, "run.html", page=_run(session, dag_id, run_id, task_id)))


@app.get("/api/dags/{dag_id}/runs/{run_id}", dependencies=MAY_READ_DAG)
def run_as_json(dag_id: str, run_id: str, session: SessionDep, task_id: str | None = None) -> pages.RunPage:
    """As `run`."""
    return _run(session, dag_id, run_id, task_id)


def _overview(user: Any, session: Session) -> tuple[pages.Summary, ...]:
    found = store.resources(session)
    allowed = readable({resource.dag_id for resource in found}, user, session)
    return pages.overview(session, [one for one in found if one.dag_id in allowed], datetime.now(UTC))


def _dag(session: Session, dag_id: str, resource: str | None, before: int | None) -> pages.DagPage:
    page = pages.dag_page(session, dag_id, resource, before, datetime.now(UTC))
    if page.details is None and (resource is not None or not _is_known(session, dag_id)):
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return page


def _run(session: Session, dag_id: str, run_id: str, task_id: str | None) -> pages.RunPage:
    page = pages.run_page(session, dag_id, run_id, task_id)
    if not page.states:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return page


def _is_known(session: Session, dag_id: str) -> bool:
    return session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id)) is not None


def _path(request: Request) -> str:
    """The path below the page's own prefix."""
    return request.url.path.removeprefix(request.scope.get("root_path", ""))
