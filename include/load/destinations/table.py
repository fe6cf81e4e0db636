"""The table of supported destinations: which field of an Airflow connection becomes which value of dlt.

In: the filled-in fields of a connection. Out: credentials and options as dlt's configuration classes name
them (`dlt/destinations/impl/*/configuration.py`, 1.31.0). The names on Airflow's side are those of its hooks
(`get_connection_form_widgets` and `get_conn` of the provider for each type). The table comes last; the
functions before it say what a table cannot.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.configure.connections import ConnectionFields, DestinationValues


@dataclass(frozen=True)
class Field:
    """One value of dlt, and the connection's fields it comes from: the first one filled in counts.

    `meaning` set: required, and what the error says belongs there. `typed`: not a text for dlt; Airflow's URI
    form carries texts only, so `"true"`, `"5"` and `"{…}"` are read as JSON.
    """

    name: str
    sources: tuple[str, ...]
    meaning: str = ""
    typed: bool = False

    def value_of(self, given: "ConnectionFields") -> Any:
        value = given.need(*self.sources, meaning=self.meaning) if self.meaning else given.get(*self.sources)
        return _typed(value) if self.typed else value


Values = dict[str, Any]


def _nothing_to_add(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    """For a destination that its table row describes completely."""


@dataclass(frozen=True)
class Destination:
    """A row of the table. `rest_is_query`: any other extra is a parameter of the driver, as in Airflow."""

    destination_type: str
    fields: tuple[Field, ...]
    options: tuple[Field, ...] = ()
    dialect: str = ""
    constants: Mapping[str, object] = field(default_factory=dict)
    rest_is_query: bool = False
    airflow_only: tuple[str, ...] = ()  # extras that steer Airflow's hook and mean nothing to dlt
    refused: Mapping[str, str] = field(default_factory=dict)  # extras that dlt cannot honour -> what to do instead
    complete: Callable[["ConnectionFields", Values, Values], None] = _nothing_to_add

    def __post_init__(self) -> None:
        object.__setattr__(self, "dialect", self.dialect or self.destination_type)

    def values_of(self, given: "ConnectionFields") -> tuple[Values, Values]:
        """The credentials and the options, without what is not filled in."""
        for name, instead in self.refused.items():
            if _typed(given.get(f"extra.{name}")):
                raise given.error(f"extra.{name}", f"is not supported by dlt: {instead}")
        credentials = dict(self.constants) | _filled(self.fields, given)
        options = _filled(self.options, given)
        if self.rest_is_query:
            known = {source.removeprefix("extra.") for f in self.fields + self.options for source in f.sources}
            rest = [n for n in given.extra_names() if n not in known | {*self.airflow_only, *self.refused}]
            if rest:
                credentials["query"] = {name: given.get(f"extra.{name}") for name in rest}
        self.complete(given, credentials, options)
        return credentials, options


def _filled(fields: tuple[Field, ...], given: "ConnectionFields") -> Values:
    return {f.name: value for f in fields if (value := f.value_of(given)) is not None}


def _typed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value.lower() if value.lower() in ("true", "false") else value)
    except ValueError:
        return value


def _extras(*names: str, typed: bool = False) -> tuple[Field, ...]:
    return tuple(Field(name, (f"extra.{name}",), typed=typed) for name in names)


def _postgres(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    # dlt insists on a password also where the server asks for none; libpq reads an empty one as none, and
    # still looks into PGPASSWORD and ~/.pgpass, which an invented one would keep it from.
    credentials.setdefault("password", "")


def _mysql(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    # Airflow writes {"ssl": {"ca": …}} where SQLAlchemy's dialect reads `ssl_ca` from the URL's query.
    ssl = _typed(credentials.get("query", {}).pop("ssl", None))
    if isinstance(ssl, Mapping):
        credentials["query"] |= {f"ssl_{name}": value for name, value in ssl.items()}


def _database_file(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    # A URI with three slashes, as SQLAlchemy writes it, arrives with its path as schema.
    if given.get("host") and given.get("schema"):
        raise given.error("schema", "must be empty: the whole path of the database file belongs into `host`")
    if credentials["database"] == ":memory:":
        raise given.error("host", "must be a file: a database in memory is gone when the task ends")


def _snowflake(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    region = given.get("extra.region")
    if region and not credentials["host"].endswith(f".{region}"):
        credentials["host"] += f".{region}"
    if "private_key" in credentials or "private_key_path" in credentials:
        # As in Airflow's hook: with a key, the password is the key's passphrase.
        if "password" in credentials:
            credentials["private_key_passphrase"] = credentials.pop("password")
    elif credentials.get("authenticator", "snowflake") == "snowflake":
        given.need("password", meaning="the password there, or a key into `extra.private_key_content`: one of them")
    elif credentials["authenticator"] == "oauth":
        given.need("extra.token", meaning="the OAuth token")
    if "token" not in credentials:
        given.need("login", meaning="the user's name")


def _bigquery(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    name = "extra.keyfile_dict" if given.get("extra.keyfile_dict") else "extra.key_path"
    if given.get(name) is None:
        # Google's default credentials of the machine, which dlt finds itself, say nothing of the project.
        if (project := given.get("extra.project")) is None:
            what = "is missing: put Google's JSON key there, or to use the machine's own, `extra.project`"
            raise given.error("extra.keyfile_dict", what)
        credentials["project_id"] = project
        return
    key = _typed(given.get(name) if name == "extra.keyfile_dict" else _text_of_file(given.get(name)))
    if not isinstance(key, Mapping):
        raise given.error(name, "is not the JSON object of a Google key, or names no readable file with one")
    user = key.get("type") == "authorized_user"
    names = ("client_id", "client_secret", "refresh_token") if user else ("client_email", "private_key")
    project = key.get("project_id") or key.get("quota_project_id") or given.get("extra.project")
    found = {"project_id": project} | {part: key.get(part) for part in (*names, "private_key_id")}
    for part in ("project_id", *names):
        if not found[part]:
            raise given.error(f"{name}.{part}", "is missing: put the whole JSON key that Google issued there")
    credentials |= {part: value for part, value in found.items() if value}


def _text_of_file(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, ValueError):
        return None


def _databricks(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    credentials["server_hostname"] = credentials["server_hostname"].split("://")[-1].rstrip("/")
    # Databricks takes no user passwords: a login is a service principal's client id, except `token`, with
    # which Airflow says that the password is a token.
    if given.get("login") in (None, "token"):
        credentials["access_token"] = given.need(
            "extra.token" if given.get("extra.token") else "password", meaning="the access token"
        )
    else:
        credentials["client_id"] = given.get("login")
        credentials["client_secret"] = given.need("password", meaning="the client secret of the service principal")


def _clickhouse(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    if "secure" not in credentials:
        return
    credentials["secure"] = int(bool(credentials["secure"]))
    if not credentials["secure"]:  # dlt's default ports are those of TLS
        credentials.setdefault("port", 9000)
        credentials.setdefault("http_port", 8123)


def _files(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    if options.get("table_format", "delta") != "delta":
        raise given.error("extra.table_format", "must be `delta`; leave it out for plain Parquet files")


def _s3(given: "ConnectionFields", credentials: Values, options: Values) -> None:
    _files(given, credentials, options)
    if not str(options["bucket_url"]).startswith("s3://"):
        raise given.error("extra.bucket_url", "must begin with s3://; for a folder take a connection of type `fs`")
    # Neither: dlt asks AWS's own chain (environment, profile, role of the machine).
    for name, other in (("login", "password"), ("password", "login")):
        if given.get(other) and not given.get(name):
            raise given.error(name, "is missing: put the access key id into `login` and its secret into `password`")


_SERVER = (
    Field("host", ("host",), "the server's host name"),
    Field("port", ("port",)),
    Field("username", ("login",), "the user's name"),
)
_DATABASE = Field("database", ("schema",), "the name of the database")
_PASSWORD = Field("password", ("password",), "the user's password")
_OPTIONAL_PASSWORD = Field("password", ("password",))
_FILE = Field("database", ("host", "schema"), "the path of the database file")
_NO_IAM = {"iam": "put a user and a password into `login` and `password`"}
_LIBPQ = _extras("client_encoding", "session_timezone") + _extras("connect_timeout", typed=True)
_LIBPQ_AIRFLOW_ONLY = (
    *("cursor", "redshift", "redshift-serverless", "cluster-identifier", "workgroup-name", "aws_conn_id"),
    *("azure_conn_id", "sqlalchemy_scheme", "sqlalchemy_query"),
)
_REDSHIFT_AIRFLOW_ONLY = (
    *("is_serverless", "serverless_work_group", "serverless_token_duration_seconds", "cluster_identifier"),
    *("db_user", "region", "profile"),
)
_FILESYSTEM = _extras("layout", "table_format") + _extras(
    *("kwargs", "client_kwargs", "config_kwargs", "deltalake_storage_options", "deltalake_configuration"),
    typed=True,
)
_SQLALCHEMY = _extras("create_unique_indexes", "create_primary_keys", "engine_kwargs", typed=True)

DESTINATIONS: Mapping[str, Destination] = {
    "postgres": Destination(
        "postgres",
        (*_SERVER, _DATABASE, _OPTIONAL_PASSWORD, *_LIBPQ),
        options=_extras("create_indexes", typed=True),
        rest_is_query=True,
        airflow_only=_LIBPQ_AIRFLOW_ONLY,
        refused=_NO_IAM,
        complete=_postgres,
    ),
    "duckdb": Destination(
        "duckdb",
        (
            _FILE,
            *_extras("read_only", "extensions", "global_config", "pragmas", "local_config", typed=True),
            *_extras("session_timezone"),
        ),
        options=_extras("create_indexes", typed=True),
        complete=_database_file,
    ),
    "mysql": Destination(
        "sqlalchemy",
        (*_SERVER, Field("database", ("schema",)), _OPTIONAL_PASSWORD),
        options=_SQLALCHEMY,
        dialect="mysql",
        constants={"drivername": "mysql+pymysql"},
        rest_is_query=True,
        airflow_only=("client", "cursor", "local_infile", "aws_conn_id"),
        refused=_NO_IAM | {"ssl_mode": 'give the certificate of the authority as `{"ssl": {"ca": "path"}}`'},
        complete=_mysql,
    ),
    "sqlite": Destination(
        "sqlalchemy",
        (_FILE,),
        options=_SQLALCHEMY,
        dialect="sqlite",
        constants={"drivername": "sqlite"},
        rest_is_query=True,
        complete=_database_file,
    ),
    "snowflake": Destination(
        "snowflake",
        (
            Field("host", ("extra.account",), "the account identifier"),
            Field("database", ("extra.database",), "the name of the database"),
            Field("username", ("login",)),
            _OPTIONAL_PASSWORD,
            Field("private_key", ("extra.private_key_content", "extra.private_key")),
            Field("private_key_path", ("extra.private_key_file", "extra.private_key_path")),
            *_extras("warehouse", "role", "authenticator", "token", "workload_identity_provider"),
            *_extras("session_timezone", "application"),
        ),
        options=_extras("stage_name", "query_tag")
        + _extras("keep_staged_files", "create_indexes", "use_vectorized_scanner", typed=True),
        rest_is_query=True,
        airflow_only=("region", "schema", "azure_conn_id", "token_endpoint", "scope", "grant_type"),
        complete=_snowflake,
    ),
    "google_cloud_platform": Destination(
        "bigquery",
        (),
        options=(
            Field("project_id", ("extra.project",)),
            *_extras("location"),
            *_extras("http_timeout", "file_upload_timeout", "retry_deadline", typed=True),
        ),
        refused={
            "key_secret_name": "put the key itself into `extra.keyfile_dict`",
            "credential_config_file": "put a service account's key into `extra.keyfile_dict`",
            "impersonation_chain": "put the key of the account to act as into `extra.keyfile_dict`",
        },
        complete=_bigquery,
    ),
    "redshift": Destination(
        "redshift",
        (*_SERVER, _DATABASE, _PASSWORD, *_LIBPQ),
        options=_extras("staging_iam_role") + _extras("has_case_sensitive_identifiers", typed=True),
        rest_is_query=True,
        airflow_only=_LIBPQ_AIRFLOW_ONLY + _REDSHIFT_AIRFLOW_ONLY,
        refused=_NO_IAM,
        complete=_postgres,
    ),
    "databricks": Destination(
        "databricks",
        (
            Field("server_hostname", ("host", "extra.host"), "the workspace's host name"),
            Field("http_path", ("extra.http_path",), "the HTTP path of the SQL warehouse"),
            Field("catalog", ("extra.catalog",), "the name of the Unity catalog"),
            *_extras("session_configuration", "http_headers", "connection_parameters", typed=True),
            *_extras("socket_timeout", typed=True),
            *_extras("session_timezone", "user_agent_entry"),
        ),
        options=_extras("staging_credentials_name", "staging_volume_name")
        + _extras("is_staging_external_location", "keep_staged_files", "create_indexes", typed=True),
        complete=_databricks,
    ),
    "mssql": Destination(
        "mssql",
        (
            *_SERVER,
            _DATABASE,
            _PASSWORD,
            Field("driver", ("extra.driver", "extra.Driver")),
            *_extras("connect_timeout", typed=True),
        ),
        options=_extras("create_indexes", "has_case_sensitive_identifiers", typed=True),
        rest_is_query=True,
        airflow_only=("sqlalchemy_scheme",),
    ),
    "clickhouse": Destination(
        "clickhouse",
        (
            Field("host", ("host",), "the server's host name"),
            Field("port", ("port",)),
            Field("database", ("schema",)),
            Field("username", ("login",)),
            _OPTIONAL_PASSWORD,
            *_extras("http_port", "secure", "connect_timeout", "send_receive_timeout", typed=True),
            *_extras("session_timezone"),
        ),
        options=_extras("dataset_table_separator", "table_engine_type"),
        rest_is_query=True,
        complete=_clickhouse,
    ),
    "aws": Destination(
        "filesystem",
        (
            Field("aws_access_key_id", ("login",)),
            Field("aws_secret_access_key", ("password",)),
            Field("region_name", ("extra.region_name", "extra.region")),
            *_extras("aws_session_token", "profile_name", "endpoint_url", "s3_url_style"),
        ),
        options=(
            Field("bucket_url", ("extra.bucket_url",), "the bucket, as in s3://bucket/folder,"),
            *_FILESYSTEM,
        ),
        refused={"role_arn": "give the worker the role itself, and leave `login` and `password` empty"},
        complete=_s3,
    ),
    "fs": Destination(
        "filesystem",
        (),
        options=(
            Field("bucket_url", ("extra.path", "extra.bucket_url"), "the path of the folder"),
            *_FILESYSTEM,
        ),
        complete=_files,
    ),
}

# conn_type -> the module that must be there, and the file to install it from.
DESTINATION_REQUIREMENTS: Mapping[str, tuple[str, str]] = {
    "postgres": ("psycopg2", "requirements.txt"),
    "duckdb": ("duckdb", "requirements.txt"),
    "mysql": ("pymysql", "requirements-destinations/mysql.txt"),
    "sqlite": ("sqlalchemy", "requirements.txt"),
    "snowflake": ("snowflake.connector", "requirements-destinations/snowflake.txt"),
    "google_cloud_platform": ("google.cloud.bigquery", "requirements-destinations/bigquery.txt"),
    "redshift": ("psycopg2", "requirements.txt"),
    "databricks": ("databricks.sql", "requirements-destinations/databricks.txt"),
    "mssql": ("pyodbc", "requirements-destinations/mssql.txt"),
    "clickhouse": ("clickhouse_driver", "requirements-destinations/clickhouse.txt"),
    "aws": ("s3fs", "requirements-destinations/s3.txt"),
    "fs": ("pyarrow", "requirements.txt"),
}


DELTA_REQUIREMENT = ("deltalake", "requirements-destinations/delta.txt")


def missing_requirement(values: "DestinationValues") -> str | None:
    """A sentence that names what to install for this destination; None: all is there. Imports no driver."""
    of_dialect = [name for name, row in DESTINATIONS.items() if row.dialect == values.dialect]
    if values.dialect == "filesystem":
        of_dialect = ["aws" if str(values.options.get("bucket_url")).startswith("s3://") else "fs"]
    needed = [DESTINATION_REQUIREMENTS[of_dialect[0]], *([DELTA_REQUIREMENT] if values.table_format else [])]
    for module, file in needed:
        if not _is_installed(module):
            return (
                f"The destination `{values.dialect}` needs the Python module `{module}`, which is not installed: "
                f"run `pip install -r {file} -c constraints.txt`."
            )
    return None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that the module would be in
        return False
