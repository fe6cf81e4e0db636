"""dlt's paginators of a link in the body and of a cursor in a header, to which an empty text is no next page either.

In: an answer. Out: what names the next page; or a `ResponseShapeError` (permanent) where that is no text.
"""

from typing import Any

from dlt.sources.helpers.rest_client.paginators import HeaderCursorPaginator, JSONLinkPaginator
from requests import Response

from include.errors import ResponseShapeError
from include.extract.answer import json_type


class LinkPaginator(JSONLinkPaginator):
    """A link in the body. At the end there may also be an empty text, or `false`: dlt would ask for the address itself."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Find the link."""
        super().update_state(response, data)
        link: Any = self._next_reference
        if not link:
            self._next_reference = None
        elif not isinstance(link, str):
            raise ResponseShapeError(
                f"The answer has {json_type(link)} at `{self.next_url_path}`, where the link to the next page should be. Set `next_url_path` "
                "in the option `paginator` to the text that is the link, such as `next.href`; where it is a number or a token, take the "
                "type `cursor`."
            )


class CursorInHeaderPaginator(HeaderCursorPaginator):
    """A cursor in a header, which may be there and empty at the end."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Find the cursor."""
        super().update_state(response, data)
        self._next_reference = self._next_reference or None
