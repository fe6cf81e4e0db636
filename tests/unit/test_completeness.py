"""The proof that a read was whole, without HTTP: driven with offsets, page numbers and cursors, and by whatever moves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import PermanentError, ResponseShapeError
from include.extract.answer import AnswerReader
from include.extract.completeness import MAX_PASSES, CollectionMoved, Page, ReadProgress, WholeRead
from include.extract.paginators.offset import WholeOffsetPaginator
from include.extract.paginators.page_number import WholePageNumberPaginator
from include.extract.paginators.proven import ReadParts

Record = dict[str, Any]


def numbered(count: int, first: int = 0) -> list[Record]:
    return [{"id": number} for number in range(first, first + count)]


def page_of(asked: Any, records: list[Record], total: int | None = None, at: float = 0.0) -> Page:
    return Page(asked, [record["id"] for record in records], records, total, at)


def new_read(total_path: str | None = "total") -> WholeRead:
    read = WholeRead(ReadProgress(), total_path)
    read.begin_pass()
    return read


def ids(records: list[Record]) -> list[Any]:
    return [record["id"] for record in records]


# --- whatever the API pages by


def with_offsets(records: list[Record]) -> Iterator[Page]:
    for offset in range(0, len(records), 10):
        yield page_of(offset, records[offset : offset + 10])


def with_page_numbers(records: list[Record]) -> Iterator[Page]:
    for number in range(1, 2 + len(records) // 10):
        yield page_of(number, records[10 * number - 10 : 10 * number], len(records))


def with_a_cursor(records: list[Record]) -> Iterator[Page]:
    cursor = None
    for page in with_offsets(records):
        yield Page(cursor, page.keys, page.records)
        cursor = f"after {page.keys[-1]}"


WAYS = [with_offsets, with_page_numbers, with_a_cursor]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 25])
def test_a_collection_that_holds_still_is_whole(way: Callable[..., Iterator[Page]], count: int) -> None:
    read, handed_on = new_read(), []
    for page in way(numbered(count)):
        read.take(page)
        handed_on += read.handed_on
    read.end_pass()
    assert ids(handed_on) == sorted(read.progress.ids) == list(range(count))
    assert read.progress.pages == -(-count // 10) or count == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_record_that_comes_twice_shows_that_it_moved(way: Callable[..., Iterator[Page]]) -> None:
    read = new_read()
    records = [*numbered(12), {"id": 3, "name": "new"}, *numbered(8, 12)]
    for page in way(records):
        read.take(page)
    with pytest.raises(CollectionMoved):
        read.end_pass()


@pytest.mark.parametrize("way", WAYS)
def test_one_key_for_two_records_is_found_out_in_the_second_pass(way: Callable[..., Iterator[Page]]) -> None:
    read = new_read()
    records = [*numbered(12), {"id": 3, "name": "another"}, *numbered(8, 12)]
    for page in way(records):
        read.take(page)
    with pytest.raises(CollectionMoved):
        read.end_pass()
    read.begin_pass()
    first, second, *_ = way(records)
    read.take(first)
    with pytest.raises(ResponseShapeError, match="`primary_key`"):
        read.take(second)


@pytest.mark.parametrize("way", WAYS)
def test_a_record_that_the_api_lists_twice_is_one(way: Callable[..., Iterator[Page]]) -> None:
    read = new_read()
    records = [*numbered(12), {"id": 3}, *numbered(8, 12)]
    for page in way(records):
        read.take(page)
    with pytest.raises(CollectionMoved):
        read.end_pass()
    read.begin_pass()
    handed_on = []
    for page in way(records):
        read.take(page)
        handed_on += read.handed_on
    read.end_pass()
    assert ids(handed_on) == list(range(20))
    assert read.progress.notes == {"records_listed_twice": 1}


def test_one_key_for_two_records_of_one_answer_fails_at_once() -> None:
    with pytest.raises(ResponseShapeError, match="two records with one key"):
        new_read().take(page_of(0, [{"id": 1, "a": 1}, {"id": 1, "a": 2}]))


# --- the total


def test_more_promised_than_met_is_read_again_and_the_same_twice_is_a_wrong_setting() -> None:
    read = new_read("meta.count")
    for last in (False, True):
        read.take(page_of(0, numbered(10), 12))
        with pytest.raises(ResponseShapeError if last else CollectionMoved) as caught:
            read.end_pass()
        read.begin_pass()
    assert "promises 12 records at `meta.count` and gives 10" in str(caught.value)


def test_less_promised_than_met_is_no_count_and_said() -> None:
    read = new_read()
    read.take(page_of(0, numbered(10), 3))
    read.end_pass()
    assert read.progress.notes == {"total_is_no_count": "promised 3, read 10"}


def test_a_collection_that_never_holds_still_fails_after_its_passes() -> None:
    read = new_read()
    for number in range(MAX_PASSES):
        read.take(page_of(0, numbered(10, number), 12))
        with pytest.raises(CollectionMoved, match="each of the 3 times" if number == MAX_PASSES - 1 else "while it"):
            read.end_pass()
        assert read.goes_on == (number < MAX_PASSES - 1)
        read.begin_pass()
    assert read.progress.passes == 1


def test_two_passes_with_the_same_keys_and_all_that_is_promised_are_whole_in_any_order() -> None:
    read = new_read()
    for records in (numbered(20), numbered(20)[::-1]):
        read.take(page_of(0, records[:10], 20))
        # In an order that changes with each request no boundary holds.
        read.moved(9, "does not follow")
        read.take(page_of(10, records[10:], 20))
        if read.progress.passes == 1:
            with pytest.raises(CollectionMoved):
                read.end_pass()
            read.begin_pass()
    read.end_pass()
    assert (read.progress.passes, read.progress.rows) == (2, 20)


# --- boundaries


def test_the_record_of_a_boundary_is_handed_on_once_in_the_version_that_was_seen_last() -> None:
    for first_at, second_at, version in ((1.0, 2.0, "new"), (2.0, 1.0, "old")):
        read = new_read()
        read.take(page_of(0, [{"id": 0}, {"id": 1, "v": "old"}], at=first_at), holds_last=True)
        assert ids(read.handed_on) == [0]
        read.take(page_of(1, [{"id": 1, "v": "new"}, {"id": 2}], at=second_at), overlaps=True, holds_last=True)
        assert read.handed_on == [{"id": 1, "v": version}]
        read.take(page_of(2, [{"id": 2}]), overlaps=True, holds_last=True)
        assert read.handed_on == []
        read.end_pass()
        assert read.handed_on == [{"id": 2}]


# --- whatever moves, through the paginator: the property


@dataclass
class Api:
    """A collection that changes between two answers. `events` are what happens before each of them."""

    records: list[Record]
    page_size: int
    gives_total: bool
    events: list[list[tuple[str, int]]]
    stable: set[int] = field(default_factory=set)
    clock: float = 0.0

    def __post_init__(self) -> None:
        self.stable = {record["id"] for record in self.records}
        self._fresh = iter(range(1000, 100_000))

    def answer(self, offset: int) -> "Response":
        for kind, where in self.events.pop(0) if self.events else ():
            self._happens(kind, where)
        self.clock += 1
        body: dict[str, Any] = {"data": [dict(one) for one in self.records[offset : offset + self.page_size]]}
        if self.gives_total:
            body["total"] = len(self.records)
        return Response(body, self.clock)

    def _happens(self, kind: str, where: int) -> None:
        if kind == "insert":
            self.records.insert(where % (len(self.records) + 1), {"id": next(self._fresh), "version": 0})
        elif self.records and kind == "delete":
            self.stable.discard(self.records.pop(where % len(self.records))["id"])
        elif self.records:
            self.records[where % len(self.records)]["version"] += 1


class Response:
    """What the paginator takes of a response."""

    links: dict[str, Any] = {}
    headers: dict[str, str] = {}
    status_code = 200

    def __init__(self, body: Any, answered_at: float) -> None:
        self._body, self.answered_at = body, answered_at

    def json(self) -> Any:
        return self._body


class _Request:
    params: dict[str, Any]

    def __init__(self) -> None:
        self.params = {}
        self.hooks: dict[str, list[Any]] = {"response": []}


def paginator_for(read: WholeRead, page_size: int, parallel: int = 1, **options: Any) -> WholeOffsetPaginator:
    reader = AnswerReader("data", "total", ["id"])
    named = {"offset_param": "offset", "limit_param": "limit"}
    parts = ReadParts(read, reader, "/v1/datasets", total_is_set=False)
    return WholeOffsetPaginator(parts, page_size=page_size, parallel=parallel, **(named | options))


def by_number_for(read: WholeRead, page_size: int, parallel: int = 1, **options: Any) -> WholePageNumberPaginator:
    parts = ReadParts(read, AnswerReader("data", "total", ["id"]), "/v1/datasets", total_is_set=False)
    return WholePageNumberPaginator(
        parts, base_page=1, page_param="page", page_size=page_size, limit_param="limit", parallel=parallel, **options
    )


def read_all(
    api: Api,
    parallel: int,
    shuffle: Callable[[list[int]], list[int]],
    make: Callable[..., Any] = paginator_for,
) -> tuple[list[Record], int]:
    """Read as dlt and the prefetch do; the answers of what is asked for ahead come in the order of `shuffle`."""
    read = WholeRead(ReadProgress(), "total")
    paginator = make(read, api.page_size, parallel)
    requests = 0
    while True:
        request: Any = _Request()
        paginator.init_request(request)
        handed_on: list[Record] = []
        ahead: dict[int, Response] = {}
        try:
            while True:
                position = request.params[paginator.position_param]
                wanted = [position, *list(paginator.upcoming(position))[: parallel - 1]]
                ahead = {at: answer for at, answer in ahead.items() if at in wanted}
                for at in shuffle([at for at in wanted if at not in ahead]):
                    ahead[at] = api.answer((at - 1) * api.page_size if make is by_number_for else at)
                    requests += 1
                paginator.update_state(ahead.pop(position))
                handed_on += read.handed_on
                if not paginator.has_next_page:
                    return handed_on, requests
                paginator.update_request(request)
        except CollectionMoved:
            if not read.goes_on:
                raise


EVENTS = st.lists(
    st.lists(st.tuples(st.sampled_from(["insert", "delete", "update"]), st.integers(0, 60)), max_size=3), max_size=30
)


@settings(max_examples=400, deadline=None)
@given(
    count=st.integers(0, 40),
    page_size=st.integers(2, 8),
    parallel=st.integers(1, 4),
    gives_total=st.booleans(),
    events=EVENTS,
    shuffle=st.randoms(use_true_random=False),
)
def test_whatever_moves_each_record_that_was_always_there_is_handed_on_in_its_newest_version_or_the_read_fails(
    count: int, page_size: int, parallel: int, gives_total: bool, events: list[Any], shuffle: Any
) -> None:
    api = Api([{"id": number, "version": 0} for number in range(count)], page_size, gives_total, events)
    newest: dict[int, int] = {}
    answer = api.answer

    def watched(offset: int) -> Response:
        found = answer(offset)
        for record in found.json()["data"]:
            newest[record["id"]] = record["version"]
        return found

    api.answer = watched  # type: ignore[method-assign]

    def in_any_order(offsets: list[int]) -> list[int]:
        shuffle.shuffle(offsets)
        return offsets

    try:
        records, _ = read_all(api, parallel, in_any_order)
    except (CollectionMoved, PermanentError):
        return
    found = {record["id"]: record["version"] for record in records}
    assert len(found) == len(records)
    assert api.stable <= set(found)
    assert {key: found[key] for key in api.stable} == {key: newest[key] for key in api.stable}


# --- page numbers, which cannot overlap: counts and repeats are all that they prove


def schedules(*kinds: str) -> Any:
    return st.lists(st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 60)), max_size=3), max_size=30)


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 40),
    page_size=st.integers(2, 8),
    parallel=st.integers(1, 4),
    events=st.one_of(schedules("insert", "update"), schedules("delete", "update")),
    shuffle=st.randoms(use_true_random=False),
    make=st.sampled_from([by_number_for, partial(paginator_for, overlap=False)]),
)
def test_what_only_comes_or_only_goes_hides_no_record_from_page_numbers_with_a_total(
    count: int, page_size: int, parallel: int, events: list[Any], shuffle: Any, make: Any
) -> None:
    api = Api([{"id": number, "version": 0} for number in range(count)], page_size, True, events)

    def in_any_order(pages: list[int]) -> list[int]:
        shuffle.shuffle(pages)
        return pages

    try:
        records, _ = read_all(api, parallel, in_any_order, make)
    except (CollectionMoved, PermanentError):
        return
    assert len(set(ids(records))) == len(records)
    assert api.stable <= set(ids(records))


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(0, 40),
    page_size=st.integers(2, 8),
    parallel=st.integers(1, 4),
    gives_total=st.booleans(),
    events=EVENTS,
    shuffle=st.randoms(use_true_random=False),
)
def test_whatever_moves_page_numbers_hand_on_each_record_once_and_as_many_as_the_last_total_says_or_the_read_fails(
    count: int, page_size: int, parallel: int, gives_total: bool, events: list[Any], shuffle: Any
) -> None:
    api = Api([{"id": number, "version": 0} for number in range(count)], page_size, gives_total, events)
    totals: list[int] = []
    answer = api.answer

    def watched(offset: int) -> Response:
        found = answer(offset)
        totals.append(found.json().get("total", 0))
        return found

    api.answer = watched  # type: ignore[method-assign]

    def in_any_order(pages: list[int]) -> list[int]:
        shuffle.shuffle(pages)
        return pages

    try:
        records, _ = read_all(api, parallel, in_any_order, by_number_for)
    except (CollectionMoved, PermanentError):
        return
    assert len(set(ids(records))) == len(records)
    assert len(records) >= min(totals)


@settings(max_examples=100, deadline=None)
@given(count=st.integers(0, 300), page_size=st.integers(2, 40), parallel=st.integers(1, 8), gives_total=st.booleans())
def test_page_numbers_of_a_collection_that_holds_still_are_read_once_with_one_question_for_the_end(
    count: int, page_size: int, parallel: int, gives_total: bool
) -> None:
    api = Api(numbered(count), page_size, gives_total, [])
    records, requests = read_all(api, parallel, lambda pages: pages, by_number_for)
    assert ids(records) == list(range(count))
    assert requests <= -(-count // page_size) + (1 if gives_total else parallel)


@settings(max_examples=200, deadline=None)
@given(count=st.integers(0, 300), page_size=st.integers(2, 40), parallel=st.integers(1, 8), gives_total=st.booleans())
def test_a_collection_that_holds_still_is_read_once_with_few_questions_more_than_pages(
    count: int, page_size: int, parallel: int, gives_total: bool
) -> None:
    records, requests = read_all(Api(numbered(count), page_size, gives_total, []), parallel, lambda offsets: offsets)
    assert ids(records) == list(range(count))
    overlapping = max(1, -(-(count - 1) // (page_size - 1)))
    # The question that finds the end; without a total also what was asked for ahead of it.
    beyond = 1 if gives_total else 1 + (parallel - 1)
    assert requests <= overlapping + beyond
