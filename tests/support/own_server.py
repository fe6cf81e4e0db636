"""A PostgreSQL that may die, and a PgBouncer: Debian's programs, as an unprivileged user, on free ports of loopback.

In: nothing, or the server that the pooler stands before. Out: a URL without a database.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path("/nowhere"))
PGBOUNCER = "/usr/sbin/pgbouncer"
# Neither program runs as root.
_UNPRIVILEGED = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups") if os.getuid() == 0 else ()


def is_missing(*programs: str | Path) -> str | None:
    """Why this machine cannot start them; None: it can."""
    missing = [str(program) for program in programs if not Path(program).exists()]
    return f"{', '.join(missing)} is not installed" if missing else None


class OwnPostgres:
    """A cluster of a test's own. `die` ends it as a crash does; `start` recovers it."""

    def __init__(self, folder: Path) -> None:
        self._data, self.port = folder / "data", _free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        # A crash of the server, not of the machine: what it has written is there.
        _as_nobody(PROGRAMS / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        self._log = folder / "log"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it has recovered."""
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB"
        _as_nobody(PROGRAMS / "pg_ctl", "-D", self._data, "-l", self._log, "-w", "-o", options, "start")

    def die(self) -> None:
        """SIGQUIT to all of its processes: nothing is written any more, and no connection is told."""
        _as_nobody(PROGRAMS / "pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A started cluster, which is gone afterwards."""
    with _folder() as folder:
        server = OwnPostgres(folder)
        try:
            yield server
        finally:
            server.die()


@contextmanager
def pgbouncer(server: str) -> Iterator[str]:
    """The URL of a pooler in transaction mode before `server`, which needs no password."""
    place = urlsplit(server)
    port = _free_port()
    with _folder() as folder:
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={place.hostname} port={place.port or 5432} user={place.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\nignore_startup_parameters = options,extra_float_digits\nlogfile = {folder}/log\n"
        )
        settings.chmod(0o644)
        process = subprocess.Popen([*_UNPRIVILEGED, PGBOUNCER, "-q", str(settings)], cwd="/", stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield place._replace(netloc=f"{place.username}@127.0.0.1:{port}").geturl()
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's, which nobody but its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="own-server-"))
    try:
        if _UNPRIVILEGED:
            shutil.chown(folder, "postgres", "postgres")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_nobody(*command: object) -> None:
    # Not a pipe: the server that stays would keep it open.
    subprocess.run([*_UNPRIVILEGED, *map(str, command)], check=True, cwd="/", stdout=subprocess.DEVNULL)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
