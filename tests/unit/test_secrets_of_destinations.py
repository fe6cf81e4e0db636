"""Which values of a destination's connection are redacted."""

from typing import Any, get_args

import pytest
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.configuration.specs.base_configuration import is_secret_hint
from dlt.common.destination import Destination

from include.load.kind import _SECRET_NAME, _secrets_in
from include.load.kinds import kinds

# An id, and no secret; dlt declares it so for Databricks alone.
NO_SECRETS = {"client_id"}


def declared_as_secret(destination_type: str) -> set[str]:
    """Fields of dlt's configuration of a destination, and of whatever credentials it may have."""
    destination: Any = Destination.from_reference(destination_type)
    names: set[str] = set()
    seen: list[Any] = []
    waiting: list[Any] = [destination.spec]
    while waiting:
        hint = waiting.pop()
        waiting += hint if isinstance(hint, list) else get_args(hint)
        if hint in seen or not (isinstance(hint, type) and issubclass(hint, BaseConfiguration)):
            continue
        seen.append(hint)
        for name, of_field in hint.get_resolvable_fields().items():
            waiting.append(of_field)
            if is_secret_hint(of_field):
                names.add(name)
    return names


@pytest.mark.parametrize("destination_type", sorted({kind.destination_type for kind in kinds().values()}))
def test_whatever_dlt_declares_as_secret_is_redacted(destination_type: str) -> None:
    declared = declared_as_secret(destination_type)
    assert {"credentials"} < declared
    assert [name for name in declared - NO_SECRETS if not _SECRET_NAME.search(name)] == []


@pytest.mark.parametrize(
    ("values", "secrets"),
    [
        ({"account_key": "k-1", "account_name": "name"}, ["k-1"]),
        ({"access_key": "k-1", "aws_access_key_id": "AKIA"}, ["k-1"]),
        ({"credentials": '{"type": "x"}'}, ['{"type": "x"}']),
        ({"query": {"pwd": "p-1", "uid": "u"}}, ["p-1"]),
        ({"connect_args": [["password", "p-1"], ["user", "u"]]}, ["p-1"]),
        ({"connect_args": (("pwd", "p-1"),)}, ["p-1"]),
        ({"tokens": ["t-1", "t-2"]}, ["t-1", "t-2"]),
        (
            {"connection_string": "AccountName=n;AccountKey=k-1==;EndpointSuffix=x"},
            ["AccountName=n;AccountKey=k-1==;EndpointSuffix=x", "k-1=="],
        ),
        ({"private_key_path": "/key.pem", "host": "h", "token_uri": "https://x"}, []),
    ],
    ids=str,
)
def test_secrets_are_found_wherever_they_are(values: dict[str, Any], secrets: list[str]) -> None:
    assert list(_secrets_in(values)) == secrets
