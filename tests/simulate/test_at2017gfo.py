"""AT2017gfo in the simulation is AT2017gfo as published."""

import csv
from pathlib import Path
from random import Random

import pytest

from ampelstream.model.times import jd_from_iso
from ampelstream.simulate.at2017gfo import DEC, PHOTOMETRY, RA, kilonova, kilonova_exposures
from ampelstream.simulate.mocksky import NGC4993, luminosity_distance
from ampelstream.simulate.survey import T0_JD, Survey
from ampelstream.sky.healpix import angular_separation


def test_host_is_within_the_search_radius() -> None:
    away = angular_separation(RA, DEC, NGC4993.ra, NGC4993.dec) * 3600.0
    # AMPEL searches GLADE within 10 arcsec; its own figure for AT2017gfo is 9.95
    assert away == pytest.approx(9.95, abs=0.04)


def test_host_distance() -> None:
    # astropy's Planck15 gives 43.61 Mpc at z = 0.00978 and 229.63 at 0.05
    assert luminosity_distance(NGC4993.z) == pytest.approx(43.61, abs=0.05)
    assert luminosity_distance(0.05) == pytest.approx(229.63, rel=1e-3)


def test_nothing_is_seen_before_the_merger_and_something_after_it() -> None:
    source, rng = kilonova(), Random(1)  # noqa: S311  (a simulation, no secrets)
    exposures = kilonova_exposures(Survey(170817))
    seen = [(one.jd, one.fid, source.measure(one, rng)) for one in exposures]
    before = [one for jd, _, one in seen if jd < T0_JD]
    assert len(before) > 10
    assert set(before) == {None}
    detections = [(jd, fid, one) for jd, fid, one in seen if one is not None]
    assert len(detections) == len(PHOTOMETRY) - 1, "g = 21.13 is below the limit"
    assert 0.4 < detections[0][0] - T0_JD < 0.6
    assert len({exposure.pid(8) for exposure in exposures}) == len(exposures)


@pytest.mark.realdata
def test_magnitudes_are_the_published_ones(data_dir: Path) -> None:
    """Every point of the table is within 0.05 mag of one in the collected photometry."""
    with (data_dir / "photometry/GW170817.dat").open() as file:
        published = [
            (mjd(row["date"]), row["band"], float(row["mag"]))
            for row in csv.DictReader(file, delimiter=" ")
            if row["band"] in {"g", "r", "i"}
        ]
    assert len(published) > 40
    for when, band, mag, magerr in PHOTOMETRY:
        near = [m for t, b, m in published if b == band and abs(t - when) < 0.05]
        assert min(abs(mag - one) for one in near) < 0.05, (when, band)
        assert 0.0 < magerr < 0.2


def mjd(iso: str) -> float:
    return jd_from_iso(iso) - 2400000.5
