"""The environment variables of this project: their defaults, what is taken, and how the rest is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from include.configure.settings import Settings, read_settings
from include.errors import ConfigurationError

PROJECT = Path(__file__).parents[2]
VARIABLES = [str(field.validation_alias) for field in Settings.model_fields.values()]
DEFAULTS = {
    "duckdb_path": PROJECT / "data" / "datasets.duckdb",
    "task_retries": 3,
    "task_retry_delay_seconds": 60.0,
    "pool": None,
    "pool_slots": 1,
    "task_max_active": 0,
}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_an_environment_the_defaults_hold() -> None:
    assert read_settings().model_dump() == DEFAULTS


def test_each_variable_is_named_after_its_field() -> None:
    assert [f"DATASETS_{name.upper()}" for name in Settings.model_fields] == VARIABLES


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("nothing", ["", " ", "\t\n"])
def test_empty_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str, nothing: str) -> None:
    monkeypatch.setenv(name, nothing)
    assert read_settings().model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("TASK_RETRIES", "0", 0),
        ("TASK_RETRIES", " 7 ", 7),
        ("TASK_RETRY_DELAY_SECONDS", "1.5", 1.5),
        ("TASK_RETRY_DELAY_SECONDS", "1e3", 1000.0),
        ("TASK_RETRY_DELAY_SECONDS", "0", 0.0),
        ("TASK_RETRY_DELAY_SECONDS", "604800", 604800.0),
        ("POOL", " datasets_api ", "datasets_api"),
        ("POOL_SLOTS", "8", 8),
        ("TASK_MAX_ACTIVE", "1", 1),
        ("TASK_MAX_ACTIVE", "0", 0),
        ("DUCKDB_PATH", "/tmp/no folder/a.duckdb", Path("/tmp/no folder/a.duckdb")),
    ],
)
def test_a_value_that_can_be_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(f"DATASETS_{name}", text)
    assert read_settings().model_dump() == {**DEFAULTS, name.lower(): value}


def test_the_file_may_be_below_the_home_or_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASETS_DUCKDB_PATH", "~/a.duckdb")
    assert read_settings().duckdb_path == Path("/home/somebody/a.duckdb")
    monkeypatch.setenv("DATASETS_DUCKDB_PATH", "b/a.duckdb")
    assert read_settings().duckdb_path == tmp_path / "b" / "a.duckdb"
    assert list(tmp_path.iterdir()) == [], "nothing is made"


WHOLE_NUMBER = ["many", "-1", "1e3", "1.5", "nan", "inf", "true", "None", "0x10", "99999999999999999999", "s3cr3t"]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        *(("TASK_RETRIES", text, "a whole number, 0 or more") for text in WHOLE_NUMBER),
        *(("POOL_SLOTS", text, "a whole number, 1 or more") for text in [*WHOLE_NUMBER, "0"]),
        *(("TASK_MAX_ACTIVE", text, "a whole number, 0 or more") for text in WHOLE_NUMBER),
        *(
            ("TASK_RETRY_DELAY_SECONDS", text, "a number of seconds from 0 to 604800")
            for text in ("soon", "-1", "-0.5", "nan", "inf", "-inf", "1e400", "604801", "1m", "1,5")
        ),
        *(("DUCKDB_PATH", text, "the path of a file") for text in ("/", "~no-such-user-here/a.duckdb")),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, wanted: str
) -> None:
    monkeypatch.setenv(f"DATASETS_{name}", text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    message = str(caught.value)
    assert message.startswith(f"The environment variable `DATASETS_{name}` has to be {wanted}")
    assert "s3cr3t" not in message
    assert "\n" not in message
    # pydantic's own error shows the value.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASETS_TASK_RETRIES", "many")
    monkeypatch.setenv("DATASETS_POOL_SLOTS", "0")
    with pytest.raises(ConfigurationError, match=r"`DATASETS_TASK_RETRIES` has .* `DATASETS_POOL_SLOTS` has "):
        read_settings()


def test_each_setting_says_what_it_has_to_be() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings().pool = "other"  # type: ignore[misc]
