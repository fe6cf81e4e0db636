"""Keys in little memory are a set like Python's own."""

import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.extract.key_set import KeySet

WHOLE = st.integers(0, 200) | st.integers(-3, 2**65) | st.sampled_from([2**64 - 1, 2**64])
KINDS = (WHOLE, st.text(), st.floats(-2, 2) | st.integers(0, 2), st.booleans())
PAGES = st.one_of(st.lists(st.lists(kind)) for kind in KINDS)


@given(PAGES, st.lists(WHOLE | st.text()))
def test_it_is_a_set(pages: list[list[Any]], others: list[Any]) -> None:
    keys, expected = KeySet(), set()
    for page in pages:
        assert keys.isdisjoint(page) == expected.isdisjoint(page)
        assert keys.issuperset(page) == expected.issuperset(page)
        keys.update(page)
        expected.update(page)
        assert len(keys) == len(expected)
    assert sorted(map(repr, keys)) == sorted(map(repr, expected))
    assert [key in keys for key in others] == [key in expected for key in others]


def test_whole_numbers_are_not_held_as_objects() -> None:
    tracemalloc.start()
    try:
        keys = KeySet()
        for first in range(0, 100_000, 100):
            keys.update(list(range(first, first + 100)))
        assert len(keys) == 100_000
        # Python's own set of them: 7 MB.
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
