"""What a load says of itself in the task's log.

In: its report, and the reports of earlier loads. Out: log lines: one that sums it up, and a warning for what a person should
know although the load is good.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from include.report.history import LoadReport

log = logging.getLogger(__name__)

WARNINGS = {
    "total_is_no_count": "The total of the API is no count of this collection (%s); all that was read is loaded. Set the option "
    "`total_path` to where the number of records is, or to an empty text.",
    "deletes_left_out": "Nothing was marked or removed, as the read does not prove which records are gone: %s. Set the option `read_twice`, "
    "or `deletes` to `ignore`.",
    "records_listed_twice": "The API lists %s records twice, with the same content; each is loaded once.",
}


def warnings_of(notes: Mapping[str, Any]) -> dict[str, str]:
    """What a person should know of a good load, by the name of the note that says so."""
    return {name: sentence % notes[name] for name, sentence in WARNINGS.items() if name in notes}


def announce(report: LoadReport, history: Collection[LoadReport]) -> None:
    """Say what was loaded, and what about it is odd."""
    log.info(report.summary())
    notes = report.notes or {}
    for warning in warnings_of(notes).values():
        log.warning("%s", warning)
    if "values_beside" in notes:
        log.info(
            "Values that do not fit their column, or that the destination cannot hold as they are, lie in a column beside it: %s",
            ", ".join(f"{count} of `{field}`" for field, count in notes["values_beside"].items()),
        )
    if "superseded_by" in notes:
        log.info(
            "Load %s began to read after this one and has merged the whole collection: nothing of this run was merged, and "
            "nothing is missing.",
            notes["superseded_by"],
        )
    if "superseded_rows" in notes:
        log.info("%s records were not merged: the table has newer versions of them.", notes["superseded_rows"])
    if "not_proven" in notes:
        log.info("Not proven: %s", notes["not_proven"])
    if report.read_rows == 0 and not any(earlier.read_rows for earlier in history):
        log.warning(
            "The API gave no record at all, and no earlier load has any. If that is wrong: some servers take a query "
            "parameter that they do not know, the key's among them, for a filter that nothing passes. Set the options `auth` "
            "(`none`), `api_key_location` (`header`), `offset_param`, `limit_param` or `params` as the API wants them."
        )
