"""From a packet's fields to datapoints of a light curve."""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.batch import (
    Measurements,
    Rows,
    datapoints_of,
    flags_of,
    floats_of,
    integer,
    integers_of,
    packets_of,
)
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.flags import NO, YES, flag
from ampelstream.model.lightcurve import Datapoint

__all__ = ["FIELDS", "datapoints", "measurements"]

_CANDID = 0
_INTEGERS = ("candid", "fid", "pid", "rcid", "programid")
_FLOATS = ("jd", "magpsf", "sigmapsf", "diffmaglim", "ra", "dec", "rb", "drb", "xpos", "ypos")
FIELDS = (*_INTEGERS, "isdiffpos", *_FLOATS)
"""Fields of a detection, or of an entry of the history, that make a datapoint."""

_SIGNS = {YES: True, NO: False}
"""Of `flags_of`; NaN is neither."""

_WHOLE, _REAL = len(_INTEGERS), len(_FLOATS)


def measurements(columns: Columns) -> Measurements:
    """What makes the datapoints of packets, of columns."""
    history = "prv_candidates"
    own = _rows(columns, "candidate", range(len(columns)))
    own.integers[_CANDID::_WHOLE] = columns.integers("", "candid")[0].tolist()
    if not columns.has(history, "candid"):  # schema 3.5 put forced photometry here
        return Measurements(own, Rows([], [], []), [0] * (len(columns) + 1), _point)
    earlier = _rows(columns, history, packets_of(columns, history))
    return Measurements(own, earlier, columns.offsets(history).tolist(), _point)


def _of_alert(alert: Alert) -> Measurements:
    """The same of an alert that was decoded by itself."""
    entries = [one for one in alert.history.points() if "candid" in one]
    own = _picked([alert.candidate])
    own.integers[_CANDID] = alert.candid
    return Measurements(own, _picked(entries), [0, len(entries)], _point)


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
    return Datapoint(
        *(candid, jd, fid, mag, magerr, limmag, ra, dec, rows.labels[row], rb, drb, pid, rcid),
        *(xpos, ypos, programid, own),
    )


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert that was decoded by itself: its history, then its own detection.

    Forced photometry is another measurement of the same images and is left out.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    return datapoints_of(alert, _of_alert, "a datapoint")
