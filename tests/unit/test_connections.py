"""The mapping from Airflow connections to dlt's values, checked by resolving dlt's own configuration."""

import json
import os
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dlt
import pytest
from airflow.sdk import Connection
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import EnvironProvider
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from sqlalchemy.engine import make_url

from include.apis.api import DESTINATION_CONN_ID
from include.apis.datasets import DATASETS
from include.configure.api_connection import api_values
from include.errors import ConfigurationError
from include.load import destinations, kind
from include.load.files import DELTA_REQUIREMENT
from include.load.kind import DestinationValues
from include.load.kinds import kind_of, kinds

PROJECT = Path(__file__).parents[2]
SECRET = "s3cr3t/+key=%&"


@pytest.fixture(autouse=True)
def _environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """dlt looks into nothing but the environment: no config files, and no variables in Airflow's database."""
    monkeypatch.setenv("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    for name in [name for name in os.environ if name.startswith("DESTINATION__")]:
        monkeypatch.delenv(name)
    context = Container()[PluggableRunContext]
    monkeypatch.setattr(context, "providers", ConfigProvidersContainer([EnvironProvider()]))


def as_fields(fields: dict[str, Any]) -> Connection:
    extra = fields.get("extra")
    return Connection(
        conn_id=DESTINATION_CONN_ID, **{**fields, "extra": json.dumps(extra) if extra is not None else None}
    )


def through_uri(fields: dict[str, Any]) -> Connection:
    return Connection.from_uri(as_fields(fields).get_uri(), conn_id=DESTINATION_CONN_ID)


def through_json(fields: dict[str, Any]) -> Connection:
    return Connection.from_json(as_fields(fields).as_json(), conn_id=DESTINATION_CONN_ID)


def destination_values(connection: Connection) -> DestinationValues:
    return kind_of(connection).values_of(connection)


def missing_requirement(connection: Connection) -> str | None:
    return kind_of(connection).missing_requirement(destination_values(connection))


def resolved(values: DestinationValues) -> Any:
    """dlt's own configuration of the destination; raises where dlt would refuse to load with these values."""
    destination = getattr(dlt.destinations, values.destination_type)(credentials=values.credentials, **values.options)
    return destination.configuration(destination.spec()._bind_dataset_name(dataset_name="datasets_raw"))


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__)


@dataclass(frozen=True)
class Case:
    """A complete connection, what dlt makes of it, and the fields that it cannot do without."""

    name: str
    fields: dict[str, Any]
    dialect: str
    resolves_to: dict[str, Any]
    required: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = (SECRET,)


SERVER = {
    "host": "db.example.com",
    "port": 1234,
    "login": "loader",
    "password": SECRET,
    "schema": "warehouse",
}
SERVER_RESOLVED = {
    "host": "db.example.com",
    "port": 1234,
    "username": "loader",
    "password": SECRET,
    "database": "warehouse",
}
SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "my-project",
    "private_key_id": "id-of-key",
    "private_key": SECRET,
    "client_email": "loader@my-project.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
SERVICE_ACCOUNT_RESOLVED = {
    "project_id": "my-project",
    "private_key": f"{SECRET}\n",
    "client_email": "loader@my-project.iam.gserviceaccount.com",
}
SNOWFLAKE = {
    "conn_type": "snowflake",
    "login": "LOADER",
    "password": SECRET,
    "extra": {"account": "org-account", "database": "DB", "warehouse": "WH", "role": "LOADER_ROLE"},
}
SNOWFLAKE_RESOLVED = {
    "host": "org-account",
    "database": "DB",
    "warehouse": "WH",
    "role": "LOADER_ROLE",
    "username": "LOADER",
}
DATABRICKS = {
    "conn_type": "databricks",
    "host": "https://dbc.cloud.databricks.com",
    "password": SECRET,
    "extra": {"http_path": "/sql/1.0/warehouses/abc", "catalog": "main", "staging_volume_name": "main.x.vol"},
}
DATABRICKS_RESOLVED = {
    "server_hostname": "dbc.cloud.databricks.com",
    "http_path": "/sql/1.0/warehouses/abc",
    "catalog": "main",
}
AWS = {
    "conn_type": "aws",
    "login": "AKIAEXAMPLE",
    "password": SECRET,
    "extra": {
        "bucket_url": "s3://bucket/folder",
        "region_name": "eu-central-1",
        "endpoint_url": "http://127.0.0.1:9000",
        "aws_session_token": "t0ken-of-session",
    },
}

