"""What a run does with a collection that moves, an API that is odd, a total that is none: in the table, log and report."""

import json
from typing import Any

from tests.e2e.conftest import Deployment
from tests.support.api_server import Answer, ApiServer, Request, numbered


def once(api: ApiServer, change: Any) -> None:
    """Have `change` happen before the second page of the first pass."""
    seen: list[bool] = []

    def script(request: Request) -> None:
        if request.offset == 99 and not seen:
            seen.append(True)
            change()

    api.script(script)


def test_a_collection_that_moved_is_loaded_from_its_last_pass_alone(deployment: Deployment, api: ApiServer) -> None:
    api.records = [{"id": number, "version": 1} for number in range(250)]

    def change() -> None:
        # One goes and one comes, so that the total stays; and one of the first page changes.
        del api.records[10]
        api.records.append({"id": 1000, "version": 1})
        api.records[3] = {"id": 3, "version": 2}

    once(api, change)
    deployment.options(max_parallel_requests=1)
    outcome = deployment.run()
    assert deployment.rows("SELECT id, version FROM datasets ORDER BY id") == sorted(
        (record["id"], record["version"]) for record in api.records
    )
    assert deployment.reports("passes", "promised_rows", "read_rows", "loaded_rows") == [(2, 250, 250, 250)]
    assert api.count(offset=0) == 2
    assert [attempt.state for attempt in outcome.tries] == ["success"]


def test_a_collection_that_never_holds_still_leaves_the_table_as_it_was(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(250)
    deployment.run()
    api.script(lambda request: api.records.insert(0, {"id": -api.count()}) if request.offset == 99 else None)  # type: ignore[func-returns-value]
    outcome = deployment.airflow.run()
    assert outcome.state == "failed"
    assert "The collection changed each of the 3 times it was read" in outcome.reason
    assert deployment.ids() == list(range(250))


def test_a_total_that_is_none_is_said_in_log_and_report(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(150)
    api.script(lambda request: Answer(200, api.page(request).body | {"total": 20}))
    outcome = deployment.run()
    assert deployment.ids() == list(range(150))
    ((notes,),) = deployment.reports("notes")
    assert json.loads(notes) == {"total_is_no_count": "promised 20, read 150"}
    assert "The total of the API is no count of this collection (promised 20, read 150)" in outcome.log
    assert outcome.xcom["notes"] == {"total_is_no_count": "promised 20, read 150"}


def test_pages_that_cannot_overlap_are_said_in_log_and_report(deployment: Deployment, api: ApiServer) -> None:
    api.records = numbered(250)
    deployment.options(overlap=False)
    outcome = deployment.run()
    ((notes,),) = deployment.reports("notes")
    assert "did not overlap" in json.loads(notes)["not_proven"]
    assert "Not proven: pages did not overlap" in outcome.log


def test_a_first_load_of_nothing_says_so_loudly_and_once_there_are_rows_no_more(
    deployment: Deployment, api: ApiServer
) -> None:
    """Feathers, Datasette, json-server: the key is an unknown parameter, and so a filter that nothing passes."""
    loud = "The API gave no record at all, and no earlier load has any."
    assert loud in deployment.run().log
    assert loud in deployment.run().log
    api.records = numbered(3)
    deployment.run()
    api.records = []
    assert loud not in deployment.run().log


def test_what_another_source_has_loaded_covers_nothing(deployment: Deployment, api: ApiServer) -> None:
    """Seen: after the demo, the first run of a real API with `cursor_path` was green with 0 of 500 rows."""
    api.records = [{"id": number, "updated_at": f"2026-01-01T00:00:{number % 60:02}Z"} for number in range(150)]
    deployment.options(cursor_path="updated_at")
    deployment.run()
    api.path = "/v2/datasets"
    api.records = [{**record, "id": record["id"] + 500} for record in api.records]
    deployment.options(cursor_path="updated_at", path="/v2/datasets")
    outcome = deployment.run()
    assert deployment.ids() == [*range(150), *range(500, 650)]
    assert deployment.reports("read_rows") == [(150,), (150,)]
    assert "The table has no complete load of" in outcome.log
    # And the parameters that are sent with each request are a part of it.
    deployment.options(cursor_path="updated_at", path="/v2/datasets", params={"kind": "another"})
    deployment.run()
    assert deployment.reports("read_rows") == [(150,), (150,), (150,)]
