"""From Rubin's fluxes to datapoints of a light curve."""

import math
from collections.abc import Mapping
from typing import Any

from ampelstream.codecs.lsst.history import jd_of, number
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import BANDS, Datapoint

__all__ = ["DETECTED_SIGMA", "LIMIT_SIGMA", "datapoints"]

DETECTED_SIGMA = 3.0
"""A source whose PSF flux is below this many times its error has no magnitude [1]."""
LIMIT_SIGMA = 5.0
"""An upper limit is this many times the error of the flux [1]."""

_ZERO_POINT = 31.4  # [AB mag] of 1 nJy
_MAG_PER_RELATIVE_FLUX = 2.5 / math.log(10.0)
_LONG = 1 << 63
_FIDS = {name: fid for fid, name in BANDS.items()}


def _int(entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None or isinstance(value, str):
        return None
    if not -_LONG <= value < _LONG:
        raise DecodeError(f"{name} is {value!r}, which is longer than 64 bits")
    return int(value)


def _magnitude(flux: float) -> float:
    return _ZERO_POINT - 2.5 * math.log10(flux)


def _point(entry: Mapping[str, Any], *, own: bool) -> Datapoint:
    """Datapoint of a DIA source.

    A negative flux is a detection that is fainter than the template: the magnitude of its absolute
    value, and not ``positive``, as ZTF has it. A flux within the noise is an upper limit.
    """
    identifier = _int(entry, "diaSourceId")
    if not identifier or identifier < 0:
        raise DecodeError(f"a source of the packet has the diaSourceId {identifier!r}")
    flux, error = number(entry, "psfFlux"), number(entry, "psfFluxErr")
    limmag = _magnitude(LIMIT_SIGMA * error) if error is not None and error > 0 else None
    mag = magerr = None
    if flux and (limmag is None or error is None or abs(flux) >= DETECTED_SIGMA * error):
        mag = _magnitude(abs(flux))
        magerr = None if limmag is None or error is None else error / abs(flux)
    measured = mag is not None
    return Datapoint(
        id=identifier if measured else -identifier,
        jd=jd_of(entry),
        fid=_FIDS.get(str(entry.get("band")), 0),
        mag=mag,
        magerr=None if magerr is None else _MAG_PER_RELATIVE_FLUX * magerr,
        limmag=limmag,
        ra=number(entry, "ra") if measured else None,
        dec=number(entry, "dec") if measured else None,
        positive=flux > 0 if measured and flux is not None else None,
        rb=number(entry, "reliability") if measured else None,
        pid=_int(entry, "visit"),
        rcid=_int(entry, "detector"),
        xpos=number(entry, "x") if measured else None,
        ypos=number(entry, "y") if measured else None,
        own=own,
    )


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of a packet: its history, then its own detection.

    Forced photometry is another measurement of the same images and is left out.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    try:
        points = [_point(entry, own=False) for entry in alert.history.measured()]
        points.append(_point(alert.candidate, own=True))
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"a source of the packet is corrupt: {error}") from error
    return points
