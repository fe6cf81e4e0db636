"""A dlt resource that somebody has made, as one whose end is known.

In: a `DltResource` of a declaration. Out: another that gives its records in pages, and at the end an empty one: dlt's steps are not
told that nothing follows.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import dlt
from dlt.extract import DltResource

# As many as a large page of an API.
RECORDS_OF_A_PAGE = 1000


def in_pages(given: DltResource, **hints: Any) -> DltResource:
    """`given`, called and hinted as before but for `hints`. It is run anew for each pass, with all of its own steps."""

    def pages() -> Iterator[list[Any]]:
        records = iter(given)
        while page := list(islice(records, RECORDS_OF_A_PAGE)):
            yield page
        yield []

    return dlt.resource(pages, name=given.name, **hints)
