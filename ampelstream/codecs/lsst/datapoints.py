"""From Rubin's fluxes to datapoints of a light curve."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.batch import (
    Forced,
    Measurements,
    Rows,
    datapoints_of,
    floats_of,
    integer,
    integers_of,
    magnitudes,
    packets_of,
    texts_of,
)
from ampelstream.codecs.lsst.history import jd_of, number
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import BANDS, Datapoint

__all__ = ["FIELDS", "FORCED", "datapoints", "measurements"]

_INTEGERS = ("diaSourceId", "visit", "detector")
_FLOATS = ("midpointMjdTai", "psfFlux", "psfFluxErr", "ra", "dec", "reliability", "x", "y")
FIELDS = (*_INTEGERS, "band", *_FLOATS)
"""Fields of a DIA source that make a datapoint."""

FORCED_INTEGERS = ("diaForcedSourceId", "visit", "detector")
FORCED_FLOATS = ("midpointMjdTai", "psfFlux", "psfFluxErr")
FORCED = ("prvDiaForcedSources", (*FORCED_INTEGERS, "band", *FORCED_FLOATS))
"""Where forced photometry is, and the fields that make a datapoint of it."""

_FIDS = {name: fid for fid, name in BANDS.items()}

_WHOLE, _REAL = len(_INTEGERS), len(_FLOATS)


def measurements(columns: Columns) -> Measurements:
    """What makes the datapoints of packets, of columns."""
    history = "prvDiaSources"
    own = _rows(columns, "diaSource", range(len(columns)))
    earlier = _rows(columns, history, packets_of(columns, history))
    table, names = FORCED
    forced = None
    if columns.has(table, names[0]):
        rows = Rows(
            integers_of(columns, table, FORCED_INTEGERS),
            _bands(columns, table, packets_of(columns, table)),
            floats_of(columns, table, FORCED_FLOATS),
        )
        forced = Forced(rows, columns.offsets(table).tolist(), _forced)
    return Measurements(own, earlier, columns.offsets(history).tolist(), _point, forced)


def _of_alert(alert: Alert) -> Measurements:
    """The same of an alert that was decoded by itself."""
    entries = alert.history.points()
    own, earlier = _picked([alert.candidate]), _picked(entries)
    entries_of_forced = alert.history.forced()
    rows = _picked(entries_of_forced, FORCED_INTEGERS, FORCED_FLOATS)
    forced = Forced(rows, [0, len(entries_of_forced)], _forced)
    return Measurements(own, earlier, [0, len(entries)], _point, forced)


def _rows(columns: Columns, record: str, packets: Iterable[int]) -> Rows:
    bands = _bands(columns, record, packets)
    return Rows(integers_of(columns, record, _INTEGERS), bands, floats_of(columns, record, _FLOATS))


def _bands(columns: Columns, record: str, packets: Iterable[int]) -> Sequence[str | None]:
    if columns.kind(record, "band") == "text":
        return texts_of(columns, record, "band", packets, replace=True)
    return [None] * columns.rows(record)


def _picked(
    entries: Sequence[Mapping[str, Any]],
    integers: Sequence[str] = _INTEGERS,
    floats: Sequence[str] = _FLOATS,
) -> Rows:
    """The same from fields by name."""
    return Rows(
        [integer(entry, name) for entry in entries for name in integers],
        [entry.get("band") for entry in entries],
        [number(entry, name) for entry in entries for name in floats],
    )


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
    mag, magerr, limmag = magnitudes(flux, error)
    measured = mag is not None
    return Datapoint(
        id=identifier if measured else -identifier,
        jd=jd_of(mjd),
        fid=_FIDS.get(str(rows.labels[row]), 0),
        mag=mag,
        magerr=magerr,
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
        flux=flux,
        fluxerr=error,
    )


def _forced(rows: Rows, row: int) -> Datapoint | None:
    """Datapoint of forced photometry; None where it has no flux."""
    at = row * len(FORCED_INTEGERS)
    identifier, visit, detector = rows.integers[at : at + len(FORCED_INTEGERS)]
    at = row * len(FORCED_FLOATS)
    mjd, flux, error = rows.floats[at : at + len(FORCED_FLOATS)]
    if flux is None:
        return None
    if not identifier:
        raise DecodeError("forced photometry of the packet has no diaForcedSourceId")
    mag, magerr, limmag = magnitudes(flux, error)
    return Datapoint(
        id=identifier,
        jd=jd_of(mjd),
        fid=_FIDS.get(str(rows.labels[row]), 0),
        mag=mag,
        magerr=magerr,
        limmag=limmag,
        positive=None if mag is None else flux > 0,
        pid=visit,
        rcid=detector,
        flux=flux,
        fluxerr=error,
        forced=True,
    )


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert by itself: its history, forced photometry, its own source.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    return datapoints_of(alert, _of_alert, "a source")