CASES = [
    Case(
        "postgres",
        {
            "conn_type": "postgres",
            **SERVER,
            "extra": {"sslmode": "require", "connect_timeout": 7, "cursor": "x", "create_indexes": False},
        },
        "postgres",
        {**SERVER_RESOLVED, "query": {"sslmode": "require"}, "connect_timeout": 7},
        ("host", "login", "schema"),
        options={"create_indexes": False},
    ),
    Case(
        "postgres without password",
        {"conn_type": "postgres", **SERVER, "password": None},
        "postgres",
        {**SERVER_RESOLVED, "password": ""},
        ("host", "login", "schema"),
        secrets=(),
    ),
    Case(
        "duckdb",
        {"conn_type": "duckdb", "host": "/data/datasets.duckdb", "extra": {"read_only": True}},
        "duckdb",
        {"database": "/data/datasets.duckdb", "read_only": True},
        ("host",),
        secrets=(),
    ),
    Case(
        "mysql",
        {
            "conn_type": "mysql",
            **SERVER,
            "extra": {"charset": "utf8mb4", "ssl": {"ca": "/ca.pem"}, "create_unique_indexes": True},
        },
        "mysql",
        {
            **SERVER_RESOLVED,
            "drivername": "mysql+pymysql",
            "query": {"charset": "utf8mb4", "ssl_ca": "/ca.pem"},
        },
        ("host", "login"),
        options={"create_unique_indexes": True},
    ),
    Case(
        "sqlite",
        {"conn_type": "sqlite", "host": "/data/datasets.db"},
        "sqlite",
        {"drivername": "sqlite", "database": "/data/datasets.db"},
        ("host",),
        secrets=(),
    ),
    Case(
        "snowflake",
        {**SNOWFLAKE, "extra": {**SNOWFLAKE["extra"], "region": "eu-west-1", "insecure_mode": "true"}},
        "snowflake",
        {
            **SNOWFLAKE_RESOLVED,
            "host": "org-account.eu-west-1",
            "password": SECRET,
            "query": {"insecure_mode": "true"},
        },
        ("extra.account", "extra.database", "login", "password"),
    ),
    Case(
        "snowflake with a key",
        {**SNOWFLAKE, "extra": {**SNOWFLAKE["extra"], "private_key_content": "PEM-OF-KEY"}},
        "snowflake",
        {
            **SNOWFLAKE_RESOLVED,
            "private_key": "PEM-OF-KEY",
            "private_key_passphrase": SECRET,
            "password": None,
        },
        ("extra.account", "extra.database", "login"),
        secrets=("PEM-OF-KEY", SECRET),
    ),
    Case(
        "snowflake with OAuth",
        {
            **SNOWFLAKE,
            "password": None,
            "extra": {**SNOWFLAKE["extra"], "authenticator": "oauth", "token": SECRET},
        },
        "snowflake",
        {**SNOWFLAKE_RESOLVED, "authenticator": "oauth", "token": SECRET},
        ("extra.account", "extra.database", "extra.token"),
    ),
    Case(
        "snowflake in Airflow's older form",
        {**SNOWFLAKE, "extra": {f"extra__snowflake__{k}": v for k, v in SNOWFLAKE["extra"].items()}},
        "snowflake",
        {**SNOWFLAKE_RESOLVED, "password": SECRET, "query": None},
        ("extra.account", "extra.database", "login", "password"),
    ),
    Case(
        "google_cloud_platform",
        {
            "conn_type": "google_cloud_platform",
            "extra": {"keyfile_dict": json.dumps(SERVICE_ACCOUNT), "project": "billed", "location": "EU"},
        },
        "bigquery",
        SERVICE_ACCOUNT_RESOLVED,
        (),
        options={"project_id": "billed", "location": "EU"},
    ),
    Case(
        "google_cloud_platform in Airflow's older form",
        {
            "conn_type": "google_cloud_platform",
            "extra": {"extra__google_cloud_platform__keyfile_dict": SERVICE_ACCOUNT},
        },
        "bigquery",
        SERVICE_ACCOUNT_RESOLVED,
        ("extra.keyfile_dict",),
    ),
    Case(
        "google_cloud_platform as a user",
        {
            "conn_type": "google_cloud_platform",
            "extra": {
                "keyfile_dict": {
                    "type": "authorized_user",
                    "client_id": "id-of-client",
                    "client_secret": SECRET,
                    "refresh_token": "t0ken-to-refresh",
                },
                "project": "my-project",
            },
        },
        "bigquery",
        {"project_id": "my-project", "client_id": "id-of-client", "client_secret": SECRET},
        (),
        options={"project_id": "my-project"},
        secrets=(SECRET, "t0ken-to-refresh"),
    ),
    Case(
        "redshift",
        {
            "conn_type": "redshift",
            **SERVER,
            "extra": {"sslmode": "verify-full", "staging_iam_role": "arn:aws:x"},
        },
        "redshift",
        {**SERVER_RESOLVED, "query": {"sslmode": "verify-full"}},
        ("host", "login", "password", "schema"),
        options={"staging_iam_role": "arn:aws:x"},
    ),
    Case(
        "databricks",
        DATABRICKS,
        "databricks",
        {**DATABRICKS_RESOLVED, "access_token": SECRET},
        ("host", "password", "extra.http_path", "extra.catalog"),
        options={"staging_volume_name": "main.x.vol"},
    ),
    Case(
        "databricks as a service principal",
        {**DATABRICKS, "login": "id-of-client"},
        "databricks",
        {**DATABRICKS_RESOLVED, "client_id": "id-of-client", "client_secret": SECRET, "access_token": None},
        ("host", "password", "extra.http_path", "extra.catalog"),
        options={"staging_volume_name": "main.x.vol"},
    ),
    Case(
        "mssql",
        {
            "conn_type": "mssql",
            **SERVER,
            "extra": {"driver": "ODBC Driver 18 for SQL Server", "TrustServerCertificate": "yes"},
        },
        "mssql",
        {
            **SERVER_RESOLVED,
            "driver": "ODBC Driver 18 for SQL Server",
            "query": {"TrustServerCertificate": "yes"},
        },
        ("host", "login", "password", "schema"),
    ),
    Case(
        "clickhouse",
        {"conn_type": "clickhouse", **SERVER, "extra": {"http_port": 8444, "verify": "false"}},
        "clickhouse",
        {**SERVER_RESOLVED, "http_port": 8444, "secure": 1, "query": {"verify": "false"}},
        ("host",),
    ),
    Case(
        "clickhouse without TLS",
        {"conn_type": "clickhouse", "host": "db.example.com", "extra": {"secure": False}},
        "clickhouse",
        {"host": "db.example.com", "port": 9000, "http_port": 8123, "secure": 0, "username": "default"},
        ("host",),
        secrets=(),
    ),
    Case(
        "aws",
        AWS,
        "filesystem",
        {
            "aws_access_key_id": "AKIAEXAMPLE",
            "aws_secret_access_key": SECRET,
            "aws_session_token": "t0ken-of-session",
            "region_name": "eu-central-1",
            "endpoint_url": "http://127.0.0.1:9000",
        },
        ("login", "password", "extra.bucket_url"),
        options={"bucket_url": "s3://bucket/folder"},
        secrets=(SECRET, "t0ken-of-session"),
    ),
    Case(
        "fs",
        {"conn_type": "fs", "extra": {"path": "/data/files", "layout": "{table_name}/{file_id}.{ext}"}},
        "filesystem",
        {},
        ("extra.path",),
        options={"bucket_url": "/data/files", "layout": "{table_name}/{file_id}.{ext}"},
        secrets=(),
    ),
]


