"""What each request carries of the read that it belongs to, as one of its response hooks.

In: the paginator of a read. Out: for the session, where in the collection a request reads and which pages will be asked for
next; as a hook, what an answer counts as. dlt asks for all pages of a read with one `requests.Request`, whose hooks stay.
"""

from collections.abc import Callable, Iterable
from typing import Any

import requests

from include.extract.position import Position
from include.extract.prefetch import nothing_ahead
from include.extract.traffic import Traffic

Settle = Callable[[requests.Response], requests.Response]


def as_it_is(response: requests.Response) -> requests.Response:
    """The answer counts as what it is."""
    return response


class ReadHook:
    """One read, to the session that sends its requests.

    `settle` says what an answer counts as, when its turn has come: beyond the end, an error may be the end. `upcoming(position)`
    lists the positions that will be asked for after `position`. `in_turn`: its requests are sent by the thread that asks, as those of
    many reads at once are. `traffic` counts them; None: for nobody.
    """

    def __init__(
        self,
        settle: Settle = as_it_is,
        position_param: str | None = None,
        upcoming: Callable[[int], Iterable[int]] = nothing_ahead,
        in_turn: bool = False,
        traffic: Traffic | None = None,
    ) -> None:
        self._settle = settle
        self.position = Position(position_param)
        self.upcoming = upcoming
        self.in_turn = in_turn
        self.traffic = traffic or Traffic()

    def __call__(self, response: requests.Response, **_: Any) -> requests.Response:
        """Called by requests' hooks, before those of the declaration."""
        return self._settle(response)

    def attach(self, request: requests.Request) -> None:
        """Have `request`, and whatever is prepared of it, carry this."""
        others = [hook for hook in request.hooks["response"] if not isinstance(hook, ReadHook)]
        request.hooks["response"] = [self, *others]


def read_of(hooks: Any) -> ReadHook | None:
    """What a request with these hooks belongs to; None: to no read."""
    return next((hook for hook in (hooks or {}).get("response") or () if isinstance(hook, ReadHook)), None)
