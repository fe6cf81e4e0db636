"""Slices of time without HTTP: how they are asked for and halved, and whether they are whole whatever moves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.configure.options import SourceOptions
from include.decide.cursor import format_instant, parse_cursor
from include.decide.window import LoadWindow
from include.errors import PermanentError
from include.extract.answer import AnswerReader
from include.extract.completeness import CollectionMoved, ReadProgress, WholeRead
from include.extract.paginators.offset import WholeOffsetPaginator
from include.extract.paginators.page_number import WholePageNumberPaginator
from include.extract.paginators.proven import ReadParts
from include.extract.paginators.sliced import SlicedPaginator
from include.extract.slices import Slice, slicing_of

Record = dict[str, Any]
START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def options(**given: Any) -> SourceOptions:
    named = {"cursor_path": "at", "start_param": "from", "end_param": "to"}
    found = SourceOptions()
    for name, value in (named | given).items():
        setattr(found, name, value)
    return found


# --- how slices are asked for


@pytest.mark.parametrize(
    ("part", "middle"),
    [
        (Slice(None, None), NOW),
        (Slice(None, NOW), datetime(1970, 1, 1, tzinfo=UTC)),
        (Slice(None, datetime(1960, 1, 1, tzinfo=UTC)), datetime(1, 1, 1, tzinfo=UTC)),
        (Slice(START, NOW), datetime(2025, 12, 14, tzinfo=UTC)),
        (Slice(START, START + timedelta(days=1)), START + timedelta(hours=12)),
        (Slice(START, START + timedelta(seconds=3)), START + timedelta(seconds=1)),
        (Slice(START, START + timedelta(seconds=1)), START + timedelta(microseconds=500_000)),
        (Slice(START, START + timedelta(microseconds=1)), None),
        # What changes while one reads is cut off once, and not for ever.
        (Slice(NOW - timedelta(hours=1), None), NOW),
        (Slice(NOW - timedelta(seconds=1), None), None),
    ],
    ids=str,
)
def test_a_slice_is_halved_at_a_round_instant(part: Slice, middle: datetime | None) -> None:
    assert part.middle(NOW) == middle


@pytest.mark.parametrize(
    ("cursor_format", "smallest"),
    [
        ("date", timedelta(days=1)),
        ("epoch_seconds", timedelta(seconds=1)),
        ("epoch_milliseconds", timedelta(milliseconds=1)),
        ("iso8601_z", timedelta(microseconds=1)),
    ],
)
def test_a_slice_is_halved_as_far_as_its_format_tells_the_halves_apart(cursor_format: Any, smallest: timedelta) -> None:
    slicing = slicing_of(options(cursor_format=cursor_format), None)
    for begin in (START, START + timedelta(days=3)):
        assert slicing.halves(Slice(begin, begin + smallest), NOW) is None
        earlier, later = slicing.halves(Slice(begin, begin + 2 * smallest), NOW) or ()  # type: ignore[misc]
        assert (earlier.start, earlier.end, later.start) == (begin, begin + smallest, begin + smallest)


def test_open_ends_are_not_sent() -> None:
    slicing = slicing_of(options(), None)
    assert slicing.write(Slice(None, START)) == {"from": None, "to": "2025-01-01T00:00:00Z"}
    # One unit earlier: an API may mean "after".
    assert slicing.write(Slice(START, None)) == {"from": "2024-12-31T23:59:59Z", "to": None}


def test_a_window_is_the_whole() -> None:
    slicing = slicing_of(options(), LoadWindow(START, NOW))  # type: ignore[arg-type]
    assert slicing.whole == Slice(START, NOW)
    assert slicing.missing == ()


@pytest.mark.parametrize(
    ("given", "declared", "missing"),
    [
        ({}, None, ()),
        ({"end_param": None}, None, ("end_param",)),
        (
            {"cursor_path": None, "start_param": None, "end_param": None},
            None,
            ("cursor_path", "start_param", "end_param"),
        ),
        ({"start_param": None, "end_param": None}, {"start_param": "since", "end_param": "until"}, ()),
        ({"start_param": None}, {"start_param": "since"}, ()),
        ({"start_param": None, "end_param": None}, {"parameter": "since"}, ("end_param",)),
    ],
)
def test_what_nobody_has_said_is_named(given: Any, declared: Any, missing: tuple[str, ...]) -> None:
    incremental = None if declared is None else {"cursor_path": "at", **declared}
    assert slicing_of(options(**given), None, incremental).missing == missing


@pytest.mark.parametrize(
    ("initial_value", "convert", "written"),
    [
        ("2020-01-01T00:00:00Z", None, ("2020-01-01T00:00:00Z", "2025-01-01T00:00:00Z")),
        ("2020-01-01T00:00:00+00:00", None, ("2020-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00")),
        ("2020-01-01", None, ("2020-01-01", "2025-01-01")),
        (date(2020, 1, 1), str, ("2020-01-01", "2025-01-01")),
        (1_577_836_800, None, (1_577_836_800, 1_735_689_600)),
        ("2020-01-01T00:00:00Z", lambda text: text[:10], ("2020-01-01", "2025-01-01")),
        (None, None, ("1970-01-01T00:00:00Z", "2025-01-01T00:00:00Z")),
    ],
)
def test_a_declared_incremental_is_written_as_dlt_writes_it(initial_value: Any, convert: Any, written: Any) -> None:
    declared = {
        "cursor_path": "at",
        "initial_value": initial_value,
        "start_param": "since",
        "end_param": "until",
        "convert": convert,
    }
    params = {"q": "at:[{incremental.start_value} TO {incremental.end_value}]", "size": 10}
    slicing = slicing_of(options(start_param=None, end_param=None), None, declared, params)
    asked = slicing.write(Slice(slicing.whole.start, START))
    start, end = written
    assert asked == {"since": start, "until": end, "q": f"at:[{start} TO {end}]"}
    first = datetime(1970 if initial_value is None else 2020, 1, 1, tzinfo=UTC)
    assert slicing.whole == Slice(first, None)
    # An open end that stands in a text has to be written: nothing that changes meanwhile is behind it.
    assert "until" in (last := slicing.write(Slice(START, None)))
    assert last["until"] is None
    assert last["q"].partition(" TO ")[2] > f"{datetime.now(UTC).date()}" or initial_value == 1_577_836_800


# --- an API that ends its positions, and whatever moves


@dataclass
class Api:
    """Filters by `from` and `to`, both of which belong to what is asked for; beyond `cap` it gives no records.

    `events` are what happens before each answer. `ends`: how it says that there is no such position.
    """

    records: list[Record]
    page_size: int
    cap: int
    ends: str
    gives_total: bool
    events: list[list[tuple[str, int]]] = field(default_factory=list)
    requests: int = 0

    def __post_init__(self) -> None:
        self.stable = {record["id"] for record in self.records}
        self._fresh = iter(range(1000, 100_000))

    def answer(self, params: dict[str, Any]) -> "Answer":
        for kind, where in self.events.pop(0) if self.events else ():
            self._happens(kind, where)
        self.requests += 1
        start, end = params.get("from"), params.get("to")
        found = [one for one in self.records if _within(one["at"], start, end)]
        offset = params["offset"] if "offset" in params else (params["page"] - 1) * self.page_size
        if offset + self.page_size > self.cap and self.ends == "clamps":
            offset = self.cap - self.page_size
        if offset + self.page_size > self.cap and self.ends == "refuses":
            return Answer(400, {})
        body: dict[str, Any] = {"data": [dict(one) for one in found[offset : offset + self.page_size]]}
        if self.gives_total:
            body["total"] = len(found)
        return Answer(200, body)

    def _happens(self, kind: str, where: int) -> None:
        if kind == "insert":
            at = where % (len(self.records) + 1)
            self.records.insert(at, {"id": next(self._fresh), "at": _text(datetime.now(UTC))})
        elif self.records and kind == "delete":
            self.stable.discard(self.records.pop(where % len(self.records))["id"])
        elif self.records:
            self.records[where % len(self.records)]["at"] = _text(datetime.now(UTC))


def _text(instant: datetime) -> str:
    return str(format_instant(instant, "iso8601_z", "start"))


def _within(at: str, start: str | None, end: str | None) -> bool:
    instant = parse_cursor(at)
    return (start is None or instant >= parse_cursor(start)) and (end is None or instant <= parse_cursor(end))


class Answer:
    """What the paginator takes of a response."""

    links: dict[str, Any] = {}
    headers: dict[str, str] = {}
    content = b"{}"
    answered_at = 0.0

    def __init__(self, status: int, body: Any) -> None:
        self.status_code, self._body = status, body
        self.request = SimpleNamespace(url="")

    def json(self) -> Any:
        return self._body


Make = Callable[[ReadParts], Any]


def by_offset(page_size: int) -> Make:
    return partial(WholeOffsetPaginator, page_size=page_size, offset_param="offset", limit_param="limit")


def by_number(page_size: int) -> Make:
    return partial(WholePageNumberPaginator, base_page=1, page_param="page", page_size=page_size, limit_param="limit")


def read_all(api: Api, make: Make, maximum: int | None = None) -> tuple[list[Record], WholeRead]:
    """Read as dlt and the session do."""
    read = WholeRead(ReadProgress(), "total")
    reader = AnswerReader("data", "total", ["id"])
    parts = ReadParts(read, reader, "/v1/datasets", total_is_set=False, slicing=slicing_of(options(), None))
    paginator = SlicedPaginator(parts, make, maximum)
    while True:
        request: Any = SimpleNamespace(params={}, hooks={"response": []})
        paginator.init_request(request)
        handed_on: list[Record] = []
        try:
            while paginator.has_next_page:
                (hook,) = request.hooks["response"]
                response = hook(api.answer(request.params))
                if response.status_code >= 400:
                    raise PermanentError("refused")
                paginator.update_state(response)
                paginator.update_request(request)
                handed_on += read.handed_on
        except CollectionMoved:
            if not read.goes_on:
                raise
        else:
            return handed_on, read


def spread(count: int, places: int) -> list[Record]:
    """Records that changed at `places` instants, in another order than that of their ids."""
    return [{"id": number, "at": _text(START + timedelta(hours=number * 7 % places))} for number in range(count)]


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 250),
    ends=st.sampled_from(["refuses", "clamps"]),
    gives_total=st.booleans(),
    says_so=st.booleans(),
    make=st.sampled_from([by_offset, by_number]),
)
def test_a_collection_that_holds_still_is_read_whole_in_one_pass(
    count: int, ends: str, gives_total: bool, says_so: bool, make: Callable[[int], Make]
) -> None:
    if ends == "clamps":
        # Without a total, nothing tells a clamped page from the last one; a clamped offset tells itself from a shift by nothing.
        gives_total, make = True, by_number
    api = Api(spread(count, 97), 20, 100, ends, gives_total)
    records, read = read_all(api, make(20), 100 if says_so else None)
    assert sorted(record["id"] for record in records) == list(range(count))
    assert read.progress.passes == 1
    assert read.progress.rows == count
    # Twice the pages that there are, where positions end unannounced; and the questions that find where the records are.
    assert api.requests <= 4 * (count // 20 + 1) + 40


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(0, 60),
    ends=st.sampled_from(["refuses", "clamps"]),
    gives_total=st.booleans(),
    events=st.lists(
        st.lists(st.tuples(st.sampled_from(["insert", "delete", "update"]), st.integers(0, 60)), max_size=2),
        max_size=40,
    ),
)
def test_whatever_moves_each_record_that_was_always_there_is_handed_on_once_or_the_read_fails(
    count: int, ends: str, gives_total: bool, events: list[Any]
) -> None:
    api = Api(spread(count, 97), 4, 12, ends, gives_total or ends == "clamps", events)
    try:
        records, _ = read_all(api, by_offset(4), 12)
    except (CollectionMoved, PermanentError):
        return
    found = [record["id"] for record in records]
    assert len(set(found)) == len(found)
    assert api.stable <= set(found)


@pytest.mark.parametrize("moment", range(2, 30, 3))
def test_what_changes_once_while_the_slices_are_read_costs_no_failure(moment: int) -> None:
    api = Api(spread(90, 97), 4, 40, "refuses", gives_total=True)
    api.events = [[] for _ in range(moment)] + [[("update", 17)]]
    records, _ = read_all(api, by_offset(4), 40)
    assert sorted(record["id"] for record in records) == list(range(90))


@pytest.mark.parametrize("gives_total", [True, False])
def test_many_records_of_one_instant_fail_with_its_bounds(gives_total: bool) -> None:
    api = Api(spread(300, 1), 20, 100, "refuses", gives_total)
    with pytest.raises(
        PermanentError, match=r"slice \[2024-12-31T23:59:59.999999Z, 2025-01-01T00:00:00Z\) the API"
    ) as caught:
        read_all(api, by_offset(20), 100)
    assert "cannot be halved any further" in str(caught.value)


def test_what_no_slice_holds_is_missed() -> None:
    """A record whose field is empty is in the collection, and in none of its slices."""
    api = Api(spread(150, 97), 20, 100, "refuses", gives_total=True)
    answer = api.answer

    def with_one_more(params: dict[str, Any]) -> Answer:
        found = answer(params)
        found.json()["total"] += "from" not in params and "to" not in params
        return found

    api.answer = with_one_more  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="promises 151 records at `total` and gives 150"):
        read_all(api, by_offset(20), 100)


def test_a_total_that_counts_no_further_than_the_largest_position_is_not_believed() -> None:
    api = Api(spread(150, 97), 20, 100, "refuses", gives_total=True)
    answer = api.answer

    def counted(params: dict[str, Any]) -> Answer:
        found = answer(params)
        if found.status_code == 200:
            found.json()["total"] = min(100, found.json()["total"])
        return found

    api.answer = counted  # type: ignore[method-assign]
    records, _ = read_all(api, by_number(20), 100)
    assert len(records) == 150
