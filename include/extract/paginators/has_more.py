"""The field in which an API says whether it has more, where a declaration names one (dlt's `has_more_path`).

In: a JSONPath; an answer's body. Out: that there is no more, or nothing.
"""

from typing import Any

from include.configure.options import json_path

_NO = ("false", "no", "0")


class HasMore:
    """`path` None: nobody has named the field."""

    def __init__(self, path: str | None) -> None:
        self.is_known = path is not None
        self._selector = json_path("paginator", path) if path else None

    def says_no(self, body: Any) -> bool:
        """Whether the field is there and says that nothing follows."""
        if self._selector is None or not isinstance(body, dict | list):
            return False
        return any(match.value is False or str(match.value).lower() in _NO for match in self._selector.find(body))
