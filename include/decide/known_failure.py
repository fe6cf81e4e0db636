"""What a table of failures says of a cause that it knows.

In: an exception of a library. Out: what failed, whether a later try can mend it, and what to do.
"""

from collections.abc import Callable
from typing import NamedTuple


class Known(NamedTuple):
    """`what` begins the sentence, the cause's own text follows, `advice` ends it. `is_permanent` as in `LoadFailed`.

    `{api}` and `{destination}` in `advice` stand for the ids of the connections.
    """

    what: str
    is_permanent: bool
    advice: str


Explain = Callable[[BaseException], Known | None]
"""None: the table does not know the cause."""
