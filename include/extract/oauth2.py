"""OAuth 2.0 client credentials (RFC 6749, 4.4): a token is fetched, renewed before it ends, and once after a 401.

In: the client's id and secret, and where tokens come from. Out: dlt's own authentication, with a token that several threads share.
"""

import threading
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, ClassVar

import requests
from dlt.sources.helpers.rest_client.auth import OAuth2AuthBase
from requests.auth import HTTPBasicAuth

from include.errors import ConfigurationError, PermanentError, ResponseShapeError
from include.extract.clock import SYSTEM_CLOCK, Clock
from include.extract.failures import raise_failure
from include.redaction import register

# So long before its end a token is renewed: what was asked for with it has to arrive before.
EARLY_SECONDS = 30.0
_BEARER = "Bearer "
METHODS = ("client_secret_post", "client_secret_basic")


class ClientCredentials(OAuth2AuthBase):
    """As dlt's `OAuth2ClientCredentials`, but safe to use from any thread, and told by sentences.

    Raises PermanentError where the token endpoint refuses the client, TransientError where it cannot answer now.
    """

    # A request that is prepared once for many pages would go on with an old token.
    expires: ClassVar[bool] = True

    def __init__(
        self,
        open_session: Callable[[], requests.Session],
        client_id: str,
        client_secret: str,
        access_token_url: str,
        access_token_request_data: Mapping[str, Any] | None = None,
        default_token_expiration: float = 3600,
        token_endpoint_auth_method: str = "client_secret_post",
        scope: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`token_endpoint_auth_method`: one of `METHODS` (RFC 7591, 2). `default_token_expiration` in seconds."""
        super().__init__()
        if token_endpoint_auth_method not in METHODS:
            raise ConfigurationError(
                f"The option `auth` has the `token_endpoint_auth_method` `{token_endpoint_auth_method}`; it can be "
                f"{' or '.join(f'`{one}`' for one in METHODS)}."
            )
        self._open_session = open_session
        self._client = (client_id, client_secret)
        self._url = access_token_url
        self._in_header = token_endpoint_auth_method == "client_secret_basic"
        self._data = {
            "grant_type": "client_credentials",
            **({"scope": scope} if scope else {}),
            **(access_token_request_data or {}),
        }
        self._default_seconds = default_token_expiration
        self._clock = clock
        self._token: str | None = None
        self._until = 0.0
        self._lock = threading.Lock()
        self.__is_resolved__ = True

    def __deepcopy__(self, _: Any) -> "ClientCredentials":
        # dlt copies the configuration to check it; the token and its lock are one.
        return self

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token; a 401 will renew it, once."""
        request.headers["Authorization"] = f"{_BEARER}{self.token()}"
        request.register_hook("response", self._after_401)  # type: ignore[no-untyped-call]
        return request

    def token(self, instead_of: str | None = None) -> str:
        """A token that holds for a while; a new one where the present one is `instead_of`."""
        with self._lock:
            if self._token is None or self._token == instead_of or self._clock.monotonic() >= self._until:
                self._token = self._fetched()
            return self._token

    def _after_401(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        if response.status_code != 401:
            return response
        # That of the answer: a page that was asked for ahead was refused with an older token than the request now has.
        token = response.request.headers["Authorization"].removeprefix(_BEARER)
        again = copy(response.request)
        # Their own method: `copy.copy` would share what is in them with the pages that were asked for ahead.
        again.headers = again.headers.copy()
        again.headers["Authorization"] = f"{_BEARER}{self.token(instead_of=token)}"
        answer: requests.Response = response.connection.send(again, **kwargs)
        return answer

    def _fetched(self) -> str:
        client_id, client_secret = self._client
        data = dict(self._data)
        login = HTTPBasicAuth(client_id, client_secret) if self._in_header else None
        if login is None:
            data |= {"client_id": client_id, "client_secret": client_secret}
        with self._open_session() as session:
            response = session.post(self._url, data=data, auth=login, headers={"Accept": "application/json"})
        try:
            raise_failure(response)
        except PermanentError as refused:
            problem = str(refused)
        else:
            return self._token_in(response)
        raise ConfigurationError(
            f"No access token: {problem} Check the login (client id) and the password (client secret) of the API's connection, and "
            "`access_token_url` in the option `auth`."
        )

    def _token_in(self, response: requests.Response) -> str:
        body = response.json()
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise ResponseShapeError(
                "The token endpoint answered without an `access_token`. Check `access_token_url` in the option `auth`."
            )
        register(token)
        try:
            seconds = float(body.get("expires_in") or self._default_seconds)
        except (TypeError, ValueError):
            seconds = self._default_seconds
        # One that ends within a minute is used for half of its time.
        self._until = self._clock.monotonic() + max(seconds - EARLY_SECONDS, seconds / 2)
        return token
