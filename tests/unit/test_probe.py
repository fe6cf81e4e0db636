"""What the probe makes of an answer: where things are in it, and what fields may be. The whole of it is in tests/apis."""

from typing import Any

import pytest

from include.extract.probe.fields import cursor_candidates, key_candidates
from include.extract.probe.places import Next, next_in, records_in, totals_in

RECORD = {"id": 1}


@pytest.mark.parametrize(
    ("body", "selector"),
    [
        ([RECORD], "$"),
        ({"data": [RECORD], "facets": []}, "data"),
        ({"hits": {"hits": [RECORD, RECORD], "total": 2}, "warnings": [{}]}, "hits.hits"),
        ([{"page": 1, "total": 9}, [RECORD]], "$[1]"),
        ({"odd-name": {"of records": [RECORD]}}, '"odd-name"."of records"'),
        ({"columns": ["id"], "results": []}, "results"),
        ({"messages": []}, None),
        ({"rows": [[1]]}, None),
        ("text", None),
    ],
)
def test_records_are_the_longest_list_of_objects(body: Any, selector: str | None) -> None:
    found = records_in(body)
    assert (found and found.selector) == selector


@pytest.mark.parametrize(
    ("body", "headers", "totals"),
    [
        ({"count": 30, "page_size": 20, "pages": 40, "offset": 50}, {}, {"count": 30}),
        ({"meta": {"pagination": {"count": 30, "total_pages": 25}}}, {}, {"meta.pagination.count": 30}),
        ([{"page": 25, "total": 30}, [RECORD]], {}, {"$[0].total": 30}),
        ([RECORD], {"X-Total-Count": "30"}, {"header:X-Total-Count": 30}),
        ({"total": 19, "data": [{"count": 99}]}, {}, {}),
        ({"total": True}, {"X-Total-Count": "many"}, {}),
    ],
)
def test_a_total_is_a_number_of_a_usual_name_that_is_no_less_than_what_came(
    body: Any, headers: dict[str, str], totals: dict[str, int]
) -> None:
    assert totals_in(body, headers, 20) == totals


@pytest.mark.parametrize(
    ("body", "headers", "first"),
    [
        ({"next": "https://a.example/?page=2"}, {}, Next("json_link", "next", "https://a.example/?page=2")),
        ({"links": {"next": {"href": "/x?page=2"}}}, {}, Next("json_link", "links.next.href", "/x?page=2")),
        ({"nextPageToken": "abc"}, {}, Next("cursor", "nextPageToken", "abc")),
        ({"next": "abc", "next_url": "/x?_next=abc"}, {}, Next("json_link", "next_url", "/x?_next=abc")),
        ([], {"Link": '</x?page=2>; rel="next", </x>; rel="first"'}, Next("header_link", "next", "/x?page=2")),
        ({"next": None, "next_page": ""}, {}, None),
        ({"data": [{"next": "/x"}]}, {}, None),
    ],
)
def test_what_names_the_next_page(body: Any, headers: dict[str, str], first: Next | None) -> None:
    assert next(iter(next_in(body, headers)), None) == first


def test_a_key_is_there_in_each_record_of_one_type_and_no_two_alike() -> None:
    records = [
        {
            "name": f"name {number}",
            "uuid": f"u{number}",
            "id": number,
            "kind": "same",
            "sometimes_id": number or None,
            "mixed_id": number or "0",
            "share_id": number / 7,
            "created": f"2026-01-0{number + 1}T00:00:00Z",
            "meta": {"doi": f"d{number}", "a.b": number},
        }
        for number in range(5)
    ]
    assert key_candidates(records) == ["id", "uuid", "meta.doi", "name"]


def test_an_instant_is_told_by_how_it_is_written_and_a_number_by_its_name_too() -> None:
    records = [
        {
            "created": "2026-01-01T00:00:00Z",
            "day": "2026-01-01",
            "updated_at": "2026-01-01T00:00:00+02:00",
            "changed": 1_767_225_600,
            "published_at": 1_767_225_600_000,
            "views": 1_767_225_600,
            "year": "2026",
            "modified": None,
        }
    ] * 2
    assert cursor_candidates(records) == {
        "updated_at": "iso8601_offset",
        "changed": "epoch_seconds",
        "created": "iso8601_z",
        "day": "date",
        "published_at": "epoch_milliseconds",
    }
    assert list(cursor_candidates(records))[:2] == ["updated_at", "changed"]
