"""An environment for each contender, under `.bench/`: never one of the project's requirements.

In: nothing. Out: a folder with a `bin/python` for each name; made when first asked for and when what it holds has
changed, which needs the network. Through Airflow this project runs in its own `.venv`, with the tools of its tests.
"""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / ".bench"

# tap-rest-api-msdk needs pkg_resources. What is pinned is pinned to this project's versions.
REQUIREMENTS: dict[str, list[str]] = {
    "limit": ["aiohttp", "uvloop", "orjson==3.12.0", "pyarrow==25.0.1", "duckdb==1.5.5", "psycopg2-binary"],
    "project": ["-r", f"{PROJECT}/requirements.txt", "-c", f"{PROJECT}/constraints.txt"],
    "server": ["uvicorn", "uvloop", "httptools", "orjson==3.12.0"],
    "dlt": ["dlt[duckdb,postgres,parquet]==1.31.0", "duckdb==1.5.5"],
    "tap": ["tap-rest-api-msdk", "setuptools<80"],
    "target-duckdb": ["target-duckdb"],
    "target-postgres": ["meltanolabs-target-postgres"],
    "airbyte": ["airbyte", "airbyte-cdk"],
}
# Whose versions are told: each environment and its distributions.
TOLD = {
    "limit": ["aiohttp", "orjson", "pyarrow", "duckdb"],
    "project": ["dlt", "duckdb", "pycurl", "apache-airflow"],
    "dlt": ["dlt", "duckdb"],
    "tap": ["tap-rest-api-msdk"],
    "target-duckdb": ["target-duckdb", "duckdb"],
    "target-postgres": ["meltanolabs-target-postgres"],
    "airbyte": ["airbyte", "airbyte-cdk", "duckdb"],
}


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made if it is missing. Raises CalledProcessError."""
    folder = FOLDER / name
    complete = folder / ".complete"
    python = folder / "bin" / "python"
    holds = "\n".join(Path(given).read_text() if given.endswith(".txt") else given for given in REQUIREMENTS[name])
    if not complete.exists() or complete.read_text() != holds:
        print(f"Making the environment {folder.relative_to(PROJECT)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]], check=True)
        complete.write_text(holds)
    return python


def versions() -> str:
    """The versions of what was compared, one line for each environment."""
    script = "import sys; from importlib.metadata import version\nfor name in sys.argv[1:]: print(name, version(name))"
    lines = []
    for name, told in TOLD.items():
        if (FOLDER / name / ".complete").exists():
            found = subprocess.check_output([python_of(name), "-c", script, *told], text=True)
            lines.append(f"- `{name}`: {', '.join(found.splitlines())}")
    return "\n".join(lines)
