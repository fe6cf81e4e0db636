"""A bucket of S3, or of what speaks its protocol."""

from include.configure.connections import ConnectionFields
from include.load.files import OPTIONS, FilesKind
from include.load.kind import Field, Values, extras


class Kind(FilesKind):
    """Files in a bucket."""

    conn_type = "aws"
    requirement = ("s3fs", "requirements-destinations/s3.txt")
    fields = (
        Field("aws_access_key_id", ("login",)),
        Field("aws_secret_access_key", ("password",)),
        Field("region_name", ("extra.region_name", "extra.region")),
        *extras("aws_session_token", "profile_name", "endpoint_url", "s3_url_style"),
    )
    options = (Field("bucket_url", ("extra.bucket_url",), "the bucket, as in s3://bucket/folder,"), *OPTIONS)
    refused = {"role_arn": "give the worker the role itself, and leave `login` and `password` empty"}

    def complete(self, given: ConnectionFields, credentials: Values, options: Values) -> None:
        """Both parts of a key, or none: then dlt asks AWS's own chain (environment, profile, role of the machine)."""
        super().complete(given, credentials, options)
        if not str(options["bucket_url"]).startswith("s3://"):
            raise given.error("extra.bucket_url", "must begin with s3://; for a folder take a connection of type `fs`")
        for name, other in (("login", "password"), ("password", "login")):
            if given.get(other) and not given.get(name):
                raise given.error(name, "is missing: put the access key id into `login` and its secret into `password`")
