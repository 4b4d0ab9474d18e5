"""Fluxes in nanojansky become AB magnitudes, negative detections or upper limits."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from astropy import units as u

from ampelstream.codecs.lsst import datapoints, decode
from ampelstream.errors import DecodeError
from ampelstream.model.lightcurve import Datapoint

Row = Callable[..., dict[str, Any]]


def own_point(row: dict[str, Any]) -> Datapoint:
    return datapoints(decode(row))[-1]


def test_a_detection(row: Row) -> None:
    point = own_point(row())
    assert point.mag == pytest.approx((1000.0 * u.nJy).to_value(u.ABmag), abs=1e-6)
    assert point.limmag == pytest.approx((250.0 * u.nJy).to_value(u.ABmag), abs=1e-6)
    assert point.magerr == pytest.approx(0.05 * 2.5 / np.log(10))
    assert (point.id, point.fid, point.band, point.positive) == (101, 5, "z", True)
    assert (point.ra, point.dec, point.xpos, point.ypos) == (150.0, -2.0, 10.0, 20.0)
    assert (point.pid, point.rcid, point.rb, point.drb) == (2026030900027, 148, 0.75, None)
    assert point.own


def test_a_negative_flux_is_a_detection_below_the_template(row: Row) -> None:
    above, below = own_point(row()), own_point(row(psfFlux=-1000.0))
    assert (below.id, below.positive, below.mag) == (above.id, False, above.mag)
    assert (below.ra, below.magerr) == (above.ra, above.magerr)


@pytest.mark.parametrize("flux", [0.0, 149.9, -149.9, None, math.nan, math.inf])
def test_what_lies_within_the_noise_is_an_upper_limit(row: Row, flux: float | None) -> None:
    point = own_point(row(psfFlux=flux))
    assert (point.id, point.mag, point.magerr, point.positive) == (-101, None, None, None)
    assert (point.ra, point.xpos, point.rb) == (None, None, None)
    assert point.limmag == pytest.approx(31.4 - 2.5 * math.log10(250.0))
    assert point.fid == 5


@pytest.mark.parametrize("error", [None, 0.0, -1.0, math.nan])
def test_without_an_error_there_is_no_limit(row: Row, error: float | None) -> None:
    point = own_point(row(psfFluxErr=error))
    assert point.mag == pytest.approx(23.9)
    assert (point.magerr, point.limmag) == (None, None)
    nothing = own_point(row(psfFluxErr=error, psfFlux=0.0))
    assert (nothing.id, nothing.mag, nothing.limmag) == (-101, None, None)


@pytest.mark.parametrize(
    ("band", "fid"),
    [("u", 4), ("g", 1), ("r", 2), ("i", 3), ("z", 5), ("y", 6), ("w", 0), (None, 0)],
)
def test_bands(row: Row, band: str | None, fid: int) -> None:
    assert own_point(row(band=band)).fid == fid


def test_one_source_has_one_id_in_every_packet(row: Row, source: Row) -> None:
    first = own_point(row(diaSourceId=99))
    later = datapoints(decode(row(source(diaSourceId=99))))[0]
    assert (first.id, first.jd, first.mag) == (later.id, later.jd, later.mag)
    assert (first.own, later.own) == (True, False)


@pytest.mark.parametrize(
    "changes",
    [{"diaSourceId": 0}, {"diaSourceId": -5}, {"visit": 1 << 70}, {"detector": []}],
)
def test_a_corrupt_source_in_the_history(row: Row, source: Row, changes: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        datapoints(decode(row(source(**changes))))
