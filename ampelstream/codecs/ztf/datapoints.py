"""From a packet's fields to datapoints of a light curve."""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.batch import (
    MAG_PER_RELATIVE_FLUX,
    Forced,
    Measurements,
    Rows,
    datapoints_of,
    flags_of,
    floats_of,
    integer,
    integers_of,
    magnitudes,
    packets_of,
    texts_of,
)
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.flags import NO, YES, flag
from ampelstream.model.lightcurve import AB_OF_NJY, Datapoint

__all__ = ["FIELDS", "FORCED", "datapoints", "measurements"]

_CANDID = 0
_INTEGERS = ("candid", "fid", "pid", "rcid", "programid")
_FLOATS = ("jd", "magpsf", "sigmapsf", "diffmaglim", "ra", "dec", "rb", "drb", "xpos", "ypos")
FIELDS = (*_INTEGERS, "isdiffpos", *_FLOATS)
"""Fields of a detection, or of an entry of the history, that make a datapoint."""

_FORCED_INTEGERS = ("pid", "fid", "rcid", "programid")
_FORCED_FLOATS = ("jd", "forcediffimflux", "forcediffimfluxunc", "magzpsci", "diffmaglim")
FORCED = ("fp_hists", (*_FORCED_INTEGERS, "procstatus", *_FORCED_FLOATS))
"""Where forced photometry is, and the fields that make a datapoint of it."""

_GOOD = "0"
"""``procstatus`` of what was measured well. 55 and 61 come without a flux, 56 says that pixels near
the source are bad."""
_NO_FLUX = -99_998.0
"""Below this is -99999, which the survey writes where there is no value [DN]."""

_NO_MAGNITUDE = 100.0
"""Absolute values from here on are corrupt, and would make a flux that is no number [mag]."""

_SIGNS = {YES: True, NO: False}
"""Of `flags_of`; NaN is neither."""

_WHOLE, _REAL = len(_INTEGERS), len(_FLOATS)


def measurements(columns: Columns) -> Measurements:
    """What makes the datapoints of packets, of columns."""
    history = "prv_candidates"
    own = _rows(columns, "candidate", range(len(columns)))
    own.integers[_CANDID::_WHOLE] = columns.integers("", "candid")[0].tolist()
    if not columns.has(history, "candid"):  # schema 3.5 put forced photometry here
        none = [0] * (len(columns) + 1)
        return Measurements(own, Rows([], [], []), none, _point, _forced_of(columns))
    earlier = _rows(columns, history, packets_of(columns, history))
    offsets = columns.offsets(history).tolist()
    return Measurements(own, earlier, offsets, _point, _forced_of(columns))


def _forced_of(columns: Columns) -> Forced | None:
    """Forced photometry of packets; None where their schema has none."""
    table = FORCED[0]
    if not columns.has(table, "forcediffimflux"):
        return None
    status: Sequence[Any] = [None] * columns.rows(table)
    if columns.kind(table, "procstatus") == "text":
        status = texts_of(columns, table, "procstatus", packets_of(columns, table), replace=True)
    rows = Rows(
        integers_of(columns, table, _FORCED_INTEGERS),
        status,
        floats_of(columns, table, _FORCED_FLOATS),
    )
    return Forced(rows, columns.offsets(table).tolist(), _forced)


def _of_alert(alert: Alert) -> Measurements:
    """The same of an alert that was decoded by itself."""
    entries = [one for one in alert.history.points() if "candid" in one]
    own = _picked([alert.candidate])
    own.integers[_CANDID] = alert.candid
    measured = alert.history.forced()
    rows = Rows(
        [integer(entry, name) for entry in measured for name in _FORCED_INTEGERS],
        [entry.get("procstatus") for entry in measured],
        [_float(entry, name) for entry in measured for name in _FORCED_FLOATS],
    )
    forced = Forced(rows, [0, len(measured)], _forced)
    return Measurements(own, _picked(entries), [0, len(entries)], _point, forced)


def _rows(columns: Columns, record: str, packets: Iterable[int]) -> Rows:
    return Rows(
        integers_of(columns, record, _INTEGERS),
        _positives(columns, record, packets),
        floats_of(columns, record, _FLOATS),
    )


