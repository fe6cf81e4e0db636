"""Every option of the contract, through every channel, in the promised order; mistakes are one sentence."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import DictionaryProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.apis.api import Api
from include.apis.datasets import DATASETS
from include.configure.options import SourceOptions, json_path
from include.configure.resolution import resolve_options
from include.errors import ConfigurationError

REQUIRED = {"base_url": "https://api.example.com", "api_key": "s3cr3t/+key=%&"}

# The contract's table of defaults.
DEFAULTS = {
    "path": "/v1/datasets",
    "data_selector": "data",
    "total_path": "total",
    "page_size": 100,
    "offset_param": "offset",
    "limit_param": "limit",
    "api_key_param": "api_key",
    "api_key_location": "query",
    "params": {},
    "primary_key": "id",
    "cursor_path": None,
    "start_param": None,
    "end_param": None,
    "max_parallel_requests": 8,
    "requests_per_second": None,
    "retry_statuses": [],
    "nested": "tables",
    "lookback_days": 0,
}

# Of each option: how a person writes it in the environment and in TOML, and what it then is.
WRITTEN: dict[str, tuple[str, str, Any]] = {
    "base_url": ("http://other", '"http://other"', "http://other"),
    "api_key": ("a b", '"a b"', "a b"),
    "path": ("/api/3/list", '"/api/3/list"', "/api/3/list"),
    "data_selector": ("$", '"$"', "$"),
    "total_path": ("meta.total_count", '"meta.total_count"', "meta.total_count"),
    "page_size": ("50", "50", 50),
    "offset_param": ("skip", '"skip"', "skip"),
    "limit_param": ("take", '"take"', "take"),
    "api_key_param": ("X-Token", '"X-Token"', "X-Token"),
    "api_key_location": ("header", '"header"', "header"),
    "params": ('{"format": "json", "n": 1}', '{format = "json", n = 1}', {"format": "json", "n": 1}),
    "primary_key": ("code", '"code"', "code"),
    "cursor_path": ("meta.modified", '"meta.modified"', "meta.modified"),
    "max_parallel_requests": ("3", "3", 3),
    "requests_per_second": ("2.5", "2.5", 2.5),
    "retry_statuses": ("[408, 425]", "[408, 425]", [408, 425]),
    "nested": ("json", '"json"', "json"),
    "lookback_days": ("1.5", "1.5", 1.5),
}


@pytest.fixture(autouse=True)
def _project(dlt_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(f"SOURCES__DATASETS__{name.upper()}", value)


def declared(name: str, **paginator: Any) -> Api:
    """An API with one resource, paged by offset."""
    resource = {
        "name": name,
        "primary_key": "id",
        "endpoint": {"paginator": {"type": "offset", "limit": 100, **paginator}},
    }
    auth = {"type": "api_key", "name": "api_key", "location": "query"}
    return Api(name, (name,), lambda: {"client": {"auth": auth}, "resources": [resource]})  # type: ignore[typeddict-item]


def write_config(home: Path, toml: str) -> None:
    (home / ".dlt" / "config.toml").write_text(toml)
    Container()[PluggableRunContext].reload(str(home))


def put_connection_first(values: Mapping[str, Any]) -> None:
    """A provider before all others, where `config_provider` puts the connections."""
    provider = DictionaryProvider()
    for name, value in values.items():
        provider.set_value(name, value, None, "sources", "datasets")
    Container()[PluggableRunContext].providers.providers.insert(0, provider)


def test_the_defaults_are_those_of_the_contract() -> None:
    options = resolve_options(DATASETS)
    assert {name: getattr(options, name) for name in DEFAULTS} == DEFAULTS
    assert (options.base_url, options.api_key) == tuple(REQUIRED.values())


def test_this_file_knows_every_option() -> None:
    known = {field.name for field in fields(SourceOptions)}
    paired = {"start_param", "end_param", "cursor_format", "sync_mode"}
    assert set(WRITTEN) | paired >= known & (set(DEFAULTS) | set(REQUIRED))
    assert set(DEFAULTS) <= known


@pytest.mark.parametrize("option", WRITTEN)
@pytest.mark.parametrize("channel", ["environment", "config.toml", "connection", "run parameters"])
def test_each_option_works_through_each_channel(
    dlt_home: Path, monkeypatch: pytest.MonkeyPatch, option: str, channel: str
) -> None:
    in_environment, in_toml, value = WRITTEN[option]
    run_params = {}
    if channel == "environment":
        monkeypatch.setenv(f"SOURCES__DATASETS__{option.upper()}", in_environment)
    elif channel == "config.toml":
        monkeypatch.delenv(f"SOURCES__DATASETS__{option.upper()}", raising=False)
        file = "secrets.toml" if option == "api_key" else "config.toml"
        (dlt_home / ".dlt" / file).write_text(f"[sources.datasets]\n{option} = {in_toml}\n")
        Container()[PluggableRunContext].reload(str(dlt_home))
    elif channel == "connection":
        put_connection_first({option: value})
    else:
        run_params = {option: value}
    resolved = getattr(resolve_options(DATASETS, run_params), option)
    assert resolved == value
    assert type(resolved) is type(value)


def test_the_start_and_end_parameters_come_with_a_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"cursor_path": "updated_at", "start_param": "since", "end_param": "before"}.items():
        monkeypatch.setenv(f"SOURCES__DATASETS__{name.upper()}", value)
    options = resolve_options(DATASETS)
    assert (options.start_param, options.end_param) == ("since", "before")


def test_an_empty_total_path_switches_the_total_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__DATASETS__TOTAL_PATH", "")
    assert not resolve_options(DATASETS).total_path


def test_each_place_wins_over_those_below_it(dlt_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_options(declared("datasets", limit=1)).page_size == 1
    write_config(dlt_home, "[sources.datasets]\npage_size = 2\n")
    assert resolve_options(declared("datasets", limit=1)).page_size == 2
    monkeypatch.setenv("SOURCES__DATASETS__PAGE_SIZE", "3")
    assert resolve_options(declared("datasets", limit=1)).page_size == 3
    put_connection_first({"page_size": 4})
    assert resolve_options(declared("datasets", limit=1)).page_size == 4
    assert resolve_options(declared("datasets", limit=1), {"page_size": 5}).page_size == 5


def test_an_option_that_no_parameter_names_still_comes_from_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__DATASETS__PAGE_SIZE", "3")
    assert resolve_options(DATASETS, {"path": "/x"}).page_size == 3


@pytest.mark.parametrize("prefix", ["", "SOURCES__"])
def test_no_other_variable_of_the_environment_is_an_option(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    # Every shell has a PATH, and dlt looks for an option `path` there.
    for option, (in_environment, _, _) in WRITTEN.items():
        monkeypatch.setenv(f"{prefix}{option.upper()}", in_environment)
    options = resolve_options(DATASETS)
    assert {name: getattr(options, name) for name in DEFAULTS} == DEFAULTS
    assert (options.base_url, options.api_key) == tuple(REQUIRED.values())


def test_each_resource_has_options_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(f"SOURCES__OTHERS__{name.upper()}", value)
    monkeypatch.setenv("SOURCES__DATASETS__PAGE_SIZE", "3")
    monkeypatch.setenv("SOURCES__OTHERS__PAGE_SIZE", "4")
    assert resolve_options(declared("others")).page_size == 4
    assert resolve_options(DATASETS).page_size == 3


@pytest.mark.parametrize("missing", REQUIRED)
def test_what_is_missing_is_named_with_the_place_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(f"SOURCES__DATASETS__{missing.upper()}")
    with pytest.raises(ConfigurationError) as caught:
        resolve_options(DATASETS)
    message = str(caught.value)
    assert f"`{missing}`" in message
    assert "connection `datasets_api`" in message
    assert f"SOURCES__DATASETS__{missing.upper()}" in message
    assert not [value for value in REQUIRED.values() if value in message]
    assert "\n" not in message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("page_size", "many"),
        ("page_size", "1.5"),
        ("page_size", "0"),
        ("page_size", "-1"),
        ("max_parallel_requests", "0"),
        ("requests_per_second", "0"),
        ("requests_per_second", "fast"),
        ("lookback_days", "-1"),
        ("lookback_days", "s3cr3t/+key"),
        ("params", "format=json"),
        ("params", "[1]"),
        ("retry_statuses", "often"),
        ("retry_statuses", "[200]"),
        ("retry_statuses", '["429"]'),
        ("retry_statuses", '{"429": 1}'),
        ("api_key_param", "a\r\nX-Other: 1"),
        ("nested", "xml"),
        ("api_key_location", "body"),
        ("cursor_format", "rfc1123"),
        ("start_param", "since"),
        ("end_param", "before"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_name_of_its_option(
    monkeypatch: pytest.MonkeyPatch, option: str, value: str
) -> None:
    monkeypatch.setenv(f"SOURCES__DATASETS__{option.upper()}", value)
    with pytest.raises(ConfigurationError) as caught:
        resolve_options(DATASETS)
    assert f"`{option}`" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("option", "value"), [("page_size", "many"), ("nested", "xml"), ("params", [1]), ("page_size", 0)]
)
@pytest.mark.parametrize("channel", ["connection", "run parameters"])
def test_a_value_that_cannot_be_is_refused_in_every_channel(option: str, value: Any, channel: str) -> None:
    if channel == "connection":
        put_connection_first({option: value})
    with pytest.raises(ConfigurationError, match=f"`{option}`"):
        resolve_options(DATASETS, {option: value} if channel == "run parameters" else None)


@pytest.mark.parametrize("path", ["", "data[", "a b c", "$..["])
def test_a_path_that_is_no_json_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="`data_selector`"):
        json_path("data_selector", path)


@pytest.mark.parametrize("key", ["s3cr3t/+key=%&", "k", "a b", "pässwörd\"'\\", "~!@#$%^&*()"])
def test_a_key_that_a_header_can_carry_is_taken(key: str) -> None:
    assert resolve_options(DATASETS, {"api_key": key, "api_key_location": "header"}).api_key == key


@pytest.mark.parametrize("name", ["X Key", "X-Key:", "X-Key\nX-Other", "X-Key\n", "Schlüssel"])
def test_a_name_that_no_header_can_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="`api_key_param`"):
        resolve_options(DATASETS, {"api_key_param": name, "api_key_location": "header"})
