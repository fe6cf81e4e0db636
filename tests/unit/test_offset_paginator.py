"""A read is whole or it fails: pages, totals, repeated and moving collections, and records that are none."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dlt.extract.exceptions import ResourceExtractionError

from include.errors import ConfigurationError, ResponseShapeError, TransientError
from tests.support.api_server import Answer, ApiServer, Request, numbered
from tests.unit.conftest import Loader, innermost, records_of


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


def ids(records: list[dict[str, Any]]) -> list[Any]:
    return [record["id"] for record in records]


def refusal(loader: Loader, server: ApiServer, **options: Any) -> BaseException:
    with pytest.raises(ResourceExtractionError) as caught:
        loader.read(server, **options)
    return innermost(caught.value)


@pytest.mark.parametrize(
    ("count", "offsets"),
    # The last question asks from the last record, and finds it alone: nothing is behind it.
    [
        (0, [0]),
        (1, [0, 1]),
        (99, [0, 98]),
        (100, [0, 99]),
        (101, [0, 99, 100]),
        (199, [0, 99, 198]),
        (200, [0, 99, 198, 199]),
        (250, [0, 99, 198, 249]),
    ],
)
@pytest.mark.parametrize("total_at", ["total", None, "meta.other"])
def test_pages_overlap_and_the_end_is_seen(
    loader: Loader, server: ApiServer, count: int, offsets: list[int], total_at: str | None
) -> None:
    server.records, server.total_at = numbered(count), total_at
    assert ids(loader.read(server)) == list(range(count))
    assert server.offsets == offsets
    assert {request.query["limit"] for request in server.requests} == {"100"}
    assert loader.progress.pages == max(1, len(offsets) - 1)
    assert loader.progress.passes == 1
    assert loader.progress.promised_rows == (count if total_at == "total" else None)
    assert sorted(loader.progress.ids) == list(range(count))


@pytest.mark.parametrize("total_at", [None, "meta.other"])
@pytest.mark.parametrize(
    ("count", "offsets"),
    # What is asked for beyond the last page finds nothing.
    [(0, [0]), (1, [0, 1]), (99, [0, 99]), (100, [0, 100]), (101, [0, 100, 200]), (200, [0, 100, 200])],
)
def test_without_overlap_the_end_is_seen_as_well(
    loader: Loader, server: ApiServer, count: int, offsets: list[int], total_at: str | None
) -> None:
    server.records, server.total_at = numbered(count), total_at
    assert ids(loader.read(server, overlap=False)) == list(range(count))
    assert server.offsets == offsets


@pytest.mark.parametrize("total_path", ["meta.total_count", "count", "page.info.total"])
def test_a_total_elsewhere_is_found_with_total_path(loader: Loader, server: ApiServer, total_path: str) -> None:
    server.records, server.total_at = numbered(200), total_path
    assert len(loader.read(server, total_path=total_path)) == 200
    assert server.offsets == [0, 99, 198, 199]
    assert loader.progress.promised_rows == 200


def test_an_empty_total_path_takes_no_total_from_the_answer(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(150)
    server.script(lambda request: Answer(200, {"data": server.page(request).body["data"], "total": 3}))
    assert len(loader.read(server, total_path="")) == 150
    assert loader.progress.promised_rows is None


def with_total(server: ApiServer, total: Any) -> None:
    server.script(lambda request: Answer(200, server.page(request).body | {"total": total}))


@pytest.mark.parametrize("total", [150, "150", 150.0, None])
def test_a_total_may_be_digits_or_null(loader: Loader, server: ApiServer, total: Any) -> None:
    server.records = numbered(150)
    with_total(server, total)
    assert len(loader.read(server)) == 150
    assert loader.progress.promised_rows == (None if total is None else 150)


@pytest.mark.parametrize("total", ["many", "", "1.5", 150.5, -1, "-1", True, False, [150], {"value": 150}])
def test_a_total_that_is_no_number_of_records_fails(loader: Loader, server: ApiServer, total: Any) -> None:
    server.records = numbered(150)
    with_total(server, total)
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert "`total`" in str(failure)
    assert "`total_path`" in str(failure)


def test_a_total_beyond_every_float_fails_readably(loader: Loader, server: ApiServer) -> None:
    # The long number has the body read by the standard library, which makes Infinity of 1e400.
    server.script(lambda _: Answer(200, '{"data": [{"id": 12345678901234567890}], "total": 1e400}'))
    assert isinstance(refusal(loader, server), ResponseShapeError)


@pytest.mark.parametrize("records_at", ["$", "results", "objects", "items", "response.data.list"])
def test_records_are_found_with_data_selector(loader: Loader, server: ApiServer, records_at: str) -> None:
    server.records, server.records_at = numbered(250), records_at
    assert ids(loader.read(server, data_selector=records_at)) == list(range(250))


def test_offset_and_limit_have_the_names_that_the_api_knows(loader: Loader, server: ApiServer) -> None:
    server.records, server.offset_param, server.limit_param = numbered(25), "skip", "take"
    assert len(loader.read(server, offset_param="skip", limit_param="take", page_size=10)) == 25
    assert server.offsets == [0, 9, 18, 24]
    assert all("offset" not in request.query for request in server.requests)


def test_fixed_parameters_go_with_each_request(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(250)
    loader.read(server, params={"format": "json", "fq": "a:b c&d", "expand": 1})
    assert [(request.query["format"], request.query["fq"], request.query["expand"]) for request in server.requests] == [
        ("json", "a:b c&d", "1")
    ] * 4


@pytest.mark.parametrize("total_at", ["total", None])
@pytest.mark.parametrize("cap", [1, 50, 99])
def test_a_server_that_caps_its_pages_is_found_out(
    loader: Loader, server: ApiServer, total_at: str | None, cap: int
) -> None:
    server.records, server.page_cap, server.total_at = numbered(250), cap, total_at
    failure = refusal(loader, server)
    assert isinstance(failure, ConfigurationError)
    assert f"Set the option `page_size` to {cap}." in str(failure)
    assert len(loader.read(server, page_size=cap if cap > 1 else 1)) == 250


@pytest.mark.parametrize("total_at", ["total", None])
def test_a_page_larger_than_asked_for_is_taken_whole(loader: Loader, server: ApiServer, total_at: str | None) -> None:
    server.records, server.total_at = numbered(250), total_at

    def generous(request: Request) -> Answer:
        larger = Request(**{**vars(request), "query": {**request.query, "limit": "120"}})
        return server.page(larger)

    server.script(generous)
    assert ids(loader.read(server)) == list(range(250))


def test_an_api_without_paging_is_whole_where_a_total_says_so(loader: Loader, server: ApiServer) -> None:
    server.script(lambda _: Answer(200, {"data": numbered(7), "total": 7}))
    assert ids(loader.read(server)) == list(range(7))
    assert server.count() <= 3


@pytest.mark.parametrize("count", [1, 7, 50, 100])
def test_an_api_that_always_gives_the_same_page_is_refused_without_a_total(
    loader: Loader, server: ApiServer, count: int
) -> None:
    # Seen: an API with a page size of its own that ignores `offset`, 50 of 1,777 records, green.
    server.script(lambda _: Answer(200, numbered(count)))
    failure = refusal(loader, server, data_selector="$")
    assert isinstance(failure, ResponseShapeError)
    assert "the API seems to ignore `offset`" in str(failure)


@pytest.mark.parametrize("total_at", ["total", None])
def test_a_page_that_repeats_for_ever_fails_after_three_other_questions(
    loader: Loader, server: ApiServer, total_at: str | None
) -> None:
    server.records, server.total_at = numbered(500), total_at
    server.script(lambda request: server.page(Request(**{**vars(request), "offset": 0})))
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert "`offset_param`" in str(failure)
    assert server.offsets == [0, 99, 1, 100]


def test_a_later_page_that_repeats_fails_too(loader: Loader, server: ApiServer) -> None:
    server.records, server.total_at = numbered(500), None
    server.script(lambda request: server.page(Request(**{**vars(request), "offset": min(request.offset or 0, 200)})))
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert "nothing moves" in str(failure)
    # Once more, to tell it from a collection that moves.
    assert server.count() == 2 * 5
    # Without an overlap it looks like an API that gives its last page for ever: then only a total can tell.
    server.total_at = "total"
    assert isinstance(refusal(loader, server, overlap=False), ResponseShapeError)


@pytest.mark.parametrize("total_at", ["total", None])
def test_a_record_that_is_listed_twice_is_one_record(loader: Loader, server: ApiServer, total_at: str | None) -> None:
    server.records = [*numbered(120), *numbered(1, 7), *numbered(50, 120)]
    server.total_at = total_at
    assert ids(loader.read(server)) == list(range(170))
    assert loader.progress.notes == {"records_listed_twice": 1}


@pytest.mark.parametrize("at", [50, 120, 240])
@pytest.mark.parametrize("total_at", ["total", None])
def test_two_records_with_one_key_fail(loader: Loader, server: ApiServer, at: int, total_at: str | None) -> None:
    server.records, server.total_at = numbered(250), total_at
    server.records.insert(at, {"id": 7, "name": "another"})
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert "The primary key does not tell records apart" in str(failure)


def test_an_id_twice_in_one_page_is_one_record(loader: Loader, server: ApiServer) -> None:
    server.records, server.total_at = [{"id": "a"}, {"id": "a"}, {"id": "b"}], None
    assert ids(loader.read(server)) == ["a", "b"]


def moving(server: ApiServer, change: Callable[[], None], times: int = 1) -> None:
    """Have `change` happen before the second page, in the first `times` passes."""
    seen = 0

    def script(request: Request) -> None:
        nonlocal seen
        if request.offset == 99:
            seen += 1
            if seen <= times:
                change()

    server.script(script)


def test_records_inserted_in_front_while_reading_are_read_in_a_second_pass(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(250)
    moving(server, lambda: server.records.insert(0, {"id": -1, "name": "new"}))
    records = loader.read(server)
    assert sorted(ids(records)) == list(range(-1, 250))
    assert loader.progress.passes == 2
    assert loader.progress.promised_rows == 251


def test_a_whole_page_inserted_in_front_is_no_repeated_page(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(250)
    moving(server, lambda: server.records.__setitem__(slice(0, 0), numbered(100, 1000)))
    assert sorted(ids(loader.read(server))) == [*range(250), *range(1000, 1100)]


def test_a_record_deleted_in_front_while_reading_hides_no_other(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(250)
    # Record 100 moves to the first page when that has been read.
    moving(server, lambda: server.records.pop(0))
    # What went meanwhile is not loaded either.
    assert sorted(ids(loader.read(server))) == list(range(1, 250))
    assert loader.progress.passes == 2


def test_a_collection_that_never_holds_still_fails_for_another_try(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(250)
    fresh = iter(range(1000, 2000))
    moving(server, lambda: server.records.insert(0, {"id": next(fresh)}), times=99)
    failure = refusal(loader, server)
    assert isinstance(failure, TransientError)
    assert failure.retry_after_seconds is None
    assert server.count(offset=0) == 3


def test_a_total_that_was_never_true_fails(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(150)
    with_total(server, 160)
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert "promises 160 records at `total` and gives 150" in str(failure)
    assert server.count(offset=0) == 2


@pytest.mark.parametrize("seed", range(8))
def test_whatever_moves_each_record_that_was_always_there_is_read(loader: Loader, server: ApiServer, seed: int) -> None:
    chance = random.Random(seed)
    server.records = numbered(60)
    fresh = iter(range(1000, 9999))
    stable = {record["id"] for record in server.records}
    changes = 0

    def change(_: Request) -> None:
        nonlocal changes
        changes += 1
        if changes > 8:
            return
        if seed % 2 or chance.random() < 0.5:
            server.records.insert(chance.randrange(len(server.records) + 1), {"id": next(fresh)})
        if not seed % 2:
            stable.discard(server.records.pop(chance.randrange(len(server.records)))["id"])

    server.script(change)
    outcome: Any = None
    try:
        outcome = ids(loader.read(server, page_size=10))
    except ResourceExtractionError as error:
        outcome = innermost(error)
    if not isinstance(outcome, TransientError):
        assert stable <= set(outcome)
        assert len(outcome) == len(set(outcome))


def test_the_same_source_can_be_read_again(loader: Loader, server: ApiServer) -> None:
    server.records = numbered(150)
    source = loader.source(server)
    assert len(records_of(source)) == len(records_of(source)) == 150
    assert (loader.progress.pages, loader.progress.passes, len(loader.progress.ids)) == (2, 1, 150)


BAD_BODIES = {
    "HTML": "<html>login</html>",
    "nothing": "",
    "an error object": {"error": "quota exceeded", "code": 17},
    "data missing": {"total": 3},
    "data null, records promised": {"data": None, "total": 1},
    "data an object": {"data": {"id": 1}, "total": 1},
    "data a text": {"data": "none", "total": 0},
    "data a number": {"data": 0, "total": 0},
    "null": "null",
    "a number": "42",
    "a text": '"ok"',
    "a list": [{"id": 1}],
    "an empty list": [],
    "truncated": '{"data": [{"id": 1}, {"id": 2}, {"na',
    "a record that is a number": {"data": [{"id": 1}, 2], "total": 2},
    "a record that is null": {"data": [None], "total": 1},
    "a record that is a list": {"data": [[{"id": 1}]], "total": 1},
    "no id": {"data": [{"id": 1}, {"name": "x"}], "total": 2},
    "id null": {"data": [{"id": None}], "total": 1},
    "id an object": {"data": [{"id": {"$oid": "1"}}], "total": 1},
    "id a list": {"data": [{"id": [1]}], "total": 1},
}


# Half an answer, and none: a broken connection, which is tried again (test_session).
BROKEN = ("nothing", "truncated")


@pytest.mark.parametrize("bad", [bad for bad in BAD_BODIES if bad not in BROKEN])
@pytest.mark.parametrize("page", [0, 99])
def test_a_bad_answer_fails_with_one_readable_sentence(
    loader: Loader, server: ApiServer, waits: list[float], bad: str, page: int
) -> None:
    server.records = numbered(150)
    server.fail(99, Answer(200, BAD_BODIES[bad]), offset=page)
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert "\n" not in str(failure)
    assert "/v1/datasets" in str(failure)
    assert "quota" not in str(failure)
    assert server.count(offset=page) == 1
    assert waits == []


def test_names_of_fields_in_a_message_are_on_one_line_and_cut(loader: Loader, server: ApiServer) -> None:
    server.script(lambda _: Answer(200, {"\x1b[31m\nforged": 1, "x" * 900: 2}))
    failure = str(refusal(loader, server))
    assert failure.isprintable()
    assert "`\\x1b[31m\\nforged`" in failure
    assert len(failure) < 400


def test_a_list_as_body_needs_the_selector_that_says_so(loader: Loader, server: ApiServer) -> None:
    server.script(lambda _: Answer(200, {"data": [{"id": 1}]}))
    assert "at `$`: found an object there" in str(refusal(loader, server, data_selector="$"))


@pytest.mark.parametrize("body", [{"data": None}, {"data": None, "total": 0}, {"data": [], "total": 0}, {"data": []}])
def test_an_empty_collection_may_be_told_as_null(loader: Loader, server: ApiServer, body: Any) -> None:
    server.script(lambda _: Answer(200, body))
    assert loader.read(server) == []
    assert server.count() == 1


def test_records_known_by_another_field(loader: Loader, server: ApiServer) -> None:
    server.records = [{"code": number} for number in range(150)]
    assert "`primary_key`" in str(refusal(loader, server))
    assert len(loader.read(server, primary_key="code")) == 150
    assert sorted(loader.progress.ids) == list(range(150))


@pytest.mark.parametrize(
    "values", [["1", "2"], [1.5, 2.5], ["é", "日本"], ["1180591620717411303424"], [0, -1], ["", " "]]
)
def test_ids_may_be_texts_and_numbers(loader: Loader, server: ApiServer, values: list[Any]) -> None:
    server.records = [{"id": value} for value in values]
    assert ids(loader.read(server)) == values


@pytest.mark.parametrize("values", [[1, "1"], ["a", 1], [True, 1], [1, 1.5]])
def test_ids_of_more_than_one_type_fail_because_a_table_would_mix_them_up(
    loader: Loader, server: ApiServer, values: list[Any]
) -> None:
    server.records = [{"id": value} for value in values]
    failure = refusal(loader, server)
    assert isinstance(failure, ResponseShapeError)
    assert "`primary_key`" in str(failure)


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("total_at", ["total", None])
@pytest.mark.parametrize("count", [5, 12, 110, 250])
def test_a_declared_first_offset_is_where_the_collection_begins(
    loader: Loader, server: ApiServer, overlap: bool, total_at: str | None, count: int
) -> None:
    server.records, server.total_at = numbered(count), total_at
    records = loader.read(server, paginator={"type": "offset", "offset": 10}, overlap=overlap)
    assert ids(records) == list(range(10, count))
    assert min(server.offsets) == 10
    assert loader.progress.passes == 1
