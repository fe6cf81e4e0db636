"""Where in a collection a request reads: the number in its query, an offset or a page's number.

In: the name of the query parameter. Out: the position of a request, and the same request at another one.
"""

import re
from copy import copy
from urllib.parse import quote_plus

import requests


class Position:
    """The query parameter `name`; None: the API knows no positions, and no request has one."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        # `requests` has encoded the name like this when it prepared the URL.
        self._quoted_name = quote_plus(name or "")
        self._pattern = re.compile(rf"(?<=[?&]){re.escape(self._quoted_name)}=(\d+)(?=&|#|$)")

    def of(self, request: requests.PreparedRequest) -> int | None:
        """The position that `request` asks for."""
        found = self._pattern.search(request.url or "") if self.name else None
        return int(found.group(1)) if found else None

    def move(self, request: requests.PreparedRequest, position: int) -> requests.PreparedRequest:
        """A request for the same at `position`."""
        # Shallow: nobody changes what the pages share, and requests' own copy takes ten times as long.
        moved = copy(request)
        moved.url = self._pattern.sub(f"{self._quoted_name}={position}", request.url or "")
        return moved
