"""Databricks: dlt's own destination."""

from include.configure.connections import ConnectionFields
from include.load.kind import DestinationKind, Field, Values, extras


class Kind(DestinationKind):
    """A warehouse, mapped and no more."""

    conn_type = "databricks"
    destination_type = "databricks"
    requirement = ("databricks.sql", "requirements-destinations/databricks.txt")
    fields = (
        Field("server_hostname", ("host", "extra.host"), "the workspace's host name"),
        Field("http_path", ("extra.http_path",), "the HTTP path of the SQL warehouse"),
        Field("catalog", ("extra.catalog",), "the name of the Unity catalog"),
        *extras("session_configuration", "http_headers", "connection_parameters", typed=True),
        *extras("socket_timeout", typed=True),
        *extras("session_timezone", "user_agent_entry"),
    )
    options = extras("staging_credentials_name", "staging_volume_name") + extras(
        "is_staging_external_location", "keep_staged_files", "create_indexes", typed=True
    )

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """A token, or a service principal.

        Databricks takes no user passwords: a login is a service principal's client id, except `token`, with which
        Airflow says that the password is a token.
        """
        credentials["server_hostname"] = credentials["server_hostname"].split("://")[-1].rstrip("/")
        if given.get("login") in (None, "token"):
            credentials["access_token"] = given.need(
                "extra.token" if given.get("extra.token") else "password", meaning="the access token"
            )
        else:
            credentials["client_id"] = given.get("login")
            credentials["client_secret"] = given.need("password", meaning="the client secret of the service principal")
