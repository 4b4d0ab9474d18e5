"""The Gaia rule of DecentFilter."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from ampelstream.errors import UnitError
from ampelstream.model.alert import Alert
from ampelstream.sky.catalogs import CatalogStore, Match
from ampelstream.units import Resources
from ampelstream.units.filters.decent import DecentFilter

MakeAlert = Callable[..., Alert]
STAR = {
    "phot_g_mean_mag": 15.0,
    "pmra": 10.0,
    "pmra_error": 1.0,
    "pmdec": 0.1,
    "pmdec_error": 1.0,
    "parallax": 0.1,
    "parallax_error": 1.0,
    "astrometric_excess_noise_sig": 0.0,
}


class OneStar:
    """A store with one catalogue, and a catalogue with one star; remembers the cones."""

    name, version = "Gaia", "v1"

    def __init__(self, separation: float, row: dict[str, Any]) -> None:
        self.match = Match(separation_arcsec=separation, row=row)
        self.opened: list[str] = []
        self.cones: list[tuple[float, float, float]] = []

    def open(self, name: str) -> "OneStar":
        self.opened.append(name)
        return self

    def require(self, columns: Sequence[str]) -> None:
        assert set(columns) == set(STAR)

    def cone(self, ra: float, dec: float, radius: float, columns: Sequence[str]) -> Sequence[Match]:
        assert set(columns) == set(STAR)
        self.cones.append((ra, dec, radius))
        return [self.match]


def opened(cuts: dict[str, Any], store: OneStar, **config: Any) -> DecentFilter:
    unit = DecentFilter(**{**cuts, "gaia_rs": 20, **config})
    unit.open(Resources(catalogs=cast("CatalogStore", store)))
    return unit


@pytest.mark.parametrize(
    ("separation", "changes", "rejected"),
    [
        (1.0, {}, True),
        (1.0, {"pmra": -10.0}, True),
        (1.0, {"pmra": 3.0}, False),
        (1.0, {"pmra": 0.1, "pmdec": -3.1}, True),
        (1.0, {"pmra": 0.1, "parallax": 3.1}, True),
        (1.0, {"pmra": 0.1}, False),
        (1.0, {"pmra": None}, False),
        (1.0, {"pmra_error": None}, False),
        (1.0, {"pmra_error": 0.0}, False),
        (1.0, {"phot_g_mean_mag": 9.0}, True),
        (1.0, {"phot_g_mean_mag": 8.99}, False),
        (2.3, {"phot_g_mean_mag": 20.0}, True),  # the radius is 2.4 arcsec there
        (2.4, {"phot_g_mean_mag": 20.0}, False),
        (1.0, {"phot_g_mean_mag": 20.01}, False),
        (1.0, {"phot_g_mean_mag": None}, False),
        (1.0, {"astrometric_excess_noise_sig": 998.9}, True),
        (1.0, {"astrometric_excess_noise_sig": 999.0}, False),
        (1.0, {"astrometric_excess_noise_sig": None}, True),
        (1.8 + 0.6 * math.exp(5 / 2.05) - 1e-9, {}, True),
        (1.8 + 0.6 * math.exp(5 / 2.05) + 1e-9, {}, False),
    ],
)
def test_what_makes_a_star(
    cuts: dict[str, Any],
    make_alert: MakeAlert,
    separation: float,
    changes: dict[str, Any],
    rejected: bool,  # noqa: FBT001  (a column of the table)
) -> None:
    verdict = opened(cuts, OneStar(separation, {**STAR, **changes})).evaluate(make_alert())
    assert verdict.reason == ("gaia" if rejected else "")


def test_gaia_comes_last_and_reads_the_named_catalogue(
    cuts: dict[str, Any], make_alert: MakeAlert
) -> None:
    store = OneStar(1.0, STAR)
    unit = opened(cuts, store, gaia_catalog="MyGaia")
    assert unit.evaluate(make_alert(rb=0.0)).reason == "rb"
    assert store.cones == []
    assert unit.evaluate(make_alert()).reason == "gaia"
    assert store.opened == ["MyGaia"]
    assert store.cones == [(180.0, 60.0, 20.0)]


def test_without_a_radius_nothing_is_opened(cuts: dict[str, Any], make_alert: MakeAlert) -> None:
    store = OneStar(1.0, STAR)
    unit = opened(cuts, store, gaia_rs=0)
    assert unit.evaluate(make_alert()).accept
    assert store.opened == []


def test_not_opened_is_an_error(cuts: dict[str, Any], make_alert: MakeAlert) -> None:
    with pytest.raises(UnitError, match="call open"):
        DecentFilter(**{**cuts, "gaia_rs": 20}).evaluate(make_alert())


def test_fingerprint_follows_configuration_and_catalogue(cuts: dict[str, Any]) -> None:
    first, second = OneStar(1.0, STAR), OneStar(1.0, STAR)
    second.version = "v2"
    assert DecentFilter(**cuts).fingerprint() == DecentFilter(**cuts).fingerprint()
    assert (
        DecentFilter(**cuts).fingerprint()
        != DecentFilter(**cuts, apply_max_nbad=True).fingerprint()
    )
    assert opened(cuts, first).fingerprint() != opened(cuts, second).fingerprint()
