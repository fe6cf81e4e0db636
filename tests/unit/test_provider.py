"""Airflow connections as dlt values: which keys are answered, how often Airflow is asked, what is refused."""

from typing import Any

import dlt
import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.apis.api import DESTINATION_CONN_ID
from include.apis.datasets import DATASETS
from include.configure import provider as config_provider
from include.configure.api_connection import api_values
from include.configure.lookup import look_up
from include.configure.provider import ConnectionsProvider, register_connections
from include.configure.resolution import resolve_options
from include.errors import ConfigurationError
from include.load.kinds import kind_of

KEY = "s3cr3t/+key=%&"


class Backend:
    """Stands in for whatever serves connections to Airflow; counts what is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.connections: dict[str, Connection] = {}

    def get(self, conn_id: str) -> Connection:
        self.asked.append(conn_id)
        if conn_id not in self.connections:
            raise AirflowNotFoundException(conn_id)
        return self.connections[conn_id]

    def add(self, conn_id: str, **fields: Any) -> None:
        self.connections[conn_id] = Connection(conn_id=conn_id, **fields)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A backend with the API's connection and a PostgreSQL destination."""
    backend = Backend()
    backend.add(
        "datasets_api", conn_type="http", host="https://api.example.com", password=KEY, extra='{"page_size": 7}'
    )
    backend.add(
        "datasets_destination", conn_type="postgres", host="db", login="loader", password="pw-of-db", schema="dw"
    )
    monkeypatch.setattr(Connection, "get", backend.get)
    monkeypatch.setattr(config_provider, "mask_secret", lambda _: None)
    return backend


def register() -> ConnectionsProvider:
    """What a task does at its start."""
    api, destination = api_values(look_up(DATASETS.conn_id)), look_up(DESTINATION_CONN_ID)
    return register_connections(DATASETS, api, kind_of(destination).values_of(destination) if destination else None)


def look_up_all() -> None:
    """All that a task asks of connections."""
    register()
    resolve_options(DATASETS)


@pytest.fixture
def registered(backend: Backend, dlt_home: object) -> ConnectionsProvider:
    """The provider in dlt's list, as in a task."""
    return register()


def test_the_values_of_the_contract_resolve_and_each_connection_is_looked_up_once(
    registered: ConnectionsProvider, backend: Backend
) -> None:
    assert dlt.secrets["sources.datasets.api_key"] == KEY
    assert dlt.config["sources.datasets.base_url"] == "https://api.example.com"
    assert dlt.config["sources.datasets.page_size"] == 7
    assert dlt.secrets["destination.postgres.credentials.username"] == "loader"
    assert dlt.secrets["destination.postgres.credentials"]["password"] == "pw-of-db"
    assert sorted(backend.asked) == ["datasets_api", "datasets_destination"]


def test_other_sections_and_pipelines_look_nothing_up(registered: ConnectionsProvider, backend: Backend) -> None:
    for sections in ((), ("runtime",), ("load",), ("normalize", "data_writer")):
        assert registered.get_value("anything", str, None, *sections)[0] is None
    assert registered.get_value("api_key", str, "some_pipeline")[0] is None
    assert sorted(backend.asked) == ["datasets_api", "datasets_destination"]


def test_the_connection_wins_over_the_environment(
    registered: ConnectionsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__DATASETS__PAGE_SIZE", "50")
    monkeypatch.setenv("SOURCES__DATASETS__CURSOR_PATH", "updated_at")
    options = resolve_options(DATASETS)
    assert (options.page_size, options.cursor_path) == (7, "updated_at")


def test_registering_again_replaces_the_provider(registered: ConnectionsProvider) -> None:
    second = register()
    providers = Container()[PluggableRunContext].providers.providers
    assert providers[0] is second
    assert [type(provider) for provider in providers].count(ConnectionsProvider) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (None, "The Airflow connection `datasets_api` does not exist"),
        ({"conn_type": "http", "password": KEY}, "host"),
        ({"conn_type": "http", "host": "https://api.example.com"}, "password"),
    ],
)
def test_what_is_missing_is_one_sentence_without_a_value(
    backend: Backend, dlt_home: object, fields: dict[str, Any] | None, said: str
) -> None:
    del backend.connections["datasets_api"]
    if fields:
        backend.add("datasets_api", **fields)
    with pytest.raises(ConfigurationError) as caught:
        look_up_all()
    assert said in str(caught.value)
    assert "datasets_api" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_misspelt_option_is_refused_and_other_extras_are_left_alone(backend: Backend, dlt_home: object) -> None:
    backend.connections["datasets_api"].extra = '{"cursorpath": "updated_at", "verify_hostname": true}'
    with pytest.raises(ConfigurationError, match="Did you mean `cursor_path`"):
        register()
    backend.connections["datasets_api"].extra = '{"verify_hostname": true}'
    register()
    assert resolve_options(DATASETS).cursor_path is None


def test_without_a_destination_connection_there_is_none(backend: Backend, dlt_home: object) -> None:
    del backend.connections["datasets_destination"]
    assert look_up(DESTINATION_CONN_ID) is None
    provider = register()
    assert provider.get_value("host", str, None, "destination", "postgres", "credentials")[0] is None
