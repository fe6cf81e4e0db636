"""What it means when no answer of the API comes: the table of requests' errors.

In: one cause of a failure. Out: what failed and what to do, naming the connection; None: it is none of requests. What an
answer means is decided where it is read (`extract/failures.py`).
"""

from include.decide.known_failure import Known

_CHECK_HOST = "Check the host of the connection `{api}`"


def api_failure(cause: BaseException) -> Known | None:
    """Of requests' errors, which this project's transport raises too (their texts are libcurl's)."""
    # Imported here: a DAG file imports the retry policy at every parse, and needs no HTTP for that.
    import requests
    from requests import exceptions

    text = str(cause).lower()
    match cause:
        case (
            requests.TooManyRedirects()
            | exceptions.InvalidURL()
            | exceptions.MissingSchema()
            | exceptions.InvalidSchema()
        ):
            return Known("The API has no usable address", True, f"{_CHECK_HOST} and the option `path`.")
        case exceptions.SSLError() if "certificate" in text:
            advice = (
                f"{_CHECK_HOST}; or the certificate is out of date or of an authority of your own, which REQUESTS_CA_BUNDLE "
                "in the environment of the worker names."
            )
            return Known("The certificate of the API cannot be trusted", True, advice)
        case exceptions.SSLError():
            advice = "Check the connection `{api}`: `schema` (`http` or `https`), host and port."
            return Known("No secure connection (TLS) to the API was possible", False, advice)
        case exceptions.ProxyError():
            advice = "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment of the worker."
            return Known("The proxy before the API cannot be used", False, advice)
        case exceptions.ConnectTimeout() | exceptions.Timeout():
            advice = (
                f"{_CHECK_HOST}, and whether the API is up or slow; RUNTIME__REQUEST_TIMEOUT is how many seconds an answer "
                "may take, and a smaller `page_size` makes it shorter."
            )
            return Known("The API did not answer in time", False, advice)
        case requests.ConnectionError() if "could not resolve" in text:
            advice = f"{_CHECK_HOST}, and whether this machine has a name server that knows it."
            return Known("The host name of the API is not known", False, advice)
        case requests.ConnectionError():
            advice = f"{_CHECK_HOST}, its port and `schema`, and whether the API is up and a firewall lets this machine through."
            return Known("The API cannot be reached", False, advice)
        case exceptions.ChunkedEncodingError():
            advice = "If it goes on, check what stands between this machine and the host of the connection `{api}`."
            return Known("The answer of the API broke off", False, advice)
    return None
