"""The version of this project, which each report of a load has. A test compares it with that in `pyproject.toml`."""

PROJECT_VERSION = "0.2.0"
