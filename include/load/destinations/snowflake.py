"""Snowflake: dlt's own destination."""

from include.configure.connections import ConnectionFields
from include.load.kind import OPTIONAL_PASSWORD, DestinationKind, Field, Values, extras


class Kind(DestinationKind):
    """A warehouse, mapped and no more."""

    conn_type = "snowflake"
    destination_type = "snowflake"
    requirement = ("snowflake.connector", "requirements-destinations/snowflake.txt")
    fields = (
        Field("host", ("extra.account",), "the account identifier"),
        Field("database", ("extra.database",), "the name of the database"),
        Field("username", ("login",)),
        OPTIONAL_PASSWORD,
        Field("private_key", ("extra.private_key_content", "extra.private_key")),
        Field("private_key_path", ("extra.private_key_file", "extra.private_key_path")),
        *extras("warehouse", "role", "authenticator", "token", "workload_identity_provider"),
        *extras("session_timezone", "application"),
    )
    options = extras("stage_name", "query_tag") + extras(
        "keep_staged_files", "create_indexes", "use_vectorized_scanner", typed=True
    )
    rest_is_query = True
    airflow_only = ("region", "schema", "azure_conn_id", "token_endpoint", "scope", "grant_type")

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """A region, and one of the ways to say who asks."""
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
