"""A page in Airflow that shows what was loaded: in the menu, and as a tab on a DAG, on a run and on a task.

Airflow imports this file in each of its processes, tasks too: what the page is made of is imported by the first request.
"""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/load-history"


async def page(scope: Any, receive: Any, send: Any) -> None:
    """The page as an ASGI application."""
    from load_history_page.app import app

    await app(scope, receive, send)


def _tab(destination: str, path: str) -> dict[str, str]:
    return {
        "name": "Loads" if destination != "nav" else "Load history",
        "destination": destination,
        # Without a slash in front: Airflow may itself be served below a path. Airflow fills in what is in braces.
        "href": f"{PREFIX[1:]}/{path}",
        # Has to differ for each of them.
        "url_route": "load-history" if destination == "nav" else f"loads-of-{destination.replace('_', '-')}",
    }


class LoadHistoryPlugin(AirflowPlugin):
    """What Airflow looks for."""

    name = "load_history"
    fastapi_apps = [{"app": page, "url_prefix": PREFIX, "name": "Load history"}]
    external_views = [
        {**_tab("nav", ""), "category": "browse"},
        _tab("dag", "dags/{DAG_ID}"),
        _tab("dag_run", "dags/{DAG_ID}/runs/{RUN_ID}"),
        _tab("task_instance", "dags/{DAG_ID}/runs/{RUN_ID}?task_id={TASK_ID}"),
    ]
