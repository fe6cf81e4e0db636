"""What the README and the pages of docs/ say against the code: names, defaults, numbers, sentences and links. No Airflow is imported."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.apis.api import ALERTS_CONN_ID, DESTINATION_CONN_ID, REPORTS_TABLE
from include.apis.datasets import DATASETS
from include.configure.api_connection import api_values
from include.configure.declaration import read_declaration
from include.configure.options import SourceOptions
from include.configure.settings import Settings
from include.decide.sync_mode import LOADED_AT_COLUMN, RUN_COLUMN, SYNC_MODES
from include.extract.completeness import MAX_PASSES
from include.extract.session import CONNECT_TIMEOUT_SECONDS, RETRIED_STATUSES, HttpConfiguration
from include.load.files import DELTA_MODES, DELTA_REQUIREMENT
from include.load.kinds import kind_of, kinds
from include.report.history import LoadReport

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
ARCHITECTURE = (PROJECT / "docs" / "architecture.md").read_text()
DOCUMENTS = [
    *(PROJECT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
DECISIONS = sorted((PROJECT / "docs" / "decisions").glob("*.md"))
# Makes the DAG of each API: not imported here, as it imports Airflow.
DAG_MAKER = PROJECT / "include" / "api_dag.py"
SOURCES = [*PROJECT.glob("include/**/*.py"), *PROJECT.glob("demo/*.py"), *PROJECT.glob("dags/*.py")]

PAGES = {file.read_text().partition("\n")[0].removeprefix("# "): file for file in (PROJECT / "docs").glob("*.md")}
# The pages that the README was before it became short.
MANUAL = README + "".join(file.read_text() for file in PAGES.values())

# Code of one or of two backticks; the second may hold one.
CODE = re.compile(r"``(.+?)``|`([^`]+)`")


def page(title: str) -> str:
    """The page of docs/ with that title."""
    return PAGES[title].read_text()


def section(title: str, document: str) -> str:
    """The text of `document` below the heading `title`, up to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, f"There is no section {title}."
    return found.group(1)


