"""BigQuery: dlt's own destination. A connection's `key_path` names a file, of which dlt takes only the content."""

from collections.abc import Mapping
from pathlib import Path

from include.configure.connections import ConnectionFields
from include.load.kind import DestinationKind, Field, Values, extras, typed


class Kind(DestinationKind):
    """A warehouse, mapped and no more."""

    conn_type = "google_cloud_platform"
    destination_type = "bigquery"
    requirement = ("google.cloud.bigquery", "requirements-destinations/bigquery.txt")
    options = (
        Field("project_id", ("extra.project",)),
        *extras("location"),
        *extras("http_timeout", "file_upload_timeout", "retry_deadline", typed=True),
    )
    refused = {
        "key_secret_name": "put the key itself into `extra.keyfile_dict`",
        "credential_config_file": "put a service account's key into `extra.keyfile_dict`",
        "impersonation_chain": "put the key of the account to act as into `extra.keyfile_dict`",
    }

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """The parts of Google's key, or nothing but the project, with the machine's own credentials."""
        name = "extra.keyfile_dict" if given.get("extra.keyfile_dict") else "extra.key_path"
        if given.get(name) is None:
            # Google's default credentials of the machine, which dlt finds itself, say nothing of the project.
            if (project := given.get("extra.project")) is None:
                what = "is missing: put Google's JSON key there, or to use the machine's own, `extra.project`"
                raise given.error("extra.keyfile_dict", what)
            credentials["project_id"] = project
            return
        key = typed(given.get(name) if name == "extra.keyfile_dict" else _text_of_file(given.get(name)))
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
