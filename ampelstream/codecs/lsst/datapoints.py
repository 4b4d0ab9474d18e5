"""From Rubin's fluxes to datapoints of a light curve."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.batch import floats_of, integers_of, packets_of, texts_of
from ampelstream.codecs.lsst.history import jd_of, number
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import BANDS, Datapoint

__all__ = ["DETECTED_SIGMA", "FIELDS", "LIMIT_SIGMA", "Sources", "datapoints", "points"]

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

_Values = tuple[list[int | None], object, list[float | None]]
"""Values of the integers, of ``band`` and of the floats; None where there are none."""


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

    def __init__(
        self, own: Sequence[_Values], earlier: Sequence[_Values], offsets: Sequence[int]
    ) -> None:
        self._own = own
        self._earlier = earlier
        self._offsets = offsets

    def history(self, packet: int) -> Sequence[_Values]:
        """Sources of a packet's history."""
        return self._earlier[self._offsets[packet] : self._offsets[packet + 1]]

    def own(self, packet: int) -> _Values:
        """Values of a packet's own source."""
        return self._own[packet]

    @classmethod
    def of_columns(cls, columns: Columns) -> Self:
        """Take them from columns."""
        history = "prvDiaSources"
        own = _zipped(columns, "diaSource", range(len(columns)))
        earlier = _zipped(columns, history, packets_of(columns, history))
        return cls(own, earlier, columns.offsets(history).tolist())

    @classmethod
    def of_alert(cls, alert: Alert) -> Self:
        """Take them from an alert that was decoded by itself."""
        earlier = [_picked(one) for one in alert.history.points()]
        return cls([_picked(alert.candidate)], earlier, [0, len(earlier)])


def _zipped(columns: Columns, record: str, packets: Iterable[int]) -> list[_Values]:
    whole = integers_of(columns, record, _INTEGERS)
    floats = floats_of(columns, record, _FLOATS)
    bands: Sequence[str | None] = [None] * columns.rows(record)
    if columns.kind(record, "band") == "text":
        bands = texts_of(columns, record, "band", packets, replace=True)
    return list(zip(whole, bands, floats, strict=True))


def _picked(entry: Mapping[str, Any]) -> _Values:
    """The same from fields by name."""
    return (
        [_int(entry, name) for name in _INTEGERS],
        entry.get("band"),
        [number(entry, name) for name in _FLOATS],
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


def _point(values: _Values, *, own: bool) -> Datapoint:
    """Datapoint of a DIA source.

    A negative flux is a detection that is fainter than the template: the magnitude of its absolute
    value, and not ``positive``, as ZTF has it. A flux within the noise is an upper limit.
    """
    (identifier, visit, detector), band, floats = values
    mjd, flux, error, ra, dec, reliability, x, y = floats
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
        fid=_FIDS.get(str(band), 0),
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


def points(sources: Sources, packet: int) -> list[Datapoint]:
    """Datapoints of a packet: its history, then its own source.

    Raises
    ------
    DecodeError
        A source is corrupt.
    """
    found = [_point(values, own=False) for values in sources.history(packet)]
    found.append(_point(sources.own(packet), own=True))
    return found


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert that was decoded by itself: its history, then its own source.

    Forced photometry is another measurement of the same images and is left out.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    try:
        return points(Sources.of_alert(alert), 0)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"a source of the packet is corrupt: {error}") from error