def without(fields: dict[str, Any], dropped: str) -> dict[str, Any]:
    """The fields with one emptied; `extra.x` also in Airflow's older spelling."""
    if not dropped.startswith("extra."):
        return {**fields, dropped: None}
    name = dropped.removeprefix("extra.")
    names = {name, f"extra__{fields['conn_type']}__{name}"}
    return {**fields, "extra": {k: v for k, v in fields["extra"].items() if k not in names}}


@pytest.mark.parametrize("form", [as_fields, through_uri, through_json])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dlt_resolves_a_complete_connection(case: Case, form: Callable[[dict[str, Any]], Connection]) -> None:
    values = destination_values(form(case.fields))
    config = resolved(values)
    assert config.destination_type == values.destination_type
    assert kind_of(form(case.fields)).dialect == case.dialect
    assert {name: getattr(config.credentials, name) for name in case.resolves_to} == case.resolves_to
    assert values.options == case.options
    for name in case.options.keys() - {"bucket_url"}:
        assert getattr(config, name) == case.options[name]
    assert values.secrets == case.secrets
    assert not any(secret in repr(values) for secret in case.secrets)


@pytest.mark.parametrize(
    ("case", "dropped"),
    [pytest.param(case, name, id=f"{case.name}-{name}") for case in CASES for name in case.required],
)
def test_each_missing_field_is_named_with_its_connection(case: Case, dropped: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        destination_values(as_fields(without(case.fields, dropped)))
    sentence = f"Connection `{DESTINATION_CONN_ID}`: the field `{dropped}` is missing: put "
    assert str(caught.value).startswith(sentence)
    assert not any(secret in everything_said(caught.value) for secret in case.secrets)


def test_every_supported_type_has_a_case_and_a_requirement() -> None:
    types = set(kinds())
    assert {case.fields["conn_type"] for case in CASES} == types
    assert {conn_type for conn_type, kind in kinds().items() if len(kind.requirement) == 2} == types


def test_the_mysql_url_is_one_sqlalchemy_reads() -> None:
    case = next(case for case in CASES if case.name == "mysql")
    url = make_url(resolved(destination_values(as_fields(case.fields))).credentials.to_native_representation())
    assert (url.get_backend_name(), url.password, url.port) == ("mysql", SECRET, 1234)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"conn_type": "oracle", "password": SECRET}, "type"),
        ({"password": SECRET}, "type"),
        ({"conn_type": "postgres", **SERVER, "extra": [SECRET]}, "extra"),
        ({"conn_type": "postgres", **SERVER, "extra": {"iam": True}}, "extra.iam"),
        ({"conn_type": "postgres", **SERVER, "extra": {"iam": "true"}}, "extra.iam"),
        ({"conn_type": "mysql", **SERVER, "extra": {"ssl_mode": "REQUIRED"}}, "extra.ssl_mode"),
        ({"conn_type": "duckdb", "host": ":memory:"}, "host"),
        ({"conn_type": "duckdb", "host": "data", "schema": "datasets.duckdb"}, "schema"),
        ({"conn_type": "sqlite", "host": ":memory:"}, "host"),
        ({**AWS, "extra": {"bucket_url": "/folder"}}, "extra.bucket_url"),
        ({**AWS, "extra": {**AWS["extra"], "role_arn": "arn:aws:iam::1:role/x"}}, "extra.role_arn"),
        (
            {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": f"{{{SECRET}"}},
            "extra.keyfile_dict",
        ),
        (
            {"conn_type": "google_cloud_platform", "extra": {"key_path": "/no/such/file"}},
            "extra.key_path",
        ),
        (
            {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": {"private_key": SECRET}}},
            "extra.keyfile_dict.project_id",
        ),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_with_its_field_and_without_its_value(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Connection `{DESTINATION_CONN_ID}`.*`{named}`") as caught:
        destination_values(as_fields(fields))
    assert SECRET not in everything_said(caught.value)


def test_an_unknown_type_is_answered_with_the_supported_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        destination_values(as_fields({"conn_type": "oracle"}))
    assert all(f"`{conn_type}`" in str(caught.value) for conn_type in kinds())


def test_an_extra_that_is_not_json_is_refused_not_lost() -> None:
    text = f'{{"sslmode": "require", "password": "{SECRET}"'
    connection = Connection(conn_id=DESTINATION_CONN_ID, conn_type="postgres", **SERVER, extra=text)
    with pytest.raises(ConfigurationError, match="`extra` is not a JSON object") as caught:
        destination_values(connection)
    assert SECRET not in everything_said(caught.value)


def test_a_bigquery_key_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(SERVICE_ACCOUNT))
    connection = as_fields({"conn_type": "google_cloud_platform", "extra": {"key_path": str(file)}})
    assert resolved(destination_values(connection)).credentials.private_key == f"{SECRET}\n"


@pytest.mark.parametrize("part", ["project_id", "client_email", "private_key"])
def test_each_missing_part_of_a_bigquery_key_is_named(part: str) -> None:
    key = {name: value for name, value in SERVICE_ACCOUNT.items() if name != part}
    connection = as_fields({"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": key}})
    with pytest.raises(ConfigurationError, match=f"`extra.keyfile_dict.{part}` is missing") as caught:
        destination_values(connection)
    assert SECRET not in everything_said(caught.value)


def test_without_keys_the_machines_own_credentials_are_left_to_dlt() -> None:
    google = as_fields({"conn_type": "google_cloud_platform", "extra": {"project": "my-project"}})
    assert destination_values(google).credentials == {"project_id": "my-project"}
    aws = as_fields({"conn_type": "aws", "extra": {"bucket_url": "s3://bucket"}})
    assert destination_values(aws).credentials == {}


@pytest.mark.parametrize(
    ("uri", "path"),
    [("duckdb:////data/x.duckdb", "/data/x.duckdb"), ("duckdb:///data/x.duckdb", "data/x.duckdb")],
)
def test_a_database_file_may_be_given_as_sqlalchemy_writes_it(uri: str, path: str) -> None:
    connection = Connection.from_uri(uri, conn_id=DESTINATION_CONN_ID)
    assert destination_values(connection).credentials == {"database": path}


def test_the_texts_of_a_uri_become_the_types_dlt_takes() -> None:
    uri = "clickhouse://db.example.com?secure=false&connect_timeout=5"
    credentials = destination_values(Connection.from_uri(uri, conn_id=DESTINATION_CONN_ID)).credentials
    expected = {"host": "db.example.com", "secure": 0, "connect_timeout": 5, "port": 9000, "http_port": 8123}
    assert credentials == expected


def test_a_secret_is_redacted_without_the_blanks_that_dlt_strips() -> None:
    values = destination_values(as_fields({"conn_type": "postgres", **SERVER, "password": f" {SECRET}\n"}))
    assert resolved(values).credentials.password == SECRET
    assert values.secrets == (SECRET,)


# --- what has to be installed ---


def test_a_missing_driver_is_answered_with_the_file_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "find_spec", lambda name: None)
    for case in CASES:
        module, file = kinds()[case.fields["conn_type"]].requirement
        sentence = missing_requirement(as_fields(case.fields))
        assert sentence is not None
        assert f"`{module}`" in sentence
        assert f"-r {file} " in sentence


def test_a_driver_that_is_there_is_not_asked_for_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = as_fields(CASES[0].fields)
    assert missing_requirement(connection) is None
    monkeypatch.setattr(type(kinds()["postgres"]), "requirement", ("no_such_package.driver", "x.txt"))
    assert "no_such_package.driver" in str(missing_requirement(connection))


@pytest.mark.parametrize("fields", [AWS, {"conn_type": "fs", "extra": {"path": "/data/files"}}])
def test_delta_tables_need_a_module_of_their_own(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    connection = as_fields({**fields, "extra": {**fields["extra"], "table_format": "delta"}})
    values = destination_values(connection)
    assert values.table_format == "delta"
    # Not an option of dlt's destination: there it belongs to a table.
    assert values.options == destination_values(as_fields(fields)).options
    assert destination_values(as_fields(fields)).table_format is None
    monkeypatch.setattr(kind, "find_spec", lambda name: None if name == "deltalake" else object())
    assert "`pip install -r requirements-destinations/delta.txt " in str(missing_requirement(connection))


REQUIREMENT_FILES = {file for _, file in (*(kind.requirement for kind in kinds().values()), DELTA_REQUIREMENT)}


@pytest.mark.parametrize("file", sorted(REQUIREMENT_FILES))
def test_requirement_files_exist_and_name_the_projects_dlt(file: str) -> None:
    def dlt_version(path: str) -> str:
        lines = (PROJECT / path).read_text().splitlines()
        return next(line.split("==")[1] for line in lines if line.startswith("dlt"))

    assert dlt_version(file) == dlt_version("requirements.txt")


# --- the API ---


def api(**fields: Any) -> Connection:
    return Connection(conn_id=DATASETS.conn_id, **{"conn_type": "http", "password": SECRET, **fields})


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "api.example.com"}, "https://api.example.com"),
        ({"host": "api.example.com", "schema": "http"}, "http://api.example.com"),
        ({"host": "api.example.com", "schema": "HTTPS", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "api.example.com/base/", "port": 8443}, "https://api.example.com:8443/base"),
        ({"host": "api.example.com:8443/base"}, "https://api.example.com:8443/base"),
        ({"host": " https://api.example.com:8443/base/ "}, "https://api.example.com:8443/base"),
        ({"host": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000"),
        ({"host": "http://127.0.0.1:/", "port": 5000}, "http://127.0.0.1:5000"),
        ({"host": "http://127.0.0.1:5000", "port": 5000, "schema": "http"}, "http://127.0.0.1:5000"),
        ({"host": "https://api.example.com/base", "port": 8443}, "https://api.example.com:8443/base"),
        ({"host": "127.0.0.1", "port": 5000}, "https://127.0.0.1:5000"),
        ({"host": "::1", "port": 5000, "schema": "http"}, "http://[::1]:5000"),
        ({"host": "[::1]:5000"}, "https://[::1]:5000"),
        ({"conn_type": "https", "host": "api.example.com"}, "https://api.example.com"),
    ],
    ids=str,
)
def test_the_base_url_is_what_host_schema_and_port_say(fields: dict[str, Any], base_url: str) -> None:
    extra = {"page_size": 50, "params": {"lang": "en"}}
    connection = api(**fields, extra=json.dumps(extra))
    for form in (
        connection,
        Connection.from_uri(connection.get_uri(), conn_id=DATASETS.conn_id),
        Connection.from_json(connection.as_json(), conn_id=DATASETS.conn_id),
    ):
        values = api_values(form)
        assert (values.base_url, values.api_key, values.options) == (base_url, SECRET, extra)
        assert SECRET not in repr(values)


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("http://:k%2Fy@127.0.0.1:5000/http", "http://127.0.0.1:5000"),
        ("http://:k%2Fy@api.example.com:1234/https?page_size=50", "https://api.example.com:1234"),
        ("http://:k%2Fy@api.example.com", "https://api.example.com"),
        ("https://:k%2Fy@api.example.com:8443", "https://api.example.com:8443"),
        ("http://:k%2Fy@[::1]:5000/http", "http://[::1]:5000"),
        ("http://https://:k%2Fy@api.example.com:8443", "https://api.example.com:8443"),
    ],
)
def test_uris_as_people_write_them(uri: str, base_url: str) -> None:
    values = api_values(Connection.from_uri(uri, conn_id=DATASETS.conn_id))
    assert (values.base_url, values.api_key) == (base_url, "k/y")
    assert values.options == ({"page_size": "50"} if "?" in uri else {})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"conn_type": "postgres", "host": "api.example.com"}, "type"),
        ({"conn_type": None, "host": "api.example.com"}, "type"),
        ({"host": None}, "host"),
        ({"host": " "}, "host"),
        ({"host": "https://"}, "host"),
        ({"host": "api.example.com", "schema": "ftp"}, "schema"),
        ({"host": "https://api.example.com", "schema": "base"}, "schema"),
        ({"host": "https://api.example.com", "schema": "http"}, "schema"),
        ({"host": "ftp://api.example.com"}, "host"),
        ({"host": "https://api.example.com:1", "port": 2}, "port"),
        ({"host": f"https://user:{SECRET.replace('/', '')}@api.example.com"}, "host"),
        ({"host": "user@api.example.com"}, "host"),
        ({"host": "https://api.example.com/v1?api_key=s3cr3t"}, "host"),
        ({"host": "https://api.example.com/#s3cr3t"}, "host"),
        ({"host": "https://api.example.com\\@s3cr3t.example.com"}, "host"),
        ({"host": "api.example.com X: s3cr3t"}, "host"),
        ({"host": "api.exam\nple.com/s3cr3t"}, "host"),
        ({"host": "https://api.example.com:s3cr3t"}, "host"),
        ({"host": "https://[s3cr3t"}, "host"),
        ({"host": "api.example.com", "extra": "not json s3cr3t"}, "extra"),
        ({"host": "api.example.com", "extra": '["s3cr3t"]'}, "extra"),
    ],
    ids=str,
)
def test_an_api_connection_that_cannot_work_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        api_values(api(**fields))
    assert str(caught.value).startswith(f"Connection `{DATASETS.conn_id}`: the field `{named}` ")
    assert "s3cr3t" not in everything_said(caught.value)


