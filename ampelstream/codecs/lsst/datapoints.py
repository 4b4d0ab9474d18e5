"""From Rubin's fluxes to datapoints of a light curve."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.batch import floats_of, integers_of, packets_of, texts_of
from ampelstream.codecs.lsst.history import jd_of, number
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import BANDS, Datapoint

__all__ = ["DETECTED_SIGMA", "FIELDS", "LIMIT_SIGMA", "Sources", "datapoints"]

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
_LONG = 1 << 63
_FIDS = {name: fid for fid, name in BANDS.items()}

_WHOLE, _REAL = len(_INTEGERS), len(_FLOATS)


class _Rows(NamedTuple):
    """Values of sources, one behind the other; None where there are none.

    Attributes
    ----------
    integers, bands, floats
        Of `_INTEGERS`, of ``band``, and of `_FLOATS`.
    """

    integers: list[int | None]
    bands: Sequence[object]
    floats: list[float | None]


class Sources:
    """Values of the fields of packets that make datapoints.

    Parameters
    ----------
    own
        Of each packet's own source.
    earlier
        Of the histories, one behind the other.
    offsets
        Where the history of each packet begins, and where the last one ends.
    """

    def __init__(self, own: _Rows, earlier: _Rows, offsets: Sequence[int]) -> None:
        self._own = own
        self._earlier = earlier
        self._offsets = offsets

    def points(self, packet: int) -> list[Datapoint]:
        """Datapoints of a packet: its history, then its own source.

        Raises
        ------
        DecodeError
            A source is corrupt.
        """
        rows = range(self._offsets[packet], self._offsets[packet + 1])
        found = [_point(self._earlier, row, own=False) for row in rows]
        found.append(_point(self._own, packet, own=True))
        return found

    @classmethod
    def of_columns(cls, columns: Columns) -> Self:
        """Take them from columns."""
        history = "prvDiaSources"
        own = _rows(columns, "diaSource", range(len(columns)))
        earlier = _rows(columns, history, packets_of(columns, history))
        return cls(own, earlier, columns.offsets(history).tolist())

    @classmethod
    def of_alert(cls, alert: Alert) -> Self:
        """Take them from an alert that was decoded by itself."""
        entries = alert.history.points()
        return cls(_picked([alert.candidate]), _picked(entries), [0, len(entries)])


def _rows(columns: Columns, record: str, packets: Iterable[int]) -> _Rows:
    bands: Sequence[str | None] = [None] * columns.rows(record)
    if columns.kind(record, "band") == "text":
        bands = texts_of(columns, record, "band", packets, replace=True)
    return _Rows(
        integers_of(columns, record, _INTEGERS), bands, floats_of(columns, record, _FLOATS)
    )


def _picked(entries: Sequence[Mapping[str, Any]]) -> _Rows:
    """The same from fields by name."""
    return _Rows(
        [_int(entry, name) for entry in entries for name in _INTEGERS],
        [entry.get("band") for entry in entries],
        [number(entry, name) for entry in entries for name in _FLOATS],
    )


def _int(entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None or isinstance(value, str):
        return None
    if not -_LONG <= value < _LONG:
        raise DecodeError(f"{name} is {value!r}, which is longer than 64 bits")
    return int(value)


def _magnitude(flux: float) -> float:
    return _ZERO_POINT - 2.5 * math.log10(flux)


def _point(rows: _Rows, row: int, *, own: bool) -> Datapoint:
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
        fid=_FIDS.get(str(rows.bands[row]), 0),
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
    try:
        return Sources.of_alert(alert).points(0)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"a source of the packet is corrupt: {error}") from error
