"""Where the servers are installed: below `.venv-servers/`, apart from the project's own environment, once.

In: the name of a family and the files that pin what it needs. Out: its folder, with `bin/python` or `node_modules`.
An installation whose pins have changed, or that was interrupted, is made anew. Needs the network that one time only.
"""

import fcntl
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
ENVIRONMENTS = PROJECT / ".venv-servers"
INSTALL_SECONDS = 300


class CannotInstall(Exception):
    """A server cannot be had on this machine; the text is one sentence that says why."""


def python_environment(name: str, requirements: Path) -> Path:
    """The folder of a virtual environment with what `requirements` pins. Raises `CannotInstall`."""
    return _once(name, [requirements], lambda folder: _install_python(folder, requirements))


def node_environment(name: str, pins: Path) -> Path:
    """A folder with the `node_modules` of the package-lock.json in the folder `pins`. Raises `CannotInstall`."""
    files = [pins / "package.json", pins / "package-lock.json"]
    return _once(name, files, lambda folder: _install_node(folder, files))


def _once(name: str, pins: list[Path], install: Callable[[Path], None]) -> Path:
    folder, stamp = ENVIRONMENTS / name, ENVIRONMENTS / name / ".installed"
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in pins)).hexdigest()
    with _alone(name):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            # Written last: an interrupted installation leaves none.
            stamp.write_text(wanted)
    return folder


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Tests that run side by side do not install into one folder at the same time."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install_python(folder: Path, requirements: Path) -> None:
    # Nothing is compiled ahead: most of what these libraries bring is never imported.
    venv.create(folder, symlinks=True, with_pip=False)
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        _run([uv, "pip", "install", "--quiet", "--python", python, "-r", str(requirements)])
    elif find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install"]
        _run([*pip, "--quiet", "--no-compile", "--no-input", "--retries", "1", "-r", str(requirements)])
    else:
        raise CannotInstall(f"{folder.name} cannot be installed: there is neither uv nor pip")


def _install_node(folder: Path, pins: list[Path]) -> None:
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        raise CannotInstall(f"{folder.name} cannot be installed: there is no node with npm on PATH")
    for file in pins:
        shutil.copy(file, folder)
    # Scripts of packages are not run: none of these needs one.
    quiet = ["--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]
    _run([npm, "ci", "--prefix", str(folder), "--ignore-scripts", "--fetch-retries=1", *quiet])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"{shlex.join(command)} was not through after {INSTALL_SECONDS} seconds") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        # The first error is the cause; what follows is advice.
        said = next((line for line in lines if re.match("(npm )?error", line, re.IGNORECASE)), lines[-1])
        raise CannotInstall(f"{shlex.join(command)} ended with {done.returncode} and said: {said}")
