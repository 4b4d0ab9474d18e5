"""Finding and configuring units."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from ampelstream.errors import ConfigError
from ampelstream.units import AlertFilter, ObjectUnit, Unit, discovery
from ampelstream.units.discovery import available, configure, resolve
from ampelstream.units.features.risedecline import RiseDecline

OWN = [
    "CatalogMatch",
    "DecentFilter",
    "DigestRedshifts",
    "KilonovaScore",
    "PredetectionFilter",
    "RiseDecline",
    "SkyMapProbability",
]
USERS = '''
from pydantic import Field

from ampelstream.units import AlertFilter

class Limited(AlertFilter):
    """A filter with a key that must be given."""
    limit: float = Field(description="Faintest magnitude [mag].")

class Mine(AlertFilter):
    """A user's filter."""
    limit: float = 1.0

NOT_A_UNIT = 3
'''


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "users_units.py").write_text(USERS)
    (tmp_path / "users_broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "users_wrong.py").write_text("def (:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "users_units"


@pytest.mark.parametrize("name", OWN)
def test_every_unit_that_ships_can_be_resolved(name: str) -> None:
    unit = resolve(name)
    assert unit.__name__ == name
    assert unit.__doc__
    assert issubclass(unit, Unit)


def test_available_lists_them() -> None:
    assert set(OWN) <= set(available())
    assert available() == sorted(available())


@pytest.mark.parametrize("separator", [":", "."])
def test_import_path(users: str, separator: str) -> None:
    unit = resolve(f"{users}{separator}Mine")
    assert unit.__name__ == "Mine"
    assert issubclass(unit, AlertFilter)
    configured = configure(f"{users}{separator}Mine", {"limit": 2})
    assert configured.model_dump() == {"limit": 2.0}


def test_entry_point(users: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("Offered", f"{users}:Mine", discovery.ENTRY_POINTS)

    def offered(**params: Any) -> EntryPoints:
        return EntryPoints([point]).select(**params)

    monkeypatch.setattr(discovery, "entry_points", offered)
    assert resolve("Offered").__name__ == "Mine"
    assert "Offered" in available()
    with pytest.raises(ConfigError, match="Did you mean Offered"):
        resolve("Ofered")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DecentFiltr", "Did you mean DecentFilter"),
        ("decentfilter", "Did you mean DecentFilter"),
        ("Zzz", "nor an import path"),
        ("", "nor an import path"),
        ("nowhere_at_all:Unit", "PYTHONPATH"),
        ("users_broken:Unit", "nothing_of_that_name"),
        ("users_wrong:Unit", "cannot be imported"),
        ("users_units:Mini", "has no Mini. Did you mean Mine"),
        ("users_units:NOT_A_UNIT", "is not a unit; derive it"),
        ("..:x", "nor an import path"),
    ],
)
@pytest.mark.usefixtures("users")
def test_what_cannot_be_found(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(name)
    assert said in str(error.value)


def test_configure() -> None:
    unit = configure("RiseDecline", {"significance": 5})
    assert isinstance(unit, RiseDecline)
    assert isinstance(unit, ObjectUnit)
    assert unit.significance == 5.0


def test_all_problems_are_listed_with_their_mends() -> None:
    with pytest.raises(ConfigError) as error:
        configure("KilonovaScore", {"max_redshif": 0.2, "mode": "x", "min_ndet": "many"})
    said = str(error.value)
    assert "max_redshif: unknown key; did you mean max_redshift?" in said
    assert "mode: must be corrected or ampel (got 'x')" in said
    assert "min_ndet: must be a whole number (got 'many')" in said
    assert "ampelstream units show KilonovaScore" in said


@pytest.mark.usefixtures("users")
def test_missing_keys_are_described() -> None:
    with pytest.raises(ConfigError) as error:
        configure("users_units:Limited", {})
    assert "limit: is missing; add it (Faintest magnitude [mag])" in str(error.value)
    assert "\n  apply_max_nbad" not in str(error.value)


def test_a_problem_of_the_whole() -> None:
    with pytest.raises(ConfigError, match="min_redshift must be below max_redshift"):
        configure("KilonovaScore", {"min_redshift": 1})


def test_keys_for_a_unit_that_has_none() -> None:
    with pytest.raises(ConfigError, match="unknown key; it has no keys, drop it"):
        configure("SkyMapProbability", {"zzz": 1})
