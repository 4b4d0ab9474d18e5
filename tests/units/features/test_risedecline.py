"""RiseDecline on made light curves and on two real ones."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from ampelstream.errors import UnitError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.units import Inputs
from ampelstream.units.features.risedecline import RiseDecline, RiseDeclineResult


def point(
    jd: float, fid: int, mag: float | None, *, err: float | None = 0.05, positive: bool = True
) -> Datapoint:
    return Datapoint(
        id=int(jd * 1e4) * 10 + fid,
        jd=jd,
        fid=fid,
        mag=mag,
        magerr=err,
        limmag=20.5,
        positive=positive,
    )


def run(*points: Datapoint, **config: float) -> RiseDeclineResult:
    return RiseDecline(**config).compute(Inputs(LightCurve("ZTF24a", points)))


def test_falling() -> None:
    result = run(point(1.0, 1, 18.0), point(2.0, 1, 19.0), point(3.0, 1, 20.0))
    assert (result.bool_rise, result.bool_fall, result.bool_peaked) == (False, True, False)
    band = result.bands["g"]
    assert band.rise_slope is None
    assert band.fade_rate == pytest.approx(1.0)
    assert band.fall_significance is not None
    assert band.fall_significance < -3


def test_rising() -> None:
    result = run(point(1.0, 2, 20.0), point(2.0, 2, 19.0), point(3.0, 2, 18.0))
    assert (result.bool_rise, result.bool_fall, result.bool_peaked) == (True, False, False)
    assert result.bands["r"].fall_slope is None
    assert (result.peak_band, result.peak_mag, result.peak_jd) == ("r", 18.0, 3.0)


def test_peaked_in_one_band() -> None:
    result = run(point(1.0, 1, 20.0), point(2.0, 1, 18.0), point(3.0, 1, 20.0))
    assert (result.bool_rise, result.bool_fall, result.bool_peaked) == (True, True, True)


def test_rise_in_one_band_and_fall_in_another_is_no_peak() -> None:
    blue = (point(1.0, 1, 18.0), point(3.0, 1, 20.0))
    red = (point(1.0, 2, 20.0), point(3.0, 2, 18.0))
    result = run(*blue, *red)
    assert (result.bool_rise, result.bool_fall, result.bool_peaked) == (True, True, False)


def test_slope_and_significance_by_hand() -> None:
    # zero point 25: magnitude 20 is flux 100, magnitude 17.5 is flux 1000
    result = run(point(1.0, 1, 17.5, err=0.1), point(3.0, 1, 20.0, err=0.1))
    band = result.bands["g"]
    error = math.hypot(1000, 100) * 0.1 * math.log(10) / 2.5 / 2
    assert band.fall_slope == pytest.approx(-450.0)
    assert band.fall_significance == pytest.approx(-450.0 / error)
    assert result.fall_significance == band.fall_significance


def test_the_limit_is_on_the_sum_over_bands() -> None:
    one = (point(1.0, 1, 19.0, err=0.2), point(2.0, 1, 19.7, err=0.2))
    other = (point(1.0, 2, 19.0, err=0.2), point(2.0, 2, 19.7, err=0.2))
    assert not run(*one).bool_fall
    assert run(*one, *other).bool_fall
    assert run(*one, significance=2.0).bool_fall


def test_one_detection_has_neither() -> None:
    result = run(point(1.0, 1, 18.0))
    assert (result.bool_rise, result.bool_fall, result.bool_peaked) == (False, False, False)
    assert (result.ndet, result.duration_days) == (1, 0.0)


def test_negative_detections_are_counted_only() -> None:
    result = run(point(1.0, 1, 18.0), point(2.0, 1, 15.0, positive=False))
    assert (result.ndet, result.ndet_negative, result.peak_mag) == (1, 1, 18.0)
    with pytest.raises(UnitError, match="no detection brighter"):
        run(point(2.0, 1, 15.0, positive=False))


def test_points_without_an_error_are_not_fitted() -> None:
    result = run(point(1.0, 1, 18.0, err=None), point(2.0, 1, 20.0), point(3.0, 1, 19.0, err=0.0))
    assert result.bands["g"].fall_slope is None
    assert result.bands["g"].ndet == 3


def test_colour_from_the_closest_pair() -> None:
    result = run(point(1.0, 1, 19.0), point(1.4, 2, 18.5), point(2.0, 1, 20.0), point(2.1, 2, 19.0))
    colour = result.colours["g-r"]
    assert colour.value == pytest.approx(1.0)
    assert colour.gap_days == pytest.approx(0.1)
    assert colour.error == pytest.approx(math.hypot(0.05, 0.05))
    assert run(point(1.0, 1, 19.0), point(2.0, 2, 19.0)).colours == {}


def test_last_limit_before() -> None:
    result = run(point(0.5, 1, None), point(1.0, 1, None), point(3.0, 1, 19.0), point(9, 1, None))
    assert result.limit_before_mag == 20.5
    assert result.limit_before_days == pytest.approx(2.0)


@pytest.mark.realdata
def test_at2017gfo_falls(data_dir: Path) -> None:
    """The kilonova of GW170817 was found past its optical peak and faded, blue light fastest."""
    fids = {"g": 1, "r": 2, "i": 3}
    points = []
    for line in (data_dir / "photometry" / "GW170817.dat").read_text().splitlines()[1:]:
        date, band, mag, err = line.split()
        days = (datetime.fromisoformat(date) - datetime(2017, 8, 17, 12)).total_seconds() / 86400  # noqa: DTZ001  (the file's dates have no zone; only differences count)
        if band in fids and math.isfinite(float(mag)) and math.isfinite(float(err)):
            points.append(point(2457983.0 + days, fids[band], float(mag), err=float(err)))
    result = run(*points)
    assert result.ndet >= 10
    assert result.bool_fall
    rates = [result.bands[band].fade_rate or 0.0 for band in ("g", "r", "i")]
    assert all(0.3 < rate < 2.5 for rate in rates)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.realdata
def test_sn2021rhu_rises_and_falls(data_dir: Path) -> None:
    points = []
    for path in sorted((data_dir / "ztf" / "sn2021rhu").glob("*.avro")):
        with path.open("rb") as file:
            packet: Any = next(fastavro.reader(file))
        of = packet["candidate"]
        points.append(point(of["jd"], of["fid"], of["magpsf"], err=of["sigmapsf"]))
    result = run(*points)
    assert result.ndet == 34
    assert (result.bool_rise, result.bool_fall, result.bool_peaked) == (True, True, True)
    assert 11.5 < result.peak_mag < 13  # a type Ia at z = 0.0035
    assert 40 < result.duration_days < 70


def test_forced_photometry_is_fitted_once_an_exposure_and_not_counted() -> None:
    found = [point(1.0, 1, 18.0), point(2.0, 1, 18.5)]
    forced = [
        msgspec.structs.replace(one, id=one.id + 1000, mag=(one.mag or 0.0) + 0.1, forced=True)
        for one in found
    ]
    between = msgspec.structs.replace(point(1.5, 1, 18.35), forced=True)
    below = msgspec.structs.replace(point(1.7, 1, 15.0, positive=False), forced=True)
    faint = msgspec.structs.replace(point(1.8, 1, 15.0), mag=None, forced=True)
    result = run(*found, *forced, between, below, faint)
    assert (result.ndet, result.ndet_negative, result.nforced) == (2, 0, 3)
    assert (result.peak_mag, result.bands["g"].ndet) == (18.1, 3)
    assert result.bands["g"].fade_rate == pytest.approx(0.5)
    assert run(*found).nforced == 0
