"""A folder of this machine, or of a file system that it has mounted."""

from contextlib import AbstractContextManager, nullcontext

from include.load.files import OPTIONS, FilesKind
from include.load.kind import DestinationValues, Field
from include.load.local_file import absolute, lock_beside


class Kind(FilesKind):
    """Files in a folder, with one writer at a time."""

    conn_type = "fs"
    requirement = ("pyarrow", "requirements.txt")
    options = (Field("bucket_url", ("extra.path", "extra.bucket_url"), "the path of the folder"), *OPTIONS)

    def lock(self, values: DestinationValues, dataset_name: str) -> AbstractContextManager[object]:
        """The lock of the folder; a URL of another machine has none."""
        place = str(values.options["bucket_url"]).removeprefix("file://")
        return nullcontext() if "://" in place else lock_beside(absolute(place))