def test_options_may_hold_a_token_and_are_not_shown() -> None:
    extra = {"params": {"access": SECRET}}
    values = api_values(api(host="api.example.com", extra=json.dumps(extra)))
    assert values.options == extra
    assert SECRET not in repr(values)


def test_the_mapping_imports_neither_airflow_nor_dlt() -> None:
    program = """
        import sys
        from types import SimpleNamespace
        from include.configure.api_connection import api_values
        from include.load.kinds import kind_of, kinds

        nothing = dict.fromkeys(("conn_type", "host", "schema", "login", "password", "port"))
        api_values(SimpleNamespace(**nothing | {"conn_id": "a", "conn_type": "http", "host": "h", "password": "p"}, extra_dejson={}))
        duckdb = SimpleNamespace(**nothing | {"conn_id": "d", "conn_type": "duckdb", "host": "file"}, extra_dejson={})
        kind = kind_of(duckdb)
        assert kind.missing_requirement(kind.values_of(duckdb)) is None
        print(len(kinds()), *{"airflow", "dlt", "duckdb", "psycopg2", "sqlalchemy"} & set(sys.modules))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(len(kinds()))]


def test_a_new_destination_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kind_of_a_test.py").write_text(
        "from include.load.kind import DATABASE, DestinationKind\n"
        "class Kind(DestinationKind):\n"
        "    conn_type, destination_type, fields = 'of_a_test', 'dummy', (DATABASE,)\n"
        "    requirement = ('json', 'requirements.txt')\n"
    )
    monkeypatch.setattr(destinations, "__path__", [*destinations.__path__, str(tmp_path)])
    kinds.cache_clear()
    try:
        connection = as_fields({"conn_type": "of_a_test", "schema": "dw"})
        assert kind_of(connection).values_of(connection) == DestinationValues("dummy", {"database": "dw"}, {}, ())
    finally:
        kinds.cache_clear()


# --- loads, for real ---


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], list[int]]]:
    """Loads two records through the mapping, and answers with the ids that are in the table after it."""
    pipelines: list[dlt.Pipeline] = []

    def load(fields: dict[str, Any]) -> list[int]:
        values = destination_values(through_uri(fields))
        destination = getattr(dlt.destinations, values.destination_type)(
            credentials=values.credentials, **values.options
        )
        pipeline = dlt.pipeline(
            "connection",
            pipelines_dir=str(tmp_path / "pipelines"),
            destination=destination,
            dataset_name=f"connection_{os.getpid()}",
        )
        pipelines.append(pipeline)
        pipeline.run([{"id": 1}, {"id": 2}], table_name="records").raise_on_failed_jobs()
        return sorted(row[0] for row in pipeline.dataset().records.select("id").fetchall())

    yield load
    for pipeline in pipelines:
        with pipeline.destination_client() as client:
            client.drop_storage()


@pytest.mark.parametrize(
    ("conn_type", "fields"),
    [
        ("duckdb", lambda path: {"host": f"{path}/x.duckdb"}),
        ("sqlite", lambda path: {"host": f"{path}/x.db"}),
        ("fs", lambda path: {"extra": {"path": f"{path}/folder"}}),
    ],
)
def test_two_rows_arrive_in_a_file(
    conn_type: str,
    fields: Callable[[Path], dict[str, Any]],
    loaded: Callable[[dict[str, Any]], list[int]],
    tmp_path: Path,
) -> None:
    assert loaded({"conn_type": conn_type, **fields(tmp_path)}) == [1, 2]


@pytest.mark.postgres
def test_two_rows_arrive_in_postgres(loaded: Callable[[dict[str, Any]], list[int]]) -> None:
    url = make_url(os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test"))
    fields = {"host": url.host, "port": url.port, "login": url.username, "password": url.password}
    extra = {"sslmode": "prefer", "application_name": "datasets"}
    assert loaded({"conn_type": "postgres", **fields, "schema": url.database, "extra": extra}) == [1, 2]


@pytest.mark.parametrize("made", [as_fields, through_uri, through_json])
def test_a_generic_connection_names_its_destination(made: Callable[[dict[str, Any]], Connection]) -> None:
    """Airflow's form has no type for what no installed provider brings."""
    fields: dict[str, Any] = {
        "login": "u",
        "password": SECRET,
        "extra": {"account": "a", "database": "d", "role": "r", "x": "1"},
    }
    typed = destination_values(made({"conn_type": "snowflake", **fields}))
    generic = {**fields, "conn_type": "generic", "extra": {**fields["extra"], "destination": "snowflake"}}
    assert destination_values(made(generic)) == typed
    assert typed.credentials["query"] == {"x": "1"}, "the name of the destination is no parameter of the driver"


@pytest.mark.parametrize("extra", [{}, {"destination": "oracle"}])
def test_a_generic_connection_without_a_known_destination_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"`extra\.destination`.* must be one of .*`snowflake`"):
        kind_of(as_fields({"conn_type": "generic", "extra": extra}))
