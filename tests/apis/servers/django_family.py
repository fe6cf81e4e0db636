"""One Django project with five libraries, in one process. Their facts, all under `servers["django"].url`:

    path                records   total                   next                paging (start)         asks for
    /drf/limit-offset/  results   count                   next (link)         offset (0), limit      Authorization: Token <token>
    /drf/pages/         results   count                   next (link)         page (1), page_size    login and password
    /drf/cursor/        results   none                    next (link)         page_size              nothing
    /ninja/articles     items     count                   none                offset (0), limit      X-API-Key: <api_key>
    /jsonapi/articles/  data      meta.pagination.count   links.next (link)   page[number] (1),      nothing
                                                                              page[size]
    /oauth/articles/    results   count                   next (link)         page (1), page_size    Bearer, scope `read`

- The key is `id`. JSON:API has `type` and `id` (a string) in a record and all else below `attributes`.
- `modified` is ISO 8601 with `Z`. The window is `modified__gte` (inclusive) with `modified__lt` (exclusive), in JSON:API
  `filter[modified.gte]` and `filter[modified.lt]`; the total is that of the window.
- Pages hold 20 records (ninja: 100) unless asked otherwise, 50 at most: **more is cut to 50 without a word.**
- The order is that of `id`; in /drf/cursor/ newest first, records of one moment by `id`, highest first.
- Beyond the end: an offset answers an empty list, **a page number 404**. `next` is null on the last page.
- A parameter that is not known is ignored, in JSON:API it is a 400. A time that cannot be read is a 400, in ninja a 422.
- Paths have their last slash (else 301), but for ninja's (else 404). A missing or wrong credential is a 401.
- /oauth/token/ takes a form: `grant_type=client_credentials`, optionally `scope=read`, with client id and secret as
  Basic (each form-encoded before, as RFC 6749 has it: a plain `+` or `%` in a secret is decoded) or in the form. JSON is
  a 400, a wrong secret a 401. It answers `access_token`, `expires_in` (36,000 seconds), `token_type`, `scope`.
  /oauth/revoke_token/ takes `token` with the same credentials: from then on the token is a 401.
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
