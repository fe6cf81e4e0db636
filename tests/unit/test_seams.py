"""Canaries: what this project leans on inside dlt, requests and DuckDB is as it was when it was built on.

Each canary is one row of the table "Seams" in docs/architecture.md; those of Airflow are in tests/dags/test_seams.py. A canary
speaks of the library, not of this project: it turns red where an upgrade would break something without a word. The last test
takes each inside away, and sees its canary turn red.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dlt
import duckdb
import pytest
import requests
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.environ import EnvironProvider
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.destination import reference
from dlt.common.destination.client import RunnableLoadJob, StateInfo, StorageSchemaInfo
from dlt.common.runtime.collector_base import Collector
from dlt.common.schema import Schema
from dlt.destinations import job_client_impl, sql_jobs
from dlt.destinations.impl.duckdb import factory as duckdb_factory
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.impl.postgres import factory as postgres_factory
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.impl.sqlalchemy import factory as sqlalchemy_factory
from dlt.destinations.impl.sqlalchemy import merge_job as sqlalchemy_merge
from dlt.destinations.impl.sqlalchemy import type_mapper as sqlalchemy_types
from dlt.destinations.impl.sqlalchemy.sqlalchemy_job_client import SqlalchemyJobClient
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltResource, DltSource, extract, extractors
from dlt.extract.hints import DltResourceHints
from dlt.extract.incremental import Incremental, IncrementalResourceWrapper
from dlt.extract.items_transform import ItemTransform, LimitItem
from dlt.extract.pipe import Pipe
from dlt.load import load as dlt_load
from dlt.load import utils as load_utils
from dlt.pipeline import state_sync
from dlt.sources import rest_api
from dlt.sources.helpers.requests import Session
from dlt.sources.helpers.rest_client.auth import APIKeyAuth, OAuth2AuthBase
from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.paginators import (
    BasePaginator,
    HeaderCursorPaginator,
    JSONLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from dlt.sources.rest_api import config_setup
from pyrate_limiter import InMemoryBucket, Limiter, Rate
from requests.adapters import BaseAdapter

import include
from include.apis.datasets import DATASETS
from include.configure.api_connection import ApiValues
from include.configure.provider import ConnectionsProvider, register_connections
from include.extract.auth import CookieKey
from include.extract.columnar.batches import ColumnarBatches
from include.extract.oauth2 import ClientCredentials
from include.extract.paginators.auto import GuessedPaginator
from include.extract.paginators.following import WholeFollowingPaginator
from include.extract.paginators.offset import WholeOffsetPaginator
from include.extract.paginators.page_number import WholePageNumberPaginator
from include.extract.paginators.proven import ProvenPaginator
from include.extract.paginators.references import CursorInHeaderPaginator, LinkPaginator
from include.extract.paginators.sliced import SlicedPaginator
from include.extract.request_budget import _ClockedBucket
from include.extract.response import ApiResponse
from include.extract.session import ApiAdapter, ApiSession
from include.extract.stream import PageStep
from include.extract.transport import CurlAdapter
from include.load.destinations.duckdb.client import (
    InterruptedSqlClient,
    LeanClient,
    _WithAllMemoryIfNeeded,
    lean_duckdb,
)
from include.load.destinations.mysql.client import ExactKeys, OneStepClient, OneStepJob, OneStepMerge, one_step_mysql
from include.load.destinations.postgres.client import (
    SideBySideClient,
    StagedStatementsJob,
    side_by_side_postgres,
)
from include.load.destinations.postgres.copy import JsonbTypeMapper, ParquetCopyJob
from include.load.destinations.sqlite.client import proven_sqlite
from include.load.interrupted import InterruptedClient
from include.load.known_table import forget_keys
from include.load.made_again import MadeAgain
from include.load.proof import ProvenDestination, ProvenStatementsJob
from include.load.sqlalchemy_client import ProvenSqlalchemyClient
from include.report.progress import ProgressLog

pytestmark = pytest.mark.usefixtures("dlt_home")

# Ours, what it extends, and what of it is overridden.
OVERRIDDEN: list[tuple[type, type, set[str]]] = [
    (
        SideBySideClient,
        PostgresClient,
        {
            "initialize_storage",
            "update_stored_schema",
            "get_stored_state",
            "create_load_job",
            "_make_create_table",
            "_get_column_hints_sql",
            "_update_schema_in_storage",
            "_commit_schema_update",
        },
    ),
    (LeanClient, DuckDbClient, {"create_load_job"}),
    (ProvenSqlalchemyClient, SqlalchemyJobClient, {"create_load_job"}),
    (OneStepClient, SqlalchemyJobClient, {"_create_merge_followup_jobs"}),
    # Stands before dlt's client of each.
    (MadeAgain, SqlJobClientBase, {"update_stored_schema"}),
    # Stands before dlt's SQL client of each.
    (InterruptedClient, SqlClientBase, {"open_connection", "close_connection"}),
    (InterruptedSqlClient, DuckDbSqlClient, {"execute_query"}),
    (ProvenStatementsJob, job_client_impl.SqlLoadJob, {"maybe_transaction"}),
    # Stands before dlt's factory of each.
    (ProvenDestination, reference.Destination, {"client", "destination_type"}),
    (OneStepMerge, sqlalchemy_merge.SqlalchemyMergeFollowupJob, {"generate_sql"}),
    (StagedStatementsJob, job_client_impl.SqlLoadJob, {"run"}),
    (OneStepJob, job_client_impl.SqlLoadJob, {"run"}),
    # What the two have in common stands before dlt's job of each.
    (_WithAllMemoryIfNeeded, DuckDbCopyJob, {"run"}),
    (_WithAllMemoryIfNeeded, job_client_impl.SqlLoadJob, {"run"}),
    (ParquetCopyJob, RunnableLoadJob, {"run"}),
    (side_by_side_postgres, postgres_factory.postgres, {"client_class", "_raw_capabilities"}),
    (lean_duckdb, duckdb_factory.duckdb, {"client_class", "_raw_capabilities"}),
    (one_step_mysql, sqlalchemy_factory.sqlalchemy, {"client_class", "adjust_capabilities"}),
    (proven_sqlite, sqlalchemy_factory.sqlalchemy, {"client_class"}),
    (JsonbTypeMapper, postgres_factory.PostgresTypeMapper, {"to_destination_type"}),
    (ExactKeys, sqlalchemy_types.MysqlVariantTypeMapper, {"db_type_from_text_type"}),
    (
        ConnectionsProvider,
        ConfigProvider,
        {"name", "supports_secrets", "supports_sections", "get_value"},
    ),
    (ColumnarBatches, ItemTransform, {"bind", "placement_affinity"}),
    (PageStep, ItemTransform, {"bind"}),
    # Stands before dlt's paginator of each.
    (ProvenPaginator, BasePaginator, {"update_state"}),
    (WholeOffsetPaginator, OffsetPaginator, {"init_request"}),
    (WholePageNumberPaginator, PageNumberPaginator, {"init_request", "update_request"}),
    (WholeFollowingPaginator, BasePaginator, {"init_request", "update_request"}),
    (SlicedPaginator, BasePaginator, {"init_request", "update_request"}),
    (GuessedPaginator, BasePaginator, {"init_request", "update_request", "update_state", "has_next_page"}),
    (CookieKey, APIKeyAuth, set()),
    (ClientCredentials, OAuth2AuthBase, set()),
    (
        ApiSession,
        Session,
        {"prepare_request", "merge_environment_settings", "send", "get_redirect_target", "should_strip_auth"},
    ),
    (ApiAdapter, BaseAdapter, {"send"}),
    (CurlAdapter, BaseAdapter, {"send", "close"}),
    (ApiResponse, requests.Response, {"content", "json", "iter_content", "close"}),
    (_ClockedBucket, InMemoryBucket, {"now"}),
    (LinkPaginator, JSONLinkPaginator, {"update_state"}),
    (CursorInHeaderPaginator, HeaderCursorPaginator, {"update_state"}),
    (ProgressLog, Collector, {"update", "_start", "_stop"}),
]

# What we extend by values alone (settings, options, fields of a dataclass), or as the language says.
NOT_OVERRIDDEN = (
    "typing",
    "abc",
    "dlt.common.configuration.specs.",
    "pydantic_settings.",
    "logging",
    "collections.",
    "builtins",
    "enum",
)


def parameters(method: Any) -> list[tuple[str, Any, Any]]:
    """Name, kind and default of each; nobody calls `*args` or `**kwargs` by name."""
    if isinstance(method, property):
        return [("property", None, None)]
    if isinstance(method, classmethod):
        return [("classmethod", None, None), *parameters(method.__func__)]
    if not callable(method):
        return [("value", isinstance(method, int | float), None)]
    return [
        ("" if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) else one.name, one.kind, one.default)
        for one in inspect.signature(method).parameters.values()
    ]


def takes_the_same(ours: Any, base: Any) -> bool:
    """Whoever calls `base` may call `ours` in its place; `*args, **kwargs` take what they are given."""
    own = parameters(ours)
    names_before_any = [
        one for one in own if one[1] not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if len(own) - len(names_before_any) == 2:
        return parameters(base)[: len(names_before_any)] == names_before_any
    return own == parameters(base)


def overridden_in(ours: type, base: type) -> set[str]:
    return {name for name in vars(ours) if hasattr(base, name) and not name.startswith(("__", "_abc_", "_is_protocol"))}


def test_overridden_methods_are_there_with_the_same_parameters() -> None:
    for ours, base, names in OVERRIDDEN:
        # What we override and what is listed here are the same: a new override gets its row.
        assert overridden_in(ours, base) == names, ours
        for name in names:
            assert takes_the_same(vars(ours)[name], inspect.getattr_static(base, name)), f"{ours}: {name}"


def test_dlt_calls_what_is_overridden() -> None:
    callers: dict[str, Any] = {
        "client.initialize_storage(": load_utils,
        "client.update_stored_schema(": load_utils,
        "client.create_load_job(": dlt_load,
        "client.get_stored_state(": state_sync,
        "self.open_connection()": SqlClientBase.__enter__,
        "self.close_connection()": SqlClientBase.__exit__,
        "self._get_column_hints_sql(": SqlJobClientBase._get_column_def_sql,
        "self._update_schema_in_storage(self.schema)": SqlJobClientBase._execute_schema_update_sql,
        "self._commit_schema_update(": SqlJobClientBase._update_schema_in_storage,
        "self._create_merge_followup_jobs(": SqlJobClientBase.create_table_chain_completed_followup_jobs,
        "self._make_create_table(": SqlJobClientBase._get_table_update_sql,
        "capabilities.supports_transactions": job_client_impl.SqlLoadJob.maybe_transaction,
        "capabilities.supports_truncate_command": SqlClientBase._truncate_table_sql,
        "self._split_fragments(": job_client_impl.SqlLoadJob.run,
        "self.adjust_capabilities(": reference.Destination.capabilities,
        'f"db_type_from_{sc_t}_type"': sqlalchemy_types.SqlalchemyTypeMapper.to_destination_type,
    }
    for call, caller in callers.items():
        assert call in inspect.getsource(caller), call


def test_a_factory_asks_for_its_client_and_its_capabilities() -> None:
    schema = Schema("seams")
    for factory, client in (
        (lean_duckdb("seams.duckdb"), LeanClient),
        (side_by_side_postgres(_NOWHERE), SideBySideClient),
    ):
        configuration = factory.spec()._bind_dataset_name("seams")
        made = factory.client(schema, configuration)
        assert type(made) is client
        # dlt's client makes its own SQL client; what asks it gets ours.
        assert isinstance(made.sql_client, InterruptedClient)
    assert one_step_mysql(_NOWHERE_MYSQL).client_class is OneStepClient
    assert "client_class(" in inspect.getsource(reference.Destination.client)
    assert lean_duckdb("seams.duckdb").capabilities().loader_parallelism_strategy == "sequential"
    assert side_by_side_postgres(_NOWHERE).capabilities().type_mapper is JsonbTypeMapper


# Nothing connects to them.
_NOWHERE = "postgresql://somebody:nothing@127.0.0.1:1/nowhere"
_NOWHERE_MYSQL = "mysql+pymysql://somebody:nothing@127.0.0.1:1/nowhere"


def test_the_statements_of_a_merge_are_made_in_one_place_and_run_in_one_transaction() -> None:
    for job in (sql_jobs.SqlMergeFollowupJob, sql_jobs.SqlStagingReplaceFollowupJob):
        assert list(inspect.signature(job.generate_sql).parameters) == ["table_chain", "sql_client"]
    assert "cls.generate_sql(table_chain, sql_client)" in inspect.getsource(sql_jobs.SqlFollowupJob.from_table_chain)
    # The lock is taken before the first statement, and lasts as long as the transaction does.
    assert "with self.maybe_transaction(sql)" in inspect.getsource(job_client_impl.SqlLoadJob.run)
    assert "self.capabilities.supports_multiple_statements" in inspect.getsource(SqlClientBase.execute_many)
    capabilities = side_by_side_postgres(_NOWHERE).capabilities()
    assert capabilities.supports_ddl_transactions
    assert capabilities.supports_transactions
    assert capabilities.supports_multiple_statements


def test_the_newest_schema_is_the_one_that_was_inserted_last() -> None:
    stored = inspect.getsource(SqlJobClientBase.get_stored_schema)
    # Of one name, and of all where none is told.
    assert stored.count("ORDER BY {c_inserted_at} DESC") == 2
    assert '"inserted_at"' in stored


def test_a_stored_schema_has_its_values_in_this_order() -> None:
    pipeline = dlt.pipeline("seams", destination="duckdb")
    pipeline.extract([{"id": 1}], table_name="items")
    with pipeline.destination_client() as client:
        columns: str = client.version_table_schema_columns  # type: ignore[attr-defined]
    in_table = ["version", "engine_version", "inserted_at", "schema_name", "version_hash", "schema"]
    assert [name.strip('"') for name in columns.split(", ")] == in_table
    read = "version_hash, schema_name, version, engine_version, inserted_at, schema"
    assert list(inspect.signature(StorageSchemaInfo).parameters) == read.split(", ")


def test_a_table_is_created_by_these_words() -> None:
    factory = postgres_factory.postgres(_NOWHERE)
    client: Any = factory.client(Schema("seams"), factory.spec()._bind_dataset_name("seams"))
    assert client._make_create_table("items", {"name": "items"}).startswith("CREATE TABLE ")


def test_a_stored_state_has_its_values_in_this_order() -> None:
    order = "version, engine_version, pipeline_name, state, created_at, version_hash, _dlt_load_id"
    assert list(inspect.signature(StateInfo).parameters) == order.split(", ")


def test_a_load_job_knows_its_client_its_file_and_its_table() -> None:
    class Job(RunnableLoadJob):
        def run(self) -> None:
            ran.append((self._job_client, self._file_path, self.load_table_name))

    class Client:
        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *_: object) -> None: ...

        def prepare_load_job_execution(self, _: object) -> None: ...

    ran: list[Any] = []
    path = "/tmp/items.4f3a.0.parquet"
    job, client = Job(path), Client()
    job._load_table = {"name": "items"}  # type: ignore[typeddict-item]
    job.run_managed(client, SimpleNamespace(release=lambda: None))  # type: ignore[arg-type]
    assert ran == [(client, path, "items")]


def test_dlt_takes_json_for_jsonb_by_the_file_format_of_the_table() -> None:
    mapper = postgres_factory.PostgresTypeMapper(side_by_side_postgres(_NOWHERE).capabilities())
    column: Any = {"name": "c", "data_type": "json"}
    by_format = {name: mapper.to_destination_type(column, {"file_format": name}) for name in ("parquet", None)}  # type: ignore[typeddict-item]
    assert by_format == {"parquet": "json", None: "jsonb"}


def test_connections_to_one_duckdb_file_share_its_memory_limit(dlt_home: Path) -> None:
    path = str(dlt_home / "shared.duckdb")
    with duckdb.connect(path) as held, duckdb.connect(path) as other:
        held.execute("SET GLOBAL memory_limit = '100MB'")
        assert other.execute("SELECT current_setting('memory_limit')").fetchall() == [("95.3 MiB",)]


class _Answers(ConfigProvider):
    """A provider that knows the options of one source."""

    def __init__(self, name: str, **values: Any) -> None:
        self._name, self._values = name, values

    @property
    def name(self) -> str:
        return self._name

    @property
    def supports_secrets(self) -> bool:
        return True

    @property
    def supports_sections(self) -> bool:
        return True

    def get_value(self, key: str, hint: type[Any], pipeline_name: str | None, *sections: str) -> tuple[Any, str]:
        return self._values.get(key), key


def test_the_first_provider_in_the_list_is_asked_first() -> None:
    ours = register_connections(DATASETS, ApiValues("http://127.0.0.1", "key", None, {}), None)
    providers = Container()[PluggableRunContext].providers
    assert providers.providers[0] is ours
    assert [type(one) for one in providers.providers].count(ConnectionsProvider) == 1
    providers.providers[:] = [_Answers("first", seam="first"), *providers.providers[1:], _Answers("last", seam="last")]
    assert dlt.config["seam"] == "first"


def test_a_provider_is_asked_by_key_and_sections() -> None:
    (first, *_) = Container()[PluggableRunContext].providers.providers
    asked = list(inspect.signature(first.get_value).parameters)
    assert asked == ["key", "hint", "pipeline_name", "sections"]


def test_dlt_reads_a_declaration_into_merged_resources_and_their_parents() -> None:
    from dlt.sources.rest_api.config_setup import build_resource_dependency_graph

    child = {"name": "children", "endpoint": {"path": "parents/{resources.parents.id}/children"}}
    defaults: Any = {"primary_key": "id"}
    graph, merged, resolved = build_resource_dependency_graph(defaults, ["parents", child])  # type: ignore[list-item]
    assert list(graph.static_order()) == ["parents", "children"]
    assert {one["primary_key"] for one in merged.values()} == {"id"}  # type: ignore[index]
    assert [one.resolve_config["resource"] for one in resolved["children"] or ()] == ["parents"]


def test_children_hear_the_resource_that_they_are_given() -> None:
    reads: list[str] = []

    def read() -> Iterator[list[int]]:
        reads.append("once")
        yield [1, 2]

    parents = dlt.resource(read, name="parents")
    children = dlt.transformer(lambda items: [f"child of {one}" for one in items], data_from=parents, name="children")
    pages = parents.with_name("parents_pages").add_map(lambda number: number * 10)
    assert (pages.name, parents.name) == ("parents_pages", "parents")
    children.pipe_data_from(pages)
    rows = dlt.transformer(lambda items: items, data_from=pages, name="parents")
    source = DltSource(Schema("seams"), "seams", [children, rows])
    assert set(source.resources.selected) == {"children", "parents"}
    assert sorted(map(str, source)) == ["10", "20", "child of 10", "child of 20"]
    assert reads == ["once"]


def test_keys_that_are_forgotten_stay_forgotten() -> None:
    pipeline = dlt.pipeline("seams", destination="duckdb")
    columns: Any = {"id": {"merge_key": True}}
    pipeline.extract([{"id": 1}], table_name="items", primary_key="id", columns=columns)
    table = pipeline.default_schema.tables["items"]
    assert {"primary_key", "merge_key"} <= set(table["columns"]["id"])
    forget_keys(table)
    # The pipeline's schema is the very object that was changed, and dlt adds to it.
    pipeline.extract([{"id": 2}], table_name="items")
    again = pipeline.default_schema.tables["items"]["columns"]["id"]
    assert not {"primary_key", "merge_key"} & set(again)


def test_a_resource_takes_hints_for_one_of_its_tables() -> None:
    resource = dlt.resource([{"id": 1}], name="items", primary_key="id")
    hints = dlt.mark.make_hints(
        table_name="items__tags", parent_table_name="items", columns={"value": {"name": "value"}}
    )
    resource._set_hints(hints, create_table_variant=True)
    child: Any = resource.compute_table_schema(meta=dlt.mark.with_table_name([], "items__tags").meta)
    assert (child["name"], child["parent"]) == ("items__tags", "items")
    # Nor does the child get the keys of the root.
    assert not [column for column in child["columns"].values() if column.get("primary_key")]


def test_dlts_metrics_ask_each_table_for_its_resource() -> None:
    assert 'source.schema.get_table(table_name)["resource"]' in inspect.getsource(extract.Extract._compute_metrics)


def test_dlt_warns_of_other_types_in_these_words() -> None:
    source = " ".join(inspect.getsource(extractors).replace('"', " ").split())
    assert source.count("when merging arrow schema") == 2
    assert "when merging arrow schema with dlt schema" in source


def test_dlt_copies_the_configuration_and_the_paginator() -> None:
    assert "deepcopy(config)" in inspect.getsource(rest_api._validate_config)
    assert "paginator=deepcopy(paginator)" in inspect.getsource(config_setup)


def test_a_rest_client_asks_its_session_for_three_things() -> None:
    source = inspect.getsource(RESTClient._send_request)
    asked = {
        line.partition("self.session.")[2].partition("(")[0] for line in source.splitlines() if "self.session." in line
    }
    assert asked == {"prepare_request", "merge_environment_settings", "send"}


def test_each_hop_of_a_redirect_goes_through_the_session() -> None:
    source = inspect.getsource(requests.Session.resolve_redirects)
    hop = source.partition("self.send(")[2].partition(")")[0]
    # So a hop is told from a page, which alone is tried again.
    assert "allow_redirects=False" in hop
    # Each place is asked for before the key goes there.
    assert source.count("self.get_redirect_target(resp)") == 2
    assert "self.should_strip_auth(" in inspect.getsource(requests.Session.rebuild_auth)


def test_a_response_is_read_by_its_content_and_has_its_cookies_here() -> None:
    class Whole(requests.Response):
        content = b"body"  # type: ignore[assignment]

    response = Whole()
    response.encoding = "utf-8"
    assert response.text == "body"
    # What follows a redirect or a page reads the rest of it, and finds it read.
    assert "resp.content" in inspect.getsource(requests.Session.resolve_redirects)
    assert "r.content" in inspect.getsource(requests.Session.send)
    headers = requests.models.CaseInsensitiveDict({"Set-Cookie": "a=1"})
    message = SimpleNamespace(get_all=lambda name, default=None: [headers[name]] if name in headers else default)
    jar = requests.cookies.RequestsCookieJar()
    raw = SimpleNamespace(_original_response=SimpleNamespace(msg=message))
    requests.cookies.extract_cookies_to_jar(jar, requests.Request("GET", "http://127.0.0.1/").prepare(), raw)
    assert jar.get_dict() == {"a": "1"}


def test_a_limiter_asks_its_bucket_for_the_time() -> None:
    class Clocked(InMemoryBucket):
        def now(self) -> int:
            return milliseconds[-1]

    milliseconds = [1_000]
    limiter = Limiter(Clocked([Rate(1, 500)]))
    assert limiter.try_acquire("seams", blocking=False)
    assert not limiter.try_acquire("seams", blocking=False)
    milliseconds.append(1_501)
    assert limiter.try_acquire("seams", blocking=False)


def test_a_step_stands_behind_the_limit_and_sees_that_it_is_reached() -> None:
    class Last(ItemTransform[Any, Any]):
        placement_affinity = ColumnarBatches.placement_affinity

        def bind(self, pipe: Any) -> "Last":
            self.limits = [step for step in (pipe[at] for at in range(len(pipe))) if isinstance(step, LimitItem)]
            return self

        def __call__(self, item: Any, meta: Any = None) -> Any:
            seen.append((item, [limit.exhausted for limit in self.limits]))
            return item

    seen: list[Any] = []
    pages = dlt.resource([["a"], ["b"], ["c"]], name="items").add_step(Last(lambda item: item)).add_limit(2)
    assert list(pages) == ["a", "b"]
    assert seen == [(["a"], [False]), (["b"], [True])]


def test_a_resource_without_its_incremental_step_gives_what_was_asked_for() -> None:
    window = dlt.sources.incremental("at", initial_value="b", end_value="c")

    def items(since: Any = window) -> Any:
        yield [{"at": since.last_value}, {"at": "a"}, {"at": since.end_value}]

    filtered, whole = dlt.resource(items, name="items"), dlt.resource(items, name="items")
    whole._pipe.remove_by_type(Incremental, IncrementalResourceWrapper)
    assert list(filtered) == [{"at": "b"}]
    assert list(whole) == [{"at": "b"}, {"at": "a"}, {"at": "c"}]


def test_a_schema_knows_the_names_of_dlts_own_columns() -> None:
    names: Any = Schema("seams").data_item_normalizer
    known = [
        getattr(names, f"c_{name}")
        for name in ["dlt_id", "dlt_load_id", "dlt_root_id", "dlt_parent_id", "dlt_list_idx"]
    ]
    assert known == ["_dlt_id", "_dlt_load_id", "_dlt_root_id", "_dlt_parent_id", "_dlt_list_idx"]


CANARIES: dict[str, Callable[..., None]] = {
    name: value for name, value in list(globals().items()) if name.startswith("test_") and callable(value)
}


# --- each canary, seen red


def _other(*_: Any, **__: Any) -> Any:
    """What an inside could become: other parameters, and another text."""


def _without(owner: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.delattr(owner, name)


def _with(owner: Any, name: str, value: Any = _other) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def _new(owner: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """In place of what each object has of its own."""
    return lambda patch: patch.setattr(owner, name, value, raising=False)


_connect = duckdb.connect
_pipe_data_from = DltResource.pipe_data_from


def _bound_once(self: DltResource, data_from: Any) -> None:
    if (self.name, data_from.name) != ("children", "parents_pages"):
        _pipe_data_from(self, data_from)


# The canary, and a change inside the library.
CHANGES: list[tuple[str, Callable[[pytest.MonkeyPatch], None]]] = [
    *(
        ("test_overridden_methods_are_there_with_the_same_parameters", _with(base, name))
        for _, base, names in OVERRIDDEN
        for name in sorted(names)
    ),
    ("test_dlt_calls_what_is_overridden", _with(SqlJobClientBase, "create_table_chain_completed_followup_jobs")),
    ("test_dlt_calls_what_is_overridden", _with(SqlJobClientBase, "_get_column_def_sql")),
    (
        "test_a_factory_asks_for_its_client_and_its_capabilities",
        _with(lean_duckdb, "client", lambda *_: SimpleNamespace()),
    ),
    (
        "test_the_statements_of_a_merge_are_made_in_one_place_and_run_in_one_transaction",
        _with(job_client_impl.SqlLoadJob, "run"),
    ),
    (
        "test_the_statements_of_a_merge_are_made_in_one_place_and_run_in_one_transaction",
        _with(sql_jobs.SqlMergeFollowupJob, "generate_sql"),
    ),
    ("test_the_newest_schema_is_the_one_that_was_inserted_last", _with(SqlJobClientBase, "get_stored_schema")),
    ("test_a_stored_schema_has_its_values_in_this_order", _with(StorageSchemaInfo, "__new__")),
    (
        "test_a_stored_schema_has_its_values_in_this_order",
        _new(DuckDbClient, "version_table_schema_columns", property(lambda _: "schema, version", lambda *_: None)),
    ),
    (
        "test_a_table_is_created_by_these_words",
        _with(PostgresClient, "_make_create_table", lambda *_: "CREATE OR REPLACE"),
    ),
    ("test_a_stored_state_has_its_values_in_this_order", _with(StateInfo, "__init__")),
    ("test_a_load_job_knows_its_client_its_file_and_its_table", _with(RunnableLoadJob, "run_managed")),
    (
        "test_dlt_takes_json_for_jsonb_by_the_file_format_of_the_table",
        _with(postgres_factory.PostgresTypeMapper, "to_destination_type", lambda *_: "jsonb"),
    ),
    (
        "test_connections_to_one_duckdb_file_share_its_memory_limit",
        _with(duckdb, "connect", lambda _: _connect(":memory:")),
    ),
    (
        "test_the_first_provider_in_the_list_is_asked_first",
        _with(
            _Answers,
            "get_value",
            lambda self, key, *_: ("last" if key == "seam" and self.name == "last" else None, key),
        ),
    ),
    (
        "test_a_provider_is_asked_by_key_and_sections",
        _with(EnvironProvider, "get_value", lambda self, key, *sections: (None, "")),
    ),
    (
        "test_dlt_reads_a_declaration_into_merged_resources_and_their_parents",
        _with(config_setup, "build_resource_dependency_graph", lambda *given: ([], {}, {})),
    ),
    ("test_children_hear_the_resource_that_they_are_given", _with(DltResource, "pipe_data_from", _bound_once)),
    ("test_children_hear_the_resource_that_they_are_given", _with(DltResource, "with_name", lambda self, _: self)),
    (
        "test_keys_that_are_forgotten_stay_forgotten",
        _with(dlt.Pipeline, "default_schema", property(lambda self: self.schemas[self.default_schema_name].clone())),
    ),
    ("test_a_resource_takes_hints_for_one_of_its_tables", _without(DltResourceHints, "_set_hints")),
    ("test_a_resource_takes_hints_for_one_of_its_tables", _with(DltResourceHints, "_set_hints")),
    ("test_dlts_metrics_ask_each_table_for_its_resource", _with(extract.Extract, "_compute_metrics")),
    ("test_dlt_warns_of_other_types_in_these_words", _with(inspect, "getsource", lambda _: "in other words")),
    ("test_dlt_copies_the_configuration_and_the_paginator", _with(rest_api, "_validate_config")),
    ("test_a_rest_client_asks_its_session_for_three_things", _with(RESTClient, "_send_request")),
    ("test_each_hop_of_a_redirect_goes_through_the_session", _with(requests.Session, "resolve_redirects")),
    ("test_each_hop_of_a_redirect_goes_through_the_session", _with(requests.Session, "rebuild_auth")),
    (
        "test_a_response_is_read_by_its_content_and_has_its_cookies_here",
        _with(requests.Response, "text", property(lambda _: "")),
    ),
    (
        "test_a_response_is_read_by_its_content_and_has_its_cookies_here",
        _with(requests.Session, "send"),
    ),
    (
        "test_a_response_is_read_by_its_content_and_has_its_cookies_here",
        _with(requests.cookies, "extract_cookies_to_jar", lambda *_: None),
    ),
    ("test_a_limiter_asks_its_bucket_for_the_time", _with(Limiter, "try_acquire", lambda *_, **__: True)),
    ("test_a_step_stands_behind_the_limit_and_sees_that_it_is_reached", _with(LimitItem, "placement_affinity", 1.3)),
    (
        "test_a_step_stands_behind_the_limit_and_sees_that_it_is_reached",
        _new(LimitItem, "exhausted", property(lambda _: False, lambda *_: None)),
    ),
    (
        "test_a_resource_without_its_incremental_step_gives_what_was_asked_for",
        _with(Pipe, "remove_by_type", lambda *_: None),
    ),
    (
        "test_a_schema_knows_the_names_of_dlts_own_columns",
        _new(Schema, "data_item_normalizer", property(lambda _: SimpleNamespace(), lambda *_: None)),
    ),
]


@pytest.mark.parametrize(
    ("canary", "change"), CHANGES, ids=[f"{number}-{name}" for number, (name, _) in enumerate(CHANGES)]
)
def test_a_canary_turns_red(
    canary: str, change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, dlt_home: Path
) -> None:
    available: dict[str, Any] = {"monkeypatch": monkeypatch, "dlt_home": dlt_home}
    needed = {name: available[name] for name in inspect.signature(CANARIES[canary]).parameters}
    change(monkeypatch)
    with pytest.raises((AssertionError, AttributeError, KeyError)):
        CANARIES[canary](**needed)


def test_each_canary_was_seen_red() -> None:
    assert {name for name, _ in CHANGES} == set(CANARIES)


def test_each_override_has_its_row() -> None:
    listed = {ours for ours, *_ in OVERRIDDEN}
    for found in pkgutil.walk_packages(include.__path__, "include."):
        # The other two know Airflow: tests/dags.
        if found.name in (
            "include.pipeline",
            "include.api_dag",
            "include.decide.retry_policy",
            "include.report.assets",
        ):
            continue
        module = importlib.import_module(found.name)
        classes = [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]
        for ours in classes:
            base = next(one for one in ours.__mro__ if not one.__module__.startswith("include."))
            if not base.__module__.startswith(NOT_OVERRIDDEN) and overridden_in(ours, base):
                assert ours in listed, ours
