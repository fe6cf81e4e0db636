"""Redshift: dlt's own destination, over PostgreSQL's driver."""

from include.load.destinations import postgres
from include.load.kind import DATABASE, NO_IAM, PASSWORD, SERVER, DestinationKind, extras


class Kind(DestinationKind):
    """A warehouse, mapped and no more."""

    conn_type = "redshift"
    destination_type = "redshift"
    requirement = ("psycopg2", "requirements.txt")
    fields = (*SERVER, DATABASE, PASSWORD, *postgres.LIBPQ)
    options = extras("staging_iam_role") + extras("has_case_sensitive_identifiers", typed=True)
    rest_is_query = True
    airflow_only = (
        *postgres.AIRFLOW_ONLY,
        *("is_serverless", "serverless_work_group", "serverless_token_duration_seconds", "cluster_identifier"),
        *("db_user", "region", "profile"),
    )
    refused = NO_IAM
