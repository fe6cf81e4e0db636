"""The environment variables of this project, each once: name, default, unit and check.

In: the environment of the process. Out: a frozen `Settings`. A variable that is empty or blank is one that is not set. What
dlt names itself (`SOURCES__…`, `RUNTIME__REQUEST_…`) is not here: dlt resolves it, from more places than the environment.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from include.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]
# What a column of Airflow's database holds.
_LARGEST = 2**31 - 1
# Airflow's waits end at one hour (`max_retry_delay` in the DAG), and a date overflows beyond some.
_LONGEST_SECONDS = 7 * 24 * 60 * 60


def _absolute_file(path: Path) -> Path:
    try:
        file = path.expanduser().absolute()
    except RuntimeError as no_such_user:
        raise ValueError from no_such_user
    if file.is_dir():
        raise ValueError
    return file


class Settings(BaseSettings):
    """What the environment says; `description` is what a value has to be, for the sentence of the error."""

    model_config = SettingsConfigDict(frozen=True, case_sensitive=True, extra="ignore")

    duckdb_path: Annotated[Path, AfterValidator(_absolute_file)] = Field(
        default=PROJECT / "data" / "datasets.duckdb",
        validation_alias="DATASETS_DUCKDB_PATH",
        description="the path of a file, not of a folder",
    )
    """The embedded DuckDB file, absolute; it and its folder need not be there."""
    task_retries: int = Field(
        default=3, validation_alias="DATASETS_TASK_RETRIES", ge=0, le=_LARGEST, description="a whole number, 0 or more"
    )
    """Airflow's retries of a task: its extra tries."""
    task_retry_delay_seconds: float = Field(
        default=60,
        validation_alias="DATASETS_TASK_RETRY_DELAY_SECONDS",
        ge=0,
        le=_LONGEST_SECONDS,
        allow_inf_nan=False,
        description=f"a number of seconds from 0 to {_LONGEST_SECONDS}",
    )
    """The wait before the first retry; it doubles with each."""
    pool: str | None = Field(default=None, validation_alias="DATASETS_POOL", description="the name of an Airflow pool")
    """None: Airflow's default pool."""
    pool_slots: int = Field(
        default=1, validation_alias="DATASETS_POOL_SLOTS", ge=1, le=_LARGEST, description="a whole number, 1 or more"
    )
    """Slots of the pool that a load takes."""
    task_max_active: int = Field(
        default=0,
        validation_alias="DATASETS_TASK_MAX_ACTIVE",
        ge=0,
        le=_LARGEST,
        description="a whole number, 0 or more",
    )
    """The most loads of one table at the same time, over all runs; 0: no limit."""

    @model_validator(mode="before")
    @classmethod
    def _blank_is_not_set(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: text.strip() for name, text in given.items() if text.strip()}


def read_settings() -> Settings:
    """The settings as the environment is now.

    Raises ConfigurationError (permanent) that names each wrong variable and what it should be, never its value.
    """
    wanted = {str(field.validation_alias): field.description for field in Settings.model_fields.values()}
    try:
        return Settings()
    except ValidationError as error:
        wrong = dict.fromkeys(str(found["loc"][0]) for found in error.errors())
    raise ConfigurationError(
        " ".join(f"The environment variable `{name}` has to be {wanted[name]}, or empty." for name in wrong)
    )
