"""From records to HTML: templates that escape whatever they are given, and how numbers, times and links are written.

In: the request, the name of a template, what it shows. Out: HTML.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from load_history_page import charts
from load_history_page.reports import Load
from load_history_page.store import Failure

NOT_TOLD = "\N{EN DASH}"


def render(request: Request, template: str, **shown: Any) -> str:
    """The page; its links stand below the path at which Airflow and this page are served."""
    root = request.scope.get("root_path", "")
    airflow = root.removesuffix("/load-history")
    return _templates.get_template(template).render(**shown, root=root, airflow=airflow, charts=charts)


def count(value: float | None) -> str:
    """A number of things, in groups of three digits."""
    return NOT_TOLD if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """Seconds with one digit behind the point."""
    return NOT_TOLD if value is None else f"{value:,.1f}"


def size(value: int | None) -> str:
    """Bytes with a unit."""
    return NOT_TOLD if value is None else f"{charts.short(value)}B"


def when(value: datetime | None) -> str:
    """An instant, to the minute."""
    return NOT_TOLD if value is None else f"{value:%Y-%m-%d %H:%M}"


def age(value: timedelta | None) -> str:
    """A duration in its largest unit: `3 hours`."""
    if value is None:
        return NOT_TOLD
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if (number := int(value.total_seconds() // length)) >= 1:
            return f"{number:,} {unit}{'s' * (number > 1)}"
    return "less than a minute"


def window(load: Load) -> str:
    """What the load covers."""
    if load.window_end is None:
        return "everything"
    return f"{when(load.window_start) if load.window_start else 'beginning'} to {when(load.window_end)}"


def run_link(load: Load | Failure) -> str:
    """The run in Airflow, below its root."""
    return f"/dags/{quote(load.dag_id, safe='')}/runs/{quote(load.run_id, safe='')}"


def try_link(failure: Failure) -> str:
    """The log of the try in Airflow, below its root."""
    mapped = f"/mapped/{failure.map_index}" if failure.map_index >= 0 else ""
    task = quote(failure.task_id, safe="")
    return f"{run_link(failure)}/tasks/{task}{mapped}?try_number={failure.try_number}"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {one.__name__: one for one in (count, seconds, size, when, age, window, run_link, try_link)} | {
    "path": lambda text: quote(text, safe="")
}
