"""Forced photometry of Rubin: the light curve at one place, of every exposure."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from astropy import units as u

from ampelstream.codecs.lsst import datapoints, decode
from ampelstream.core.lightcurves import light_curve, merge_datapoints
from ampelstream.errors import DecodeError
from ampelstream.model.lightcurve import Datapoint

Row = Callable[..., dict[str, Any]]
MEASURED = {
    "diaForcedSourceId": 5,
    "visit": 2026030800011,
    "detector": 148,
    "psfFlux": 1000.0,
    "psfFluxErr": 50.0,
    "midpointMjdTai": 61108.25,
    "band": "z",
}


def forced_of(row: Row, **changes: Any) -> list[Datapoint]:
    packet = row() | {"prvDiaForcedSources": [{**MEASURED, **changes}]}
    return [one for one in datapoints(decode(packet)) if one.forced]


def test_a_flux_with_its_error_and_sign(row: Row) -> None:
    [point] = forced_of(row)
    assert (point.flux, point.fluxerr, point.positive) == (1000.0, 50.0, True)
    assert point.mag == pytest.approx((1000.0 * u.nJy).to_value(u.ABmag), abs=1e-6)
    assert (point.id, point.pid, point.rcid, point.band) == (5, 2026030800011, 148, "z")
    assert (point.ra, point.dec, point.own) == (None, None, False)
    [below] = forced_of(row, psfFlux=-1000.0)
    assert (below.flux, below.positive, below.is_brightness) == (-1000.0, False, False)
    [faint] = forced_of(row, psfFlux=-140.0)
    assert (faint.flux, faint.mag, faint.positive) == (-140.0, None, None)
    assert faint.limmag == pytest.approx((250.0 * u.nJy).to_value(u.ABmag), abs=1e-6)


def test_without_a_flux_nothing_was_measured_without_a_time_or_a_name_it_is_corrupt(
    row: Row,
) -> None:
    assert forced_of(row, psfFlux=None) == []
    with pytest.raises(DecodeError, match="midpointMjdTai"):
        forced_of(row, midpointMjdTai=None)
    with pytest.raises(DecodeError, match="no diaForcedSourceId"):
        forced_of(row, diaForcedSourceId=None)


def test_a_source_has_its_flux_also_within_the_noise(row: Row) -> None:
    assert [(p.flux, p.fluxerr) for p in datapoints(decode(row()))][-1] == (1000.0, 50.0)
    noise = datapoints(decode(row(psfFlux=-20.0)))[-1]
    assert (noise.flux, noise.mag, noise.positive) == (-20.0, None, None)


@pytest.mark.realdata
def test_real_light_curves_in_any_order_have_no_exposure_twice(data_dir: Path) -> None:
    files = sorted((data_dir / "lsst" / "rubin-v10_parquet").glob("*.parquet"))
    alerts = [decode(row) for path in files for row in pq.read_table(path).to_pylist()]
    more = 0
    for alert in alerts:
        points = datapoints(alert)
        once = light_curve(alert.object_id, merge_datapoints((), points))
        mixed = [*points, *points[::7]]
        random.Random(alert.candid).shuffle(mixed)  # noqa: S311  (reproducible, no secret)
        half = len(mixed) // 2
        merged = merge_datapoints(merge_datapoints((), mixed[:half]), mixed[half:])
        curve = light_curve(alert.object_id, merged)
        assert curve.datapoints == once.datapoints
        exposures = [(p.jd, p.fid) for p in curve.brightness]
        assert len(set(exposures)) == len(exposures)
        assert {(p.jd, p.fid) for p in curve.detections} <= set(exposures)
        assert all((p.flux or 0.0) > 0 for p in curve.brightness)
        assert all((p.flux or 0.0) < 0 for p in curve.negative)
        more += len(curve.brightness) - len(curve.detections)
    assert more > 0  # some exposures have a magnitude by forced photometry alone
