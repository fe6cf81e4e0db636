"""`include` has no `__init__.py`: it merges with the `include/` that an existing Airflow project has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BOTH = r"""
import include.theirs
import include.lists.names
from include.configure.settings import read_settings
from include.errors import ConfigurationError

print(include.theirs.NAME, include.lists.names.NAMES, read_settings().task_retries)
"""
# With Airflow: some seconds.
WITH_PIPELINE = (
    "import include.pipeline, include.theirs\nprint(include.theirs.NAME, include.pipeline.load_task.__name__)"
)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """An Airflow project with a folder `include` of its own, as the Astro CLI makes it: without an `__init__.py`."""
    (tmp_path / "include" / "lists").mkdir(parents=True)
    (tmp_path / "include" / "theirs.py").write_text("NAME = 'theirs'\n")
    (tmp_path / "include" / "lists" / "__init__.py").touch()
    (tmp_path / "include" / "lists" / "names.py").write_text("NAMES = ['a', 'b']\n")
    return tmp_path


def printed_with(path: list[Path], code: str, home: Path) -> str:
    """What `code` prints in a process with `path` as its PYTHONPATH, run elsewhere."""
    home.mkdir()
    # The settings of other tests are not those of this deployment.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DATASETS_")}
    environment = {**kept, "AIRFLOW_HOME": str(home), "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
def test_ours_and_theirs_are_one_package(theirs: Path, tmp_path: Path, ours_first: bool) -> None:
    path = [PROJECT, theirs] if ours_first else [theirs, PROJECT]
    assert printed_with(path, BOTH, tmp_path / "home") == "theirs ['a', 'b'] 3"


def test_the_pipeline_is_found_beside_theirs(theirs: Path, tmp_path: Path) -> None:
    assert printed_with([theirs, PROJECT], WITH_PIPELINE, tmp_path / "home") == "theirs load_task"


def test_only_the_rooms_are_regular_packages() -> None:
    assert not (PROJECT / "include" / "__init__.py").exists()
    folders = {file.parent for file in (PROJECT / "include").glob("**/*.py")} - {PROJECT / "include"}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]
