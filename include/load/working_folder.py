"""The folder in which a load keeps its files while it runs: its owner's alone, and gone afterwards, also after a SIGKILL.

In: where dlt puts it, in the machine's folder of temporary files. Out: a context. The folder carries a mark, a file that
the live process has locked; the operating system frees the lock however the process ends. So the next load of this user on this
machine knows the folders of dead ones, and removes them.
"""

import fcntl
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from include.errors import ConfigurationError

log = logging.getLogger(__name__)

MARK = ".datasets_airflow"
# As dlt's helper names it.
NAMES = "dlt_*"
# No rights for the group and for others.
OWNER_ALONE = 0o077


@contextmanager
def for_the_owner_alone() -> Iterator[None]:
    """What this process makes meanwhile, files and folders, nobody else on this machine may read."""
    before = os.umask(OWNER_ALONE)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """`folder` is there, marked and locked, and removed with all that is in it; so are those of dead loads beside it.

    Raises ConfigurationError (permanent) when somebody else has made it, OSError when it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_own_folder(folder):
        raise ConfigurationError(
            f"The folder for this load's temporary files, {folder}, belongs to another user. Run the task again, with TMPDIR "
            "set to a folder that is not shared."
        )
    mark = _mark(folder)
    try:
        _remove_those_of_dead_loads(folder)
        yield
    finally:
        remove(folder)
        os.close(mark)


def remove(folder: Path) -> None:
    """The folder is gone; what cannot be removed stays."""
    shutil.rmtree(folder, ignore_errors=True)


def _mark(folder: Path) -> int:
    # Locked before it has its name: nobody finds it free.
    unnamed = folder / f"{MARK}.new"
    mark = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(mark, fcntl.LOCK_EX)
    unnamed.rename(folder / MARK)
    return mark


def _remove_those_of_dead_loads(own: Path) -> None:
    for folder in own.parent.glob(NAMES):
        if folder == own or not _is_own_folder(folder):
            continue
        # Without a mark it is somebody else's, with a locked one it is in use.
        with suppress(OSError):
            mark = os.open(folder / MARK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
                log.info("Removed %s: a load that was killed has left it.", folder)
            finally:
                os.close(mark)


def _is_own_folder(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
