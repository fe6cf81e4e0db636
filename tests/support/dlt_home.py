"""dlt in a folder of a test's own: no settings of anybody else, no active pipeline."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.pipeline import PipelineContext

DLT_SETTINGS = ("SOURCES__", "DATASETS__", "RUNTIME__", "DESTINATION__", "SCHEMA__", "NORMALIZE__", "LOAD__", "DLT_")


@contextmanager
def dlt_in(home: Path) -> Iterator[None]:
    """dlt with an empty project and data folder below `home`, no settings in the environment, no active pipeline."""
    (home / ".dlt").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(DLT_SETTINGS):
                patch.delenv(name)
        patch.setenv("DLT_PROJECT_DIR", str(home))
        patch.setenv("DLT_DATA_DIR", str(home / "data"))
        patch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        patch.setenv("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
        run_context = Container()[PluggableRunContext]
        earlier = run_context.push_context()
        run_context.reload(str(home))
        yield
        active = Container()[PipelineContext]
        if active.is_active():
            active.deactivate()
    run_context.pop_context(earlier)
