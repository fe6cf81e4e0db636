"""Puts faults into a copy of the project, one after the other, and says which of them the tests find.

In: `faults.toml` beside this file. Out: a line for each fault, and exit code 1 when one of them was not found. The project
itself is not touched. With names of faults as arguments, only these: `python -m tests.mutations.run [NAME …]`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FAULTS_FILE = Path(__file__).with_name("faults.toml")
# A fault may make a loop endless: that is found, too.
TIMEOUT_SECONDS = 300
_PYTEST_FOUND_FAILURES = 1


@dataclass(frozen=True)
class Fault:
    """`old`, which stands once in `file`, becomes `new`; one of `tests` (arguments of pytest) has to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def put_into(self, project: Path) -> None:
        """Change the file. Raises ValueError unless `old` stands there once."""
        path = project / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.name}: the text to change stands {text.count(self.old)} times in {self.file}, not once."
            )
        path.write_text(text.replace(self.old, self.new))


def faults() -> list[Fault]:
    """All faults, in the order of the file."""
    entries = tomllib.loads(FAULTS_FILE.read_text())["fault"]
    return [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def copy_of_the_project(folder: Path) -> Path:
    """A copy of what git knows or would take, without what it ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    copy = folder / "project"
    for name in filter(None, names.split("\0")):
        # Deleted, but not yet for git.
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    return copy


def verdict(project: Path, tests: Sequence[str]) -> str:
    """What the tests say of `project`: `green`, `red`, `hangs`, or `cannot run` where they do not even begin."""
    # `include` is a namespace: the project's own must not be found beside the copy.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=project,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    return {0: "green", _PYTEST_FOUND_FAILURES: "red"}.get(done.returncode, "cannot run")


def main(names: Sequence[str]) -> None:
    """Exits with 1 when a fault was not found, or when the tests are red without one."""
    chosen = [fault for fault in faults() if not names or fault.name in names]
    if unknown := set(names) - {fault.name for fault in chosen}:
        sys.exit(f"There is no fault {', '.join(sorted(unknown))} in {FAULTS_FILE}.")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = copy_of_the_project(Path(folder))
        without_fault = verdict(copy, sorted({test for fault in chosen for test in fault.tests}))
        if without_fault != "green":
            sys.exit(f"Without any fault the tests are not green, but: {without_fault}.")
        for fault in chosen:
            original = (copy / fault.file).read_bytes()
            fault.put_into(copy)
            found = verdict(copy, fault.tests) in ("red", "hangs")
            (copy / fault.file).write_bytes(original)
            missed += not found
            print(f"{'found    ' if found else 'NOT FOUND'}  {fault.name}  ({fault.file})", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} faults were found.")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
