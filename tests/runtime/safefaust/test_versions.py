"""Only the proved versions of the libraries whose private parts we mend."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ampelstream.runtime.safefaust import versions
from ampelstream.runtime.safefaust.failures import SettingsError

PROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def test_the_installed_ones_are_the_proved_ones() -> None:
    versions.check_versions()


def test_the_project_pins_the_same() -> None:
    wanted = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    plain = {re.sub(r"\[.*\]", "", one) for one in wanted}
    assert {f"{name}=={version}" for name, version in versions.PINNED.items()} <= plain


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = versions.PINNED | {"aiokafka": "0.15.0"}
    monkeypatch.setattr(versions, "version", found.__getitem__)
    with pytest.raises(SettingsError, match=r"aiokafka 0\.14\.0 \(found 0\.15\.0\)") as error:
        versions.check_versions()
    assert "rocksdict 0.3.29 (found" not in str(error.value)


def test_a_missing_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", missing)
    with pytest.raises(SettingsError, match=r"faust-streaming 0\.15\.3 \(found nothing\)"):
        versions.check_versions()
