"""What docker-compose.yaml and the Dockerfile promise, held without Docker."""

import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from include.configure.settings import Settings, read_settings

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = PROJECT / "docker-compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# Ends by itself, and others wait for that.
ONE_SHOT = {"init"}
LONG_RUNNING = sorted(set(SERVICES) - ONE_SHOT)
PUBLIC_IMAGES = {"apache/airflow:3.3.2-python3.13", "postgres:17", "redis:8"}
SECRETS = (
    *("ADMIN_PASSWORD", "FLOWER_PASSWORD", "FERNET_KEY", "JWT_SECRET", "API_SECRET_KEY"),
    *("METADATA_PASSWORD", "REDIS_PASSWORD", "WAREHOUSE_PASSWORD", "DEMO_API_KEY"),
)


@pytest.fixture
def make_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """bin/make-env as a module that writes into a folder of this test."""
    loader = importlib.machinery.SourceFileLoader("make_env", str(PROJECT / "bin" / "make-env"))
    spec = importlib.util.spec_from_loader("make_env", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(module)
    (tmp_path / "secrets").mkdir()
    shutil.copy(PROJECT / "connections.example.json", tmp_path)
    for name, path in {
        "PROJECT": ".",
        "ENV_FILE": ".env",
        "CONNECTIONS_FILE": "secrets/connections.json",
        "SETTINGS_FILE": "secrets/airflow.env",
    }.items():
        monkeypatch.setattr(module, name, tmp_path / path)
    return module


def test_all_services_of_the_stack_are_there() -> None:
    assert set(SERVICES) == {
        *("metadata", "warehouse", "redis", "init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"),
        *("demo-api", "flower"),
    }
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "demo-api": ["demo"],
        "flower": ["flower"],
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_secret_is_in_the_file(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|SECRET|FERNET|_KEY$|AUTH$|URL$|BACKEND$|CONN$", key) and "://" not in str(value):
            assert re.fullmatch(r"(admin:)?\$\{\w+(:\?[^}]*|:-)?\}", str(value)), f"{name}: {key} is written out"
        for password in re.findall(r"://[^:/]*:([^@/]+)@", str(value)):
            assert re.match(r"\$\{\w+", password), f"{name}: the password in {key} is written out"


def test_a_missing_secret_is_an_error_and_has_no_default() -> None:
    text = COMPOSE_FILE.read_text()
    for secret in SECRETS:
        assert re.search(rf"\$\{{{secret}\b", text), f"{secret} is not used"
        assert not re.search(rf"\$\{{{secret}:?-[^}}]", text), f"{secret} has a default"
    for secret in set(SECRETS) - {"DEMO_API_KEY"}:
        # Of a profile that may be off: an empty key is refused by the demo API itself.
        assert re.search(rf"\$\{{{secret}:\?", text), f"{secret} may be empty"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    image = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", SERVICES[name]["image"])
    repository, _, tag = image.partition(":")
    assert tag not in ("", "latest")
    assert image in PUBLIC_IMAGES or repository in ("datasets-airflow", "datasets-demo")


def test_the_dockerfile_builds_on_the_pinned_image_alone() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    version = re.search(r"^apache-airflow==(.+)$", (PROJECT / "requirements.txt").read_text(), re.M)
    assert version
    stages = {"production", "demo"}
    bases = set(re.findall(r"^FROM (\S+)", text, re.M)) - stages
    assert bases == {f"apache/airflow:{version[1]}-python3.13"}
    assert re.findall(r"^USER (\S+)", text, re.M)[-1] == "airflow"
    assert "HEALTHCHECK" in text
    assert all(line.count("-c constraints.txt") for line in re.findall(r"pip install(?:.*\\\n)*.*", text))


def test_celery_is_held_where_it_works() -> None:
    locked = (PROJECT / "constraints.txt").read_text().splitlines()
    # `pip install "apache-airflow[celery]"` takes 5.7.0, with which the provider cannot be imported.
    assert {"celery==5.6.3", "kombu==5.6.2", "sqlalchemy==2.0.54"} <= set(locked)


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_has_a_health_check_limits_restarts_and_rotated_logs(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["restart"] == "unless-stopped"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_can_change_nothing_but_its_volumes_and_its_memory(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert 0 < service["pids_limit"] <= 1024
    written = {entry.partition(":")[0] for entry in service["tmpfs"]} | set(service.get("volumes", []))
    assert "/tmp" in written
    # The entrypoints of databases begin as root; nothing else has a capability.
    databases = {"metadata", "warehouse", "redis"}
    assert set(service.get("cap_add", [])) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert ("cap_add" in service) == (name in databases)
    if "AIRFLOW_HOME" in service.get("environment", {}):
        assert service["environment"]["AIRFLOW_HOME"] in written


def test_code_in_the_image_is_roots() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (.+)$", text, re.M)
    assert copied
    assert all(line.startswith("--chown=root:0 ") for line in copied)


def test_flower_has_a_password_of_its_own() -> None:
    environment = SERVICES["flower"]["environment"]
    assert "FLOWER_PASSWORD" in environment["AIRFLOW__CELERY__FLOWER_BASIC_AUTH"]
    assert "ADMIN_PASSWORD" not in str(environment)


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_slow_commands_get_the_time_they_need(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if re.search("airflow|celery", str(check["test"])):
        # They took 3 to 10 s while a stack started on two cores.
        assert int(check["timeout"].removesuffix("s")) >= 30
        assert int(check["start_period"].removesuffix("s")) >= 60


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_of_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_databases_and_redis_are_inside() -> None:
    inner = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
    for name in ("metadata", "warehouse", "redis"):
        assert set(SERVICES[name]["networks"]) <= inner
        assert "ports" not in SERVICES[name]
    assert "metadata" not in SERVICES["worker"]["networks"], "workers ask the API server, not the database"
    assert all(service.get("networks") for service in SERVICES.values())


def test_workers_hold_no_key_of_the_database() -> None:
    held = str(SERVICES["worker"]["environment"])
    for secret in ("METADATA_PASSWORD", "FERNET_KEY", "JWT_SECRET", "ADMIN_PASSWORD", "WAREHOUSE_PASSWORD"):
        assert secret not in held


def test_every_airflow_process_has_every_setting_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {str(field.validation_alias) for field in Settings.model_fields.values()}
    for name in ("scheduler", "dag-processor", "api-server", "triggerer", "worker"):
        environment = SERVICES[name]["environment"]
        passed = {key: value for key, value in environment.items() if key.startswith("DATASETS_")}
        assert set(passed) == settings, name
        for key, value in passed.items():
            default = re.fullmatch(rf"\$\{{{key}:-(.*)\}}", value)
            assert default, f"{name}: {key} is not that of .env"
            monkeypatch.setenv(key, default[1])
        # What compose passes where .env says nothing is what holds without compose.
        assert read_settings().model_dump() == {name: field.default for name, field in Settings.model_fields.items()}


def test_what_is_mounted_from_here_is_read_only() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("."))


def test_what_a_service_needs_is_healthy_before_it_starts() -> None:
    for service in SERVICES.values():
        for name, needed in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if name in ONE_SHOT else "service_healthy"
            assert needed["condition"] == expected


def test_a_running_load_may_end() -> None:
    worker = SERVICES["worker"]
    assert worker["environment"]["DUMB_INIT_SETSID"] == "0"
    assert worker["stop_grace_period"].endswith("m}")
    # Compose stops in the reverse order: a task reports its end to the API server, and loads into the warehouse.
    assert {"api-server", "redis", "warehouse"} <= set(worker["depends_on"])


def test_the_pools_that_the_deployment_names_exist(make_env: ModuleType) -> None:
    pools = json.loads((PROJECT / "pools.json").read_text())
    named = re.findall(r"^(DATASETS_POOL\w*)=(\w+)$", make_env.env_text(1000), re.M)
    chosen = dict(named)
    assert set(pools) == {"datasets_api", "datasets_destination"}
    # A task that takes more slots than its pool has never starts.
    assert int(chosen["DATASETS_POOL_SLOTS"]) <= pools[chosen["DATASETS_POOL"]]["slots"]


def test_env_is_written_once_for_its_owner_only(make_env: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    make_env.main()
    first = make_env.ENV_FILE.read_text()
    printed = capsys.readouterr().out
    values = make_env.read_env(make_env.ENV_FILE)
    assert len({values[secret] for secret in SECRETS}) == len(SECRETS)
    assert all(len(values[secret]) >= 24 and values[secret] not in printed for secret in SECRETS)
    assert str(make_env.ENV_FILE) in printed
    for path in (make_env.ENV_FILE, make_env.CONNECTIONS_FILE, make_env.SETTINGS_FILE):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    make_env.CONNECTIONS_FILE.write_text("mine")
    make_env.main()
    assert make_env.ENV_FILE.read_text() == first
    assert make_env.CONNECTIONS_FILE.read_text() == "mine"
    assert "Wrote" not in capsys.readouterr().out


def test_the_connections_name_the_stacks_own_services(make_env: ModuleType) -> None:
    make_env.main()
    values = make_env.read_env(make_env.ENV_FILE)
    connections = json.loads(make_env.CONNECTIONS_FILE.read_text())
    api, destination = connections["datasets_api"], connections["datasets_destination"]
    assert (api["host"], api["password"]) == ("http://demo-api:8765", values["DEMO_API_KEY"])
    warehouse = SERVICES[destination["host"]]["environment"]
    assert (destination["schema"], destination["login"]) == (warehouse["POSTGRES_DB"], warehouse["POSTGRES_USER"])
    assert destination["password"] == values["WAREHOUSE_PASSWORD"]


def test_a_task_may_wait_as_long_as_another_runs() -> None:
    hours = re.search(r"execution_timeout=timedelta\(hours=(\d+)\)", (PROJECT / "include" / "api_dag.py").read_text())
    assert hours
    longest = int(hours[1]) * 3600
    assert int(SERVICES["scheduler"]["environment"]["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"]) >= longest
    redelivered = SERVICES["worker"]["environment"]["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
    assert int(redelivered) > 2 * longest, "it waits, and then it runs"


def test_what_the_image_copies_is_there() -> None:
    for names in re.findall(r"^COPY --chown=\S+ (.+) \S+$", (PROJECT / "Dockerfile").read_text(), re.M):
        for name in names.split():
            # git keeps no empty folder
            assert (PROJECT / name).is_file() or any((PROJECT / name).iterdir()), f"a clean checkout has no {name}"


def test_git_and_images_never_see_the_secrets() -> None:
    assert ".env" in (PROJECT / ".gitignore").read_text().splitlines()
    assert "*" in (PROJECT / "secrets" / ".gitignore").read_text().splitlines()
    ignored = (line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#"))
    assert next(ignored) == "*", "an image holds what is listed after this, and nothing else"


def test_compose_itself_takes_the_file(make_env: ModuleType) -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    make_env.main()
    command = ["docker", "compose", "--file", str(COMPOSE_FILE), "--env-file", str(make_env.ENV_FILE)]
    clean = {name: value for name, value in os.environ.items() if name not in make_env.read_env(make_env.ENV_FILE)}
    done = subprocess.run([*command, "config", "--quiet"], env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    without = subprocess.run(
        ["docker", "compose", "--file", str(COMPOSE_FILE), "--env-file", os.devnull, "config", "--quiet"],
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert without.returncode != 0
    assert "is missing in .env; make up writes one" in without.stderr


def test_the_helm_values_run_this_image_and_hold_no_secret() -> None:
    text = (PROJECT / "helm" / "values.yaml").read_text()
    values = yaml.safe_load(text)
    assert values["executor"] == "KubernetesExecutor"
    assert f"apache-airflow=={values['airflowVersion']}" in (PROJECT / "requirements.txt").read_text().splitlines()
    assert values["images"]["airflow"]["tag"].startswith(values["airflowVersion"])
    assert values["createUserJob"]["enabled"] is False, "the chart's own admin has a known password"
    assert values["data"] == {"metadataSecretName": "datasets-metadata"}
    assert not re.search(r"^\s*(password|fernetKey|apiSecretKey|jwtSecret|pass):", text, re.M)
    contexts = values["securityContexts"]
    assert contexts["pod"]["runAsNonRoot"] is True
    assert contexts["containers"]["readOnlyRootFilesystem"] is True
    assert values["networkPolicies"]["enabled"] is True
    # A task asks the API server for its connection; no pod has them all in its environment.
    assert "extraEnvFrom" not in values
    assert {entry["valueFrom"]["secretKeyRef"]["name"] for entry in values["apiServer"]["env"]} == {
        "datasets-connections"
    }
    assert {"/tmp"} <= {mount["mountPath"] for mount in values["volumeMounts"]}
    # Some of them are commented out, as their value depends on what else was made there.
    named = re.findall(r"^  (?:# )?- name: (DATASETS_\w+)$", text, re.M)
    assert sorted(named) == sorted(str(field.validation_alias) for field in Settings.model_fields.values())


def test_the_commands_of_the_page_are_the_ones_that_are_run() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text()
    executed = (PROJECT / "tests" / "compose" / "run").read_text()
    blocks = re.findall(r"^```sh\n(.*)", page, re.M)
    assert {block.removeprefix("# run: ") for block in blocks} == set(
        re.findall(r"stack\.documented\(\"([\w-]+)\"\)", executed)
    )