def rows(text: str, first_heading: str) -> Iterator[list[str]]:
    """The cells of the table in `text` whose first column has that heading."""
    table = re.search(rf"^\| {re.escape(first_heading)} \|.*\n\| *-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table, f"There is no table that begins with {first_heading}."
    for line in table.group(1).splitlines():
        yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def code_of(text: str) -> list[str]:
    return [(double or single).strip() for double, single in CODE.findall(text)]


@cache
def constants_of(file: Path) -> dict[str, Any]:
    """What is assigned to a name at the top of a module, where it is a plain value."""
    assigned = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                assigned[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return assigned


@cache
def texts_in_the_code() -> tuple[str, ...]:
    """Every text of the code, with `…` for what is filled in at run time; and the Makefile."""
    found = [(PROJECT / "Makefile").read_text()]
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(_literal(part) for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(found)


def _literal(part: ast.expr) -> str:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "…"


# --- commands


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {name for document in DOCUMENTS for name in re.findall(r"`make ([a-z-]+)", document.read_text())}
    named |= set(re.findall(r"^(?:\$ )?make ([a-z-]+)", MANUAL, re.MULTILINE))
    assert {"run", "ui", "test", "lint", "help", "install"} <= named <= targets


def test_what_make_run_prints_is_quoted_in_its_own_words() -> None:
    quoted = [line for line in README.splitlines() if re.match(r"(Demo API|Airflow|Loaded|Table|Where) {3,}", line)]
    assert len(quoted) == 7
    assert quoted == [line for line in page("Try it").splitlines() if line in quoted]
    for line in quoted:
        label = re.match(r"\w+(?: API)? +", line)
        assert label
        assert any(label.group() in text for text in texts_in_the_code()), line
    rows_loaded, *_, ids = re.findall(r"\b2\d{3}\b", "\n".join(quoted[:5]))
    assert rows_loaded == ids


# --- names


def test_the_table_of_options_is_that_of_the_code() -> None:
    required = {"base_url", "api_key"}
    defaults = {**vars(SourceOptions()), **read_declaration(DATASETS).resources["datasets"].options}
    expected = {name: written(defaults[name]) for name in SourceOptions.get_resolvable_fields()}
    expected |= dict.fromkeys(required, "required")
    in_readme = {code_of(name)[0]: default for name, default, _ in rows(page("Options"), "option")}
    assert in_readme == expected
    assert list(in_readme) == list(expected), "in the order of the code"


def written(default: object) -> str:
    match default:
        case None:
            return "none"
        case str():
            return f"`{default}`"
        case {"type": str(kind), **nothing} if not nothing:
            return f"`{kind}`"
    return f"`{json.dumps(default)}`"


def test_options_that_are_named_elsewhere_are_there() -> None:
    known = set(SourceOptions.get_resolvable_fields())
    of_destinations = {
        source.removeprefix("extra.")
        for row in kinds().values()
        for field in (*row.fields, *row.options)
        for source in field.sources
    }
    quoted = README + page("A real API in three steps") + page("Connections") + page("Options") + page("Destinations")
    for text in re.findall(r'"extra": (\{.*?\})\}', quoted, re.DOTALL):
        assert set(json.loads(text)) <= known or set(json.loads(text)) <= of_destinations
    assert {name.lower() for name in re.findall(r"SOURCES__DATASETS__([A-Z_]+)\b", MANUAL)} <= known


def test_the_variables_of_the_environment_are_those_of_the_code() -> None:
    in_readme = {code_of(name)[0]: default.strip("`") for name, default, _ in rows(page("Options"), "variable")}
    in_code = {str(field.validation_alias): field.default for field in Settings.model_fields.values()}
    assert [name for name in in_readme if name.startswith("DATASETS_")] == list(in_code)
    for name, default in in_code.items():
        match default:
            case Path():
                assert PROJECT / in_readme[name] == default
            case None:
                assert in_readme[name] == "none"
            case _:
                assert in_readme[name] == str(default)
    configuration = HttpConfiguration()
    for name, default in in_readme.items():
        if name.startswith("RUNTIME__"):
            assert float(default) == getattr(configuration, name.removeprefix("RUNTIME__").lower()), name
    assert f"The connect timeout is {CONNECT_TIMEOUT_SECONDS:.0f}" in page("Options")


def test_one_module_asks_the_environment_for_settings() -> None:
    named = {
        str(file.relative_to(PROJECT))
        for file in SOURCES
        if re.search(r"environ(\.get\(|\[)\s*[\"']DATASETS_", file.read_text())
    }
    assert named == set()


def test_the_run_params_are_those_of_the_form() -> None:
    (form,) = (
        node
        for node in ast.parse(DAG_MAKER.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "form"
    )
    in_form: list[str] = []
    for node in ast.walk(form):
        named = node.keys if isinstance(node, ast.Dict) else [node.slice] if isinstance(node, ast.Subscript) else []
        # `{"type": …}` of an array is no param.
        in_form += [key.value for key in named if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    in_form.remove("type")
    assert sorted(code_of(name)[0] for name, _ in rows(page("Run params"), "param")) == sorted(in_form)


def test_the_connections_and_tables_have_the_names_of_the_code() -> None:
    assert [code_of(row[0])[0] for row in rows(page("Connections"), "connection")] == [
        DATASETS.conn_id,
        DESTINATION_CONN_ID,
        ALERTS_CONN_ID,
    ]
    schema = DATASETS.destination_schema
    for name in (f"`{schema}`", f"{schema}.{DATASETS.name}", f"{schema}.{REPORTS_TABLE}"):
        assert name in MANUAL
    for column in (RUN_COLUMN, LOADED_AT_COLUMN):
        assert f"`{column}`" in page("Sync modes")


def test_the_columns_of_the_history_are_all_explained() -> None:
    explained = [name for row in rows(page("What is checked"), "column") for name in code_of(row[0])]
    assert sorted(explained) == sorted(field.name for field in fields(LoadReport))


def test_the_table_of_destinations_is_that_of_the_code() -> None:
    in_readme = {code_of(row[0])[0]: row for row in rows(page("Destinations"), "connection type")}
    assert set(in_readme) == set(kinds())
    for conn_type, (_, destination, required, install, modes, _) in in_readme.items():
        entry = kinds()[conn_type]
        assert code_of(destination) == [entry.destination_type]
        required_file, of_delta = entry.requirement[1], DELTA_REQUIREMENT[1]
        if entry.destination_type == "filesystem":
            assert install == f"{required_file}; Delta: {of_delta}"
            assert modes == f"`replace`; Delta: {', '.join(f'`{mode}`' for mode in DELTA_MODES)}"
        else:
            assert (install, modes) == (required_file, "all")
        for field in (*entry.fields, *entry.options):
            assert not field.meaning or field.sources[0] in code_of(required), f"{conn_type}: {field.name}"


def test_the_table_of_sync_modes_has_each_mode() -> None:
    (headings,) = re.findall(r"^\| \|(.*)\|$", page("Sync modes"), re.MULTILINE)
    assert code_of(headings) == list(SYNC_MODES)


def test_every_module_says_where_a_change_goes() -> None:
    named = set(re.findall(r"\]\(\.\./(include/.+?\.py)\)", section("The rooms", ARCHITECTURE)))
    modules = {str(file.relative_to(PROJECT)) for file in PROJECT.glob("include/**/*.py") if file.name != "__init__.py"}
    assert named == modules
    assert "](../dags/datasets.py)" in ARCHITECTURE


def test_each_room_has_its_row_and_says_of_itself_what_it_is_for() -> None:
    in_readme = {row[0]: row[1] for row in rows(section("The flow", ARCHITECTURE), "room")}
    rooms = sorted(file.parent.name for file in PROJECT.glob("include/*/__init__.py") if file.parent.name != "apis")
    assert list(in_readme) == ["[dags/](../dags)", *(f"[include/{room}/](../include/{room})" for room in rooms)]
    flow = re.findall(r"^    (\w+(?: ─► \w+)+)$", section("The flow", ARCHITECTURE), re.MULTILINE)
    assert flow == [" ─► ".join(rooms)], "in the order of the alphabet, which is that of the flow"
    for room in rooms:
        docstring = ast.get_docstring(ast.parse((PROJECT / "include" / room / "__init__.py").read_text())) or ""
        first_line = docstring.partition("\n")[0]
        of_room = re.search(rf"^\*\*`{room}`: (.+)\*\*$", ARCHITECTURE, re.MULTILINE)
        assert of_room
        assert of_room[1].lower() == f"{first_line[0].lower()}{first_line[1:]}".lower()


def test_each_change_goes_into_or_beside_a_file_that_is_there() -> None:
    changes = list(rows(section("Where a change goes", ARCHITECTURE), "change"))
    assert len(changes) >= 20
    assert f"{len(changes)} changes" in section("The flow", ARCHITECTURE)
    assert len({change for change, _ in changes}) == len(changes)
    for change, place in changes:
        files = re.findall(r"\[(.+?)\]\(\.\./(.+?)\)", place)
        assert files, change
        assert place.startswith(("into", "beside")), change
        for name, target in files:
            assert name == target, change
            assert (PROJECT / target).is_file(), f"{change}: {target}"


def test_each_seam_has_its_canary() -> None:
    in_table = [code_of(row[-1])[0] for row in rows(section("Seams", ARCHITECTURE), "where")]
    tests = "".join((PROJECT / "tests" / folder / "test_seams.py").read_text() for folder in ("unit", "dags"))
    canaries = set(re.findall(r"^def (test_\w+)\(", tests, re.MULTILINE))
    about_canaries = {"test_a_canary_turns_red", "test_each_canary_was_seen_red", "test_each_override_has_its_row"}
    assert sorted(in_table) == sorted(canaries - about_canaries)


def test_no_text_speaks_of_a_file_that_is_not_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.split()
    files = [PROJECT / name for name in listed] or [*DOCUMENTS, *SOURCES, *PROJECT.glob("tests/**/*.py")]
    elsewhere = re.compile(r"(design|facts|contract|catalogues)\.md\b|\b[Ii]ssue \d+\b")
    for file in files:
        if (
            file.is_file()
            and file != Path(__file__)
            and file.suffix in {".py", ".md", ".txt", ".yaml", ".toml", ".sh", ""}
        ):
            assert not elsewhere.search(file.read_text(errors="replace")), file


# --- numbers


def test_the_worst_case_is_the_product_of_the_defaults() -> None:
    retries = Settings.model_fields["task_retries"].default
    assert "retries=settings.task_retries" in DAG_MAKER.read_text()
    attempts = HttpConfiguration().request_max_attempts
    requests = (int(retries) + 1) * attempts
    assert f"`RUNTIME__REQUEST_MAX_ATTEMPTS` = {requests} times" in page("Retries")
    assert f"{requests} requests for a page" in (PROJECT / "CHANGELOG.md").read_text()
    http, task = ([row[1], row[2]] for row in re_rows(page("Retries")))
    assert http[0] == str(attempts)
    assert task[0].startswith(f"{int(retries) + 1} ")
    factor = HttpConfiguration().request_backoff_factor
    assert [float(number) for number in re.findall(r"\d+", http[1])] == [factor * 2**n for n in range(attempts - 1)]


def re_rows(text: str) -> list[list[str]]:
    """The rows of the table whose first heading is empty."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| [A-Z].*\|$", text, re.M)]


def test_other_numbers_are_those_of_the_code() -> None:
    statuses = ", ".join(map(str, RETRIED_STATUSES))
    assert f"statuses {statuses}," in page("Retries")
    assert f"up to {MAX_PASSES} passes" in page("Retries")
    assert f"up to {MAX_PASSES} passes" in page("What is checked")
    assert f"`MAX_PASSES` = {MAX_PASSES} times" in DECISIONS[0].read_text()
    wait = HttpConfiguration().request_max_retry_delay
    assert f"Up to {wait:.0f} s the worker waits" in page("Retries")
    assert f"up to {SourceOptions().max_parallel_requests - 1} pages" in page("Options")


# --- sentences


def test_every_quoted_message_is_in_the_code() -> None:
    messages = [code_of(row[0]) for row in rows(page("Troubleshooting"), "message")]
    assert len(messages) > 30
    quoted = re.findall(r"^> (.+)$", page("Backfills"), re.MULTILINE)
    for (message,) in [*messages, [" ".join(quoted)]]:
        for fragment in message.split("…"):
            # What is between two gaps may be too short to say anything.
            if len(fragment.strip("` ,.;:")) > 3:
                assert any(fragment.strip() in text for text in texts_in_the_code()), fragment


def test_pages_that_messages_send_to_are_there() -> None:
    named = {name for text in texts_in_the_code() for name in re.findall(r"\bdocs/[\w-]+\.md", text)}
    assert {"docs/options.md", "docs/destinations.md"} <= named
    assert all((PROJECT / name).is_file() for name in named)
    assert not any("the README" in text and "benchmarks/" not in text for text in texts_in_the_code())


# --- files


def headings_of(document: Path) -> set[str]:
    """The anchors of a page."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        assert (document.parent / file).exists(), target
        if anchor:
            assert anchor in headings_of(document.parent / file if file else document), target


def test_paths_in_code_are_there() -> None:
    for document in DOCUMENTS:
        if document.name == "another-api.md":
            # It makes the files of an API of the reader's; a test does so step by step (tests/e2e).
            continue
        for path in re.findall(
            r"`((?:include|tests|dags|docs|requirements-destinations)/[\w./-]+)`", document.read_text()
        ):
            assert (PROJECT / path).exists(), f"{document.name}: {path}"


def test_decisions_are_numbered_and_say_what_violates_them() -> None:
    for number, file in enumerate(DECISIONS, 1):
        text = file.read_text()
        assert file.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        last = text.strip().split("\n\n")[-1]
        assert last.startswith("**A change violates this when**"), file.name


def test_the_changelog_has_the_version_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert re.findall(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == project["version"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0, January 2004" in (PROJECT / "LICENSE").read_text()


def test_the_example_connections_are_ones_that_the_project_takes() -> None:
    example = json.loads((PROJECT / "connections.example.json").read_text())
    assert list(example) == [DATASETS.conn_id, DESTINATION_CONN_ID]
    api, destination = (connection(conn_id, **values) for conn_id, values in example.items())
    values = api_values(api)
    assert set(values.options) <= set(SourceOptions.get_resolvable_fields())
    assert f"DEMO_API_KEY={values.api_key} " in page("A real API in three steps")
    assert f"--port {values.base_url.rpartition(':')[2]}`" in page("A real API in three steps")
    assert kind_of(destination).values_of(destination).destination_type == "postgres"


def connection(conn_id: str, extra: dict[str, Any] | None = None, **given: Any) -> Any:
    nothing = dict.fromkeys(("conn_type", "host", "schema", "login", "password", "port"))
    return SimpleNamespace(conn_id=conn_id, **{**nothing, **given}, extra_dejson=extra or {})


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_what_make_check_prints_is_quoted_from_its_page() -> None:
    asked = section("Your API in three steps", README).partition("$ make check\n")[2].partition("```")[0].splitlines()
    assert len(asked) == 5
    assert asked == [line for line in page("Check an API").splitlines() if line in asked]


def test_seconds_beside_other_tools_are_those_of_the_benchmarks() -> None:
    by_tool = {row[0]: row[1] for row in rows(page("Benchmarks"), "100,000 records")}
    ours = next(value for name, value in by_tool.items() if name.endswith("(default)"))
    compared = re_rows(
        section("Beside other tools", README).replace("| plain", "| Plain").replace("| dagster", "| Dagster")
    )
    for tool, benchmark in (
        ("Plain dlt", "dlt as it comes"),
        ("Airbyte", "airbyte-cdk with PyAirbyte's DuckDB cache"),
        ("Meltano", "tap-rest-api-msdk with target-duckdb, target-postgres"),
    ):
        (better_here,) = (row[2] for row in compared if row[0] == tool)
        assert f"{ours} s instead of {by_tool[benchmark]} s" in better_here


def test_the_map_names_each_page_once() -> None:
    linked = re.findall(r"\]\(([\w-]+\.md)\)", (PROJECT / "docs" / "index.md").read_text())
    pages = sorted(file.name for file in PAGES.values() if file.name != "index.md")
    assert sorted(linked) == pages
