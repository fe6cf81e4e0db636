"""How much was asked of an API: requests, retries and bytes of one resource in one try.

In: what becomes of each attempt to send. Out: sums, for the report. Requests for tokens are no resource's.
"""

from threading import Lock

import requests


class Traffic:
    """Counts. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.requests = 0
        """Requests that were sent, retries and the hops of redirects among them."""
        self.retries = 0
        """Those that were sent once more, after an error or a busy answer."""
        self.bytes = 0
        """Bytes of the bodies of all answers, unpacked."""

    def sent(self, is_retry: bool, answer: requests.Response | None) -> None:
        """One attempt; `answer` None: it ended without one."""
        answers = [*answer.history, answer] if answer is not None else []
        with self._lock:
            self.requests += max(1, len(answers))
            self.retries += is_retry
            self.bytes += sum(len(one.content) for one in answers)