def _positives(columns: Columns, record: str, packets: Iterable[int]) -> list[bool | None]:
    numbers = flags_of(columns, record, "isdiffpos", packets).tolist()
    return [_SIGNS.get(number) for number in numbers]


def _picked(entries: Sequence[Mapping[str, Any]]) -> Rows:
    """The same from fields by name."""
    return Rows(
        [integer(entry, name) for entry in entries for name in _INTEGERS],
        [flag(entry.get("isdiffpos")) for entry in entries],
        [_float(entry, name) for entry in entries for name in _FLOATS],
    )


def _float(entry: Mapping[str, Any], name: str) -> float | None:
    value = entry.get(name)
    if value is None or isinstance(value, str):
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def _limit_id(jd: float, fid: int, limmag: float | None, pid: int | None) -> int:
    """Identifier of an upper limit: the image's, negated; without one, a digest of its values."""
    if pid is not None:
        return -abs(pid)
    return -zlib.crc32(f"{jd!r}/{fid}/{limmag!r}".encode()) - 1


def _point(rows: Rows, row: int, own: bool) -> Datapoint:  # noqa: FBT001  (a call each)
    at = row * _WHOLE
    candid, fid, pid, rcid, programid = rows.integers[at : at + _WHOLE]
    at = row * _REAL
    jd, mag, magerr, limmag, ra, dec, rb, drb, xpos, ypos = rows.floats[at : at + _REAL]
    if jd is None:
        raise DecodeError("a datapoint of the packet has no jd")
    fid = fid or 0
    if mag is None or candid is None:
        limit = _limit_id(jd, fid, limmag, pid)
        return Datapoint(
            limit, jd, fid, None, None, limmag, pid=pid, rcid=rcid, programid=programid, own=own
        )
    positive = rows.labels[row]
    flux = fluxerr = None
    if abs(mag) < _NO_MAGNITUDE:
        flux = 10.0 ** (0.4 * (AB_OF_NJY - mag))
        if magerr is not None and abs(magerr) < _NO_MAGNITUDE:
            fluxerr = flux * magerr / MAG_PER_RELATIVE_FLUX
        if positive is False:
            flux = -flux
    return Datapoint(
        *(candid, jd, fid, mag, magerr, limmag, ra, dec, positive, rb, drb, pid, rcid),
        *(xpos, ypos, programid, own, flux, fluxerr),
    )


def _forced(rows: Rows, row: int) -> Datapoint | None:
    """Datapoint of forced photometry; None where nothing was measured, or not well.

    The flux is in DN of its image, whose zero point ``magzpsci`` is the AB magnitude of 1 DN.
    """
    at = row * len(_FORCED_INTEGERS)
    pid, fid, rcid, programid = rows.integers[at : at + len(_FORCED_INTEGERS)]
    at = row * len(_FORCED_FLOATS)
    jd, flux, error, zero_point, limmag = rows.floats[at : at + len(_FORCED_FLOATS)]
    status = rows.labels[row]
    if flux is None or flux <= _NO_FLUX or not 0.0 < (zero_point or 0.0) < _NO_MAGNITUDE:
        return None
    if status is not None and str(status).strip() != _GOOD:
        return None
    if jd is None or pid is None:
        raise DecodeError("forced photometry of the packet has no jd, or no pid")
    scale = 10.0 ** (0.4 * (AB_OF_NJY - (zero_point or 0.0)))
    flux *= scale
    error = None if error is None or error <= 0.0 else error * scale
    mag, magerr, _ = magnitudes(flux, error)
    return Datapoint(
        id=pid,
        jd=jd,
        fid=fid or 0,
        mag=mag,
        magerr=magerr,
        limmag=None if limmag is None or limmag <= 0.0 else limmag,
        positive=None if mag is None else flux > 0,
        pid=pid,
        rcid=rcid,
        programid=programid,
        flux=flux,
        fluxerr=error,
        forced=True,
    )


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert by itself: its history, forced photometry, its own detection.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    return datapoints_of(alert, _of_alert, "a datapoint")
