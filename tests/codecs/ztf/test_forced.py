"""Forced photometry of ZTF's packets of schemas 4.01 and 4.02, and fluxes with their signs."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from astropy import units as u

from ampelstream.codecs.alerts import batches
from ampelstream.codecs.ztf import datapoints, decode
from ampelstream.errors import DecodeError
from ampelstream.model.alertbatch import Asked
from ampelstream.model.lightcurve import Datapoint


def row(*forced: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "jd": 2460500.5,
        "fid": 1,
        "ra": 10.0,
        "dec": 20.0,
        "magpsf": 20.0,
        "sigmapsf": 0.1,
    }
    own |= {"isdiffpos": "t", "candid": 9, **candidate}
    return {"objectId": "ZTF24a", "candid": 9, "candidate": own, "fp_hists": list(forced)}


def measured(**changes: Any) -> dict[str, Any]:
    forced: dict[str, Any] = {
        "jd": 2460499.5,
        "fid": 2,
        "pid": 7,
        "rcid": 3,
        "programid": 1,
        "procstatus": "0",
    }
    forced |= {"forcediffimflux": 100.0, "forcediffimfluxunc": 10.0, "magzpsci": 26.0}
    return forced | {"diffmaglim": 20.5} | changes


def forced_of(**changes: Any) -> list[Datapoint]:
    return [one for one in datapoints(decode(row(measured(**changes)))) if one.forced]


def test_a_flux_in_dn_is_in_njy_by_the_zero_point_of_its_image() -> None:
    [point] = forced_of()
    magnitude = 26.0 - 2.5 * math.log10(100.0)
    assert point.flux == pytest.approx((magnitude * u.ABmag).to_value(u.nJy), rel=1e-5)
    assert point.fluxerr == pytest.approx(0.1 * (point.flux or 0.0))
    assert point.mag == pytest.approx(magnitude)
    assert point.magerr == pytest.approx(0.1 * 2.5 / np.log(10))
    assert (point.id, point.jd, point.fid, point.pid, point.rcid) == (7, 2460499.5, 2, 7, 3)
    assert (point.limmag, point.positive, point.programid, point.own) == (20.5, True, 1, False)


def test_a_negative_flux_is_no_brightness_and_a_faint_one_has_no_magnitude() -> None:
    [below] = forced_of(forcediffimflux=-100.0)
    assert (below.flux or 0.0) < 0
    assert (below.positive, below.is_brightness, below.is_negative) == (False, False, False)
    [faint] = forced_of(forcediffimflux=29.0)
    assert (faint.mag, faint.positive) == (None, None)
    assert (faint.flux or 0.0) > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"forcediffimflux": -99999.0, "procstatus": "61"},
        {"forcediffimflux": -99999.0},
        {"forcediffimflux": None},
        {"forcediffimflux": math.nan},
        {"procstatus": "56"},
        {"magzpsci": -99999.0},
        {"magzpsci": None},
        {"magzpsci": 1e38},
    ],
)
def test_what_was_not_measured_or_not_well_is_left_out(changes: dict[str, Any]) -> None:
    assert forced_of(**changes) == []


def test_what_was_measured_at_no_time_is_an_error() -> None:
    with pytest.raises(DecodeError, match="forced photometry of the packet has no jd"):
        forced_of(jd=None)


@pytest.mark.parametrize(("sign", "factor"), [("t", 1), ("1", 1), ("f", -1), ("0", -1), (None, 1)])
def test_the_flux_of_a_detection_has_the_sign_of_isdiffpos(sign: str | None, factor: int) -> None:
    [point] = datapoints(decode(row(isdiffpos=sign)))
    expected = (20.0 * u.ABmag).to_value(u.nJy)
    assert point.flux == pytest.approx(factor * expected, rel=1e-5)
    assert point.fluxerr == pytest.approx(0.1 * expected * np.log(10) / 2.5, rel=1e-5)
    assert point.is_detection == (factor > 0)


@pytest.mark.parametrize("magnitude", [-1e4, 1e38, 3e5])
def test_a_magnitude_that_is_none_has_no_flux(magnitude: float) -> None:
    [point] = datapoints(decode(row(magpsf=magnitude)))
    assert (point.mag, point.flux, point.fluxerr) == (magnitude, None, None)


def packets(data_dir: Path) -> Iterator[Path]:
    for folder in ("boom", "kowalski"):
        yield from sorted((data_dir / "ztf" / folder).rglob("*.avro"))


@pytest.mark.realdata
def test_real_packets_alone_and_together(data_dir: Path) -> None:
    values = [path.read_bytes() for path in packets(data_dir)]
    seen = Counter[str]()
    for batch, numbers in batches(values, {"ztf": Asked()}, None):
        together = batch.datapoints(range(len(batch)))
        for place, number in enumerate(numbers):
            points = datapoints(decode(values[number]))
            assert together[place] == points
            with_id = {(point.id, point.forced) for point in points}
            assert len(with_id) == len(points)
            seen["forced"] += sum(point.forced for point in points)
            seen["alerts"] += 1
    assert seen == {"alerts": 48, "forced": 327}


@pytest.mark.realdata
def test_real_forced_fluxes_agree_with_the_detections_of_their_exposures(data_dir: Path) -> None:
    ratios: list[float] = []
    for path in packets(data_dir):
        points = datapoints(decode(path.read_bytes()))
        found = {(p.jd, p.fid): p for p in points if p.mag is not None and not p.forced}
        for point in points:
            other = found.get((point.jd, point.fid))
            if point.forced and other is not None and point.flux and other.flux:
                assert point.pid == other.pid
                ratios.append(point.flux / other.flux)
    assert len(ratios) == 85
    assert min(ratios) > 0.5  # the sign is right, too
    assert np.median(ratios) == pytest.approx(1.0, abs=0.05)


def test_a_container_with_forced_photometry(tmp_path: Path) -> None:
    fields = [("jd", "double"), ("fid", "int"), ("pid", "long"), ("procstatus", "string")]
    fields += [("forcediffimflux", "float"), ("forcediffimfluxunc", "float"), ("magzpsci", "float")]
    entry = {"type": "record", "name": "fp", "fields": [_field(*one) for one in fields]}
    own = [("jd", "double"), ("fid", "int"), ("ra", "double"), ("dec", "double")]
    own += [("magpsf", "float"), ("isdiffpos", "string")]
    schema = {
        "type": "record",
        "name": "alert",
        "fields": [
            _field("objectId", "string"),
            _field("candid", "long"),
            _field(
                "candidate", {"type": "record", "name": "c", "fields": [_field(*o) for o in own]}
            ),
            _field("fp_hists", ["null", {"type": "array", "items": entry}]),
        ],
    }
    alerts = [row(measured(), measured(pid=8, procstatus="61")), {**row(), "fp_hists": None}]
    values = []
    for number, alert in enumerate(alerts):
        path = tmp_path / f"{number}.avro"
        with path.open("wb") as out:
            fastavro.writer(out, fastavro.parse_schema(dict(schema)), [alert])
        values.append(path.read_bytes())
    [(batch, _)] = batches(values, {"ztf": Asked()}, None)
    together = batch.datapoints([0, 1])
    assert [together[n] for n in (0, 1)] == [datapoints(decode(value)) for value in values]
    assert [len(datapoints(decode(value))) for value in values] == [2, 1]


def _field(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": kind}
