"""Servers are installed once, and one that cannot be had says why. No network is asked here."""

import shutil
from pathlib import Path

import pytest

from tests.apis.servers import environments
from tests.apis.servers.environments import CannotInstall
from tests.apis.servers.started import Servers


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "environments")


def test_an_installation_is_made_once_and_anew_when_its_pins_change(tmp_path: Path) -> None:
    pins = tmp_path / "pins"
    installed: list[Path] = []
    pins.write_text("one==1")
    for _ in range(2):
        environments._once("one", [pins], installed.append)
    assert len(installed) == 1
    pins.write_text("one==2")
    environments._once("one", [pins], installed.append)
    assert len(installed) == 2


def test_an_interrupted_installation_is_taken_up_again_from_nothing(tmp_path: Path) -> None:
    pins = tmp_path / "pins"
    pins.write_text("one==1")

    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise CannotInstall("the network went away")

    with pytest.raises(CannotInstall):
        environments._once("one", [pins], interrupted)
    folder = environments._once("one", [pins], lambda folder: (folder / "whole").touch())
    assert sorted(file.name for file in folder.iterdir()) == [".installed", "whole"]


def test_the_first_error_of_an_installer_is_in_the_reason() -> None:
    said = "echo retrying; echo npm error code ENOTFOUND >&2; echo npm error see the log >&2; exit 3"
    with pytest.raises(CannotInstall, match=r"ended with 3 and said: npm error code ENOTFOUND$"):
        environments._run(["sh", "-c", said])


@pytest.mark.parametrize("required", [True, False])
def test_a_server_that_cannot_be_had_skips_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: bool
) -> None:
    """As any other service: REQUIRE_SERVICES=1 decides. It is found out once."""
    asked: list[str] = []
    monkeypatch.setattr(shutil, "which", asked.append)
    monkeypatch.setenv("REQUIRE_SERVICES", "1" if required else "")
    outcome = pytest.fail.Exception if required else pytest.skip.Exception
    with Servers(tmp_path) as servers:
        for _ in range(2):
            with pytest.raises(outcome, match="there is no node with npm on PATH"):
                servers["json-server-1"]
    assert asked == ["npm"]
