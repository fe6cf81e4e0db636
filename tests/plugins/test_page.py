"""What the page shows: of few loads and many, of whole reports and odd ones, and that nothing in them becomes markup."""

import html
import re
import time
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.plugins.conftest import DAY, START, Metadata, Page, report

HOSTILE = [
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "'; alert(1); //",
    "{{ 7 * 7 }}",
    "‮moc.live",
    "</title></svg><script>1</script>",
    "javascript:alert(1)",
    "a" * 5_000,
]


class Markup(HTMLParser):
    """All elements of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def text_of(page: str) -> str:
    """What a reader sees of a page, each run of blanks one."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


# --- what is shown


def test_a_resource_that_was_never_loaded_says_so(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    assert "It has not been loaded yet." in page.html("dags/birds")
    assert "never" in page.html("")
    (summary,) = page.json("dags/birds")["summaries"]
    assert (summary["last"], summary["age"]["age"]) == (None, None)


def test_a_dag_without_tables_of_this_project_says_so(page: Page, metadata: Metadata) -> None:
    metadata.dag("other")
    assert "This DAG loads no table with this project." in page.html("dags/other")


def test_one_load_is_shown_with_all_that_is_told_of_it(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    told = report(notes={"total_is_no_count": 12}, schema_changes={"owls": ["new column wings"]}, deleted_rows=4)
    metadata.loads("birds", "owls", told)
    details = page.json("dags/birds")["details"]
    (load,) = details["loads"]
    assert details["total"] == 1
    for name in (
        "loaded_rows",
        "inserted_rows",
        "updated_rows",
        "unchanged_rows",
        "deleted_rows",
        "retries",
        "requests",
    ):
        assert load[name] == told[name], name
    assert load["notes"] == ["total is no count: 12"]
    shown = text_of(page.html("dags/birds"))
    for words in ("1 load known to Airflow", "total is no count: 12", "owls: new column wings", "No window is missing"):
        assert words in shown


def test_each_load_is_linked_to_its_run(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    metadata.loads("birds", "owls", report(), run_id="manual__2026-01-01T00:00:00+00:00/x")
    links = [link.get("href") for link in Markup(page.html("dags/birds")).of("a")]
    assert "/dags/birds/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00%2Fx-0" in links


def test_a_resource_of_several_is_chosen_by_name(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "eagles", "owls")
    metadata.loads("birds", "owls", report())
    assert page.json("dags/birds")["details"]["summary"]["resource"]["name"] == "eagles"
    assert page.json("dags/birds", resource="owls")["details"]["total"] == 1


def test_a_report_of_an_earlier_version_is_shown_too(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    kept = ("loaded_rows", "read_rows", "started_at", "finished_at", "seconds", "sync_mode")
    metadata.loads("birds", "owls", {name: value for name, value in report().items() if name in kept})
    (load,) = page.json("dags/birds")["details"]["loads"]
    assert (load["loaded_rows"], load["inserted_rows"], load["retries"]) == (10, None, None)
    assert [
        figure["aria-label"].split()[0]
        for figure in Markup(page.html("dags/birds")).of("svg")
        if figure.get("aria-label")
    ] == ["Rows", "Seconds"]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"loaded_rows": "many"},
        {"loaded_rows": -1, "seconds": float("1e300")},
        {"window_end": 7, "notes": [[{}]]},
        {"finished_at": "9999-12-31T23:59:59-23:00"},
    ],
)
def test_no_report_is_so_odd_that_the_page_fails(page: Page, metadata: Metadata, odd: dict[str, Any]) -> None:
    metadata.dag("birds", "owls")
    metadata.loads("birds", "owls", odd)
    assert page.json("dags/birds")["details"]["total"] == 1
    page.html("dags/birds")


# --- failures


def test_a_failed_run_shows_its_sentence_at_once(page: Page, metadata: Metadata) -> None:
    from load_history_page.reports import FAILED_KEY

    metadata.dag("birds", "owls")
    metadata.run("birds", "owls", "failed")
    sentence = "The API refuses the key (401). Set the password of the connection `birds_api`."
    metadata.xcom(
        "birds",
        "owls",
        FAILED_KEY,
        {"owls": {"status": "failed", "reason": "Permanent", "message": sentence, "try_number": 1}},
    )
    for route in ("dags/birds", "dags/birds/runs/run", "dags/birds/runs/run?task_id=owls"):
        assert sentence in text_of(page.html(route))
    (failure,) = page.json("dags/birds/runs/run")["failures"]
    assert (failure["sentence"], failure["is_retried"], failure["try_number"]) == (sentence, False, 1)


def test_a_try_that_is_tried_again_shows_why(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    metadata.run("birds", "owls", "up_for_retry", retry_reason="The API answered 503.", try_number=2)
    (failure,) = page.json("dags/birds/runs/run")["failures"]
    assert (failure["sentence"], failure["is_retried"], failure["try_number"]) == ("The API answered 503.", True, 2)
    assert "tried again" in page.html("dags/birds/runs/run")


def test_a_try_without_a_sentence_says_so(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    metadata.run("birds", "owls", "failed")
    assert "This try left no sentence" in page.html("dags/birds/runs/run")


def test_a_good_run_shows_what_it_loaded(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls", "eagles", task_id="owls")
    metadata.run("birds", "owls", "success")
    metadata.xcom("birds", "owls", "return_value", {"owls": report(), "eagles": report(5)})
    loads = page.json("dags/birds/runs/run")["loads"]
    assert [(load["resource"], load["loaded_rows"]) for load in loads] == [("owls", 10), ("eagles", 15)]
    assert page.json("dags/birds/runs/run", task_id="owls")["loads"] == loads


# --- age and windows


def test_a_load_that_is_not_there_when_it_is_due_is_late(
    page: Page, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.utils.types import DagRunType

    metadata.dag("birds", "owls")
    metadata.loads("birds", "owls", report(0))
    interval = (START + DAY, START + 2 * DAY)
    metadata.run("birds", "owls", "failed", run_type=DagRunType.SCHEDULED, data_interval=interval)
    (summary,) = page.json("dags/birds")["summaries"]
    assert (summary["age"]["due_at"], summary["age"]["is_late"]) == (None, False)
    monkeypatch.setenv("DATASETS_DEADLINE_HOURS", "6")
    (summary,) = page.json("dags/birds")["summaries"]
    assert (summary["age"]["due_at"], summary["age"]["is_late"]) == ("2026-01-03T06:00:00Z", True)
    metadata.loads("birds", "owls", report(1))
    (summary,) = page.json("dags/birds")["summaries"]
    assert summary["age"]["is_late"] is False


def test_a_day_that_nobody_loaded_is_a_gap() -> None:
    from load_history_page.coverage import coverage
    from load_history_page.store import Window

    def day(number: int) -> Window:
        return Window("run", START + number * DAY, START + (number + 1) * DAY, (), START)

    found = coverage([day(0), day(1), day(3), day(4)], (START + 6 * DAY).date())
    days = {one.day: one.state for week in found.weeks for one in week}
    assert [days[(START + number * DAY).date()] for number in range(-1, 7)] == [
        "none",
        "loaded",
        "loaded",
        "gap",
        "loaded",
        "loaded",
        "none",
        "none",
    ]
    assert found.gaps == ((START + 2 * DAY, START + 3 * DAY),)
    # A snapshot holds all of before.
    everything = Window("run", None, START + 3 * DAY, (), START)
    assert coverage([day(0), everything, day(3)], (START + 6 * DAY).date()).gaps == ()


def test_gaps_are_told_in_words(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    metadata.loads("birds", "owls", *(report(number) for number in (0, 1, 4)))
    assert "2026-01-03 00:00 to 2026-01-05 00:00" in text_of(page.html("dags/birds"))


# --- what stands in a report is text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert(page: Page, metadata: Metadata, text: str) -> None:
    # Airflow takes ASCII alone for the URI of an asset.
    resource = text[:200].replace("/", "_") if text.isascii() else "owls"
    metadata.dag("birds", resource)
    hostile = report(
        notes={text: [text, {text: text}]}, schema_changes=[text], sync_mode=text, status=text, destination=text
    )
    metadata.loads("birds", resource, hostile, run_id=text[:200])
    metadata.run("birds", resource, "failed", retry_reason=text[:500])
    shown = [page.html(""), page.html("dags/birds"), page.html("dags/birds/runs/run")]
    for one in shown:
        markup = Markup(one)
        assert markup.of("script") == [{"src": "/load-history/static/page.js"}]
        assert not markup.of("img") + markup.of("style") + markup.of("iframe")
        for tag, attributes in markup.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
            assert (attributes.get("href") or "/").startswith("/")
    assert html.escape(text[:200], quote=False).split("/")[0] in shown[1].replace("&#34;", '"').replace("&#39;", "'")


# --- many loads


def test_100_000_loads_are_as_few_queries_as_one(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    metadata.loads("birds", "owls", report())
    with page.counting():
        page.html("dags/birds")
    few = len(page.statements)
    metadata.many_loads("birds", "owls", 100_000)
    began = time.monotonic()
    with page.counting():
        shown = page.html("dags/birds")
    seconds = time.monotonic() - began
    assert "100,001 loads known to Airflow; 100 shown" in text_of(shown)
    assert len(page.statements) == few <= 14
    # Each of them says how many rows it may give back, or gives one for each resource.
    unlimited = [
        statement for statement in page.statements if "FROM asset_event" in statement and "LIMIT" not in statement
    ]
    assert [statement for statement in unlimited if "count(" not in statement] == []
    # Far above what it takes: a fault, and no slow machine.
    assert seconds < 2, timedelta(seconds=seconds)


def test_older_loads_are_a_page_further(page: Page, metadata: Metadata) -> None:
    metadata.dag("birds", "owls")
    metadata.loads("birds", "owls", *(report(number) for number in range(150)))
    first = page.json("dags/birds")["details"]
    second = page.json("dags/birds", before=first["older_than"])["details"]
    ids = [load["load_id"] for load in first["loads"] + second["loads"]]
    assert ids == [str(number) for number in reversed(range(150))]
    assert second["older_than"] is None


def test_all_that_the_page_reads_of_a_report_is_in_the_history() -> None:
    from dataclasses import fields

    from include.report.history import LoadReport
    from load_history_page.reports import Load

    known = {field.name for field in fields(LoadReport)} | {"task_id"}
    assert {field.name for field in fields(Load)} <= known
