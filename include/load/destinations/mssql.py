"""SQL Server: dlt's own destination."""

from include.load.kind import DATABASE, PASSWORD, SERVER, DestinationKind, Field, extras


class Kind(DestinationKind):
    """A warehouse, mapped and no more."""

    conn_type = "mssql"
    destination_type = "mssql"
    requirement = ("pyodbc", "requirements-destinations/mssql.txt")
    fields = (
        *SERVER,
        DATABASE,
        PASSWORD,
        Field("driver", ("extra.driver", "extra.Driver")),
        *extras("connect_timeout", typed=True),
    )
    options = extras("create_indexes", "has_case_sensitive_identifiers", typed=True)
    rest_is_query = True
    airflow_only = ("sqlalchemy_scheme",)
