"""From Rubin's fluxes to datapoints of a light curve."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.batch import (
    Measurements,
    Rows,
    datapoints_of,
    floats_of,
    integer,
    integers_of,
    packets_of,
    texts_of,
)
from ampelstream.codecs.lsst.history import jd_of, number
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import BANDS, Datapoint

__all__ = ["DETECTED_SIGMA", "FIELDS", "LIMIT_SIGMA", "datapoints", "measurements"]

_INTEGERS = ("diaSourceId", "visit", "detector")
_FLOATS = ("midpointMjdTai", "psfFlux", "psfFluxErr", "ra", "dec", "reliability", "x", "y")
FIELDS = (*_INTEGERS, "band", *_FLOATS)
"""Fields of a DIA source that make a datapoint."""

DETECTED_SIGMA = 3.0
"""A source whose PSF flux is below this many times its error has no magnitude [1]."""
LIMIT_SIGMA = 5.0
"""An upper limit is this many times the error of the flux [1]."""

_ZERO_POINT = 31.4  # [AB mag] of 1 nJy
_MAG_PER_RELATIVE_FLUX = 2.5 / math.log(10.0)
_FIDS = {name: fid for fid, name in BANDS.items()}

_WHOLE, _REAL = len(_INTEGERS), len(_FLOATS)


def measurements(columns: Columns) -> Measurements:
    """What makes the datapoints of packets, of columns."""
    history = "prvDiaSources"
    own = _rows(columns, "diaSource", range(len(columns)))
    earlier = _rows(columns, history, packets_of(columns, history))
    return Measurements(own, earlier, columns.offsets(history).tolist(), _point)


def _of_alert(alert: Alert) -> Measurements:
    """The same of an alert that was decoded by itself."""
    entries = alert.history.points()
    own = _picked([alert.candidate])
    return Measurements(own, _picked(entries), [0, len(entries)], _point)


def _rows(columns: Columns, record: str, packets: Iterable[int]) -> Rows:
    bands: Sequence[str | None] = [None] * columns.rows(record)
    if columns.kind(record, "band") == "text":
        bands = texts_of(columns, record, "band", packets, replace=True)
    return Rows(integers_of(columns, record, _INTEGERS), bands, floats_of(columns, record, _FLOATS))


def _picked(entries: Sequence[Mapping[str, Any]]) -> Rows:
    """The same from fields by name."""
    return Rows(
        [integer(entry, name) for entry in entries for name in _INTEGERS],
        [entry.get("band") for entry in entries],
        [number(entry, name) for entry in entries for name in _FLOATS],
    )


def _magnitude(flux: float) -> float:
    return _ZERO_POINT - 2.5 * math.log10(flux)


def _point(rows: Rows, row: int, own: bool) -> Datapoint:  # noqa: FBT001  (a call each)
    """Datapoint of a DIA source.

    A negative flux is a detection that is fainter than the template: the magnitude of its absolute
    value, and not ``positive``, as ZTF has it. A flux within the noise is an upper limit.
    """
    identifier, visit, detector = rows.integers[row * _WHOLE : (row + 1) * _WHOLE]
    at = row * _REAL
    mjd, flux, error, ra, dec, reliability, x, y = rows.floats[at : at + _REAL]
    if not identifier or identifier < 0:
        raise DecodeError(f"a source of the packet has the diaSourceId {identifier!r}")
    limmag = _magnitude(LIMIT_SIGMA * error) if error is not None and error > 0 else None
    mag = magerr = None
    if flux and (limmag is None or error is None or abs(flux) >= DETECTED_SIGMA * error):
        mag = _magnitude(abs(flux))
        magerr = None if limmag is None or error is None else error / abs(flux)
    measured = mag is not None
    return Datapoint(
        id=identifier if measured else -identifier,
        jd=jd_of(mjd),
        fid=_FIDS.get(str(rows.labels[row]), 0),
        mag=mag,
        magerr=None if magerr is None else _MAG_PER_RELATIVE_FLUX * magerr,
        limmag=limmag,
        ra=ra if measured else None,
        dec=dec if measured else None,
        positive=flux > 0 if measured and flux is not None else None,
        rb=reliability if measured else None,
        pid=visit,
        rcid=detector,
        xpos=x if measured else None,
        ypos=y if measured else None,
        own=own,
    )


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert that was decoded by itself: its history, then its own source.

    Forced photometry is another measurement of the same images and is left out.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    return datapoints_of(alert, _of_alert, "a source")
