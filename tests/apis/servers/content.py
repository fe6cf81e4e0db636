"""What every server holds and asks for, the same in all: the ground truth of a load.

`RECORDS`: a number of records that no usual page size divides, in the order of their ids. `modified`, ISO 8601 in
whole seconds UTC, is shared by up to four records and in another order than the ids. `author` is nested, `tags` a
list (sometimes empty), `reviewer` sometimes null.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

RECORD_COUNT = 237
_FIRST_CHANGE = datetime(2026, 1, 1, tzinfo=UTC)
_AUTHORS = [
    {"name": "Ada Byron", "country": "GB"},
    {"name": "Zoë Müller", "country": "CH"},
    {"name": "李雷", "country": "CN"},
]
_TAGS = ["air", "water", "soil"]


def _record(number: int) -> dict[str, Any]:
    # 97 and the number of records have no divisor in common: each position once, far from the one before.
    changed_at = _FIRST_CHANGE + timedelta(hours=6 * (number * 97 % RECORD_COUNT // 4))
    return {
        "id": number,
        "title": f"Article {number} of “many”",
        "score": number / 4,
        "reviewer": None if number % 5 == 0 else f"reviewer {number % 7}",
        "author": _AUTHORS[number % len(_AUTHORS)],
        "tags": _TAGS[: number % 4],
        "modified": changed_at.isoformat().replace("+00:00", "Z"),
    }


RECORDS = [_record(number) for number in range(1, RECORD_COUNT + 1)]

# A window, start inclusive and end exclusive: records were modified in it, and at both of its ends.
WINDOW = ("2026-01-05T00:00:00Z", "2026-01-11T00:00:00Z")
IN_WINDOW = [record for record in RECORDS if WINDOW[0] <= record["modified"] < WINDOW[1]]

CREDENTIALS = {
    "token": "t0ken-of-the-tests",
    "login": "reader",
    "password": "b4sic-p:ss/of the+tests",
    "api_key": "k3y-of-the-tests",
    "client_id": "client-of-the-tests",
    "client_secret": "cl13nt-s3cret-of-the-tests",
    "scope": "read",
}
