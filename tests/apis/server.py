"""A double on a loopback port: HTTP/1.1 with connections that stay open, and a list of what came.

with DoubleServer(Ckan()) as server:
    server.url, server.requests, server.refused
    server.play(Zenodo())                               # another one on the same port, with an empty list
    server.script(lambda request: Answer(503) if …)     # as for an ApiServer; also to change `double.records`
"""

from tests.apis.double import Double
from tests.support.api_server import Answer, ApiServer, Request, _Silence


class DoubleServer(ApiServer):
    """`requests`: all that came, in order; `refused`: those of them that got a status of 400 or more."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.refused: list[Request] = []
        super().__init__()

    def play(self, double: Double) -> None:
        """Be that catalogue from now on, with nothing asked yet."""
        self.reset()
        self.double = double
        self.refused.clear()

    def page(self, request: Request) -> Answer:
        return self.double.answer(request)

    def _answer(self, request: Request) -> Answer | _Silence:
        answer = super()._answer(request)
        if isinstance(answer, Answer) and answer.status >= 400:
            self.refused.append(request)
        return answer
