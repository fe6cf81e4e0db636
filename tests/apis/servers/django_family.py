"""One Django project with five libraries, in one process. Their facts, all under `servers["django"].url`.

Times are ISO 8601 with `Z`. Where nothing else is said, a time filter is `modified__gte` (inclusive) with `modified__lt`
(exclusive), pages hold 20 records unless asked otherwise and 50 at most, **a larger size is cut to 50 without a word**,
an unknown parameter is ignored, and the order is that of `id`. A path without its last slash is a redirect (301).
"""

import json
from pathlib import Path

from tests.apis.servers.content import CREDENTIALS, RECORDS
from tests.apis.servers.environments import HERE, python_environment
from tests.apis.servers.family import Family

_CONTENT = "content.json"


def _prepare(folder: Path) -> None:
    (folder / _CONTENT).write_text(json.dumps({"records": RECORDS, "credentials": CREDENTIALS}))


FAMILY = Family(
    name="django",
    install=lambda: python_environment("django", HERE / "requirements-django.txt"),
    prepare=_prepare,
    command=lambda environment, port: [
        str(environment / "bin" / "python"),
        str(HERE / "django_site" / "serve.py"),
        str(port),
        _CONTENT,
    ],
    ready_path="/drf/cursor/",
)
