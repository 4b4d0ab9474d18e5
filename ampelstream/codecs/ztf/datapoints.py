"""From a packet's fields to datapoints of a light curve."""

import math
import zlib
from collections.abc import Mapping
from typing import Any

from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import Datapoint

__all__ = ["datapoints"]

_LONG = 1 << 63
_POSITIVE = {"t": True, "1": True, "true": True, "f": False, "0": False, "false": False}


def _float(entry: Mapping[str, Any], name: str) -> float | None:
    value = entry.get(name)
    if value is None or isinstance(value, str):
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def _int(entry: Mapping[str, Any], name: str) -> int | None:
    value = entry.get(name)
    if value is None or isinstance(value, str):
        return None
    if not -_LONG <= value < _LONG:
        raise DecodeError(f"{name} is {value!r:.80}, which is longer than 64 bits")
    return int(value)


def _positive(entry: Mapping[str, Any]) -> bool | None:
    value = entry.get("isdiffpos")
    if value is None:
        return None
    return value if isinstance(value, bool) else _POSITIVE.get(str(value).strip().lower())


def _limit_id(jd: float, fid: int, limmag: float | None, pid: int | None) -> int:
    """Identifier of an upper limit: the image's, negated; without one, a digest of its values."""
    if pid is not None:
        return -abs(pid)
    return -zlib.crc32(f"{jd!r}/{fid}/{limmag!r}".encode()) - 1


def _point(entry: Mapping[str, Any], *, candid: int | None, own: bool) -> Datapoint:
    jd = _float(entry, "jd")
    if jd is None:
        raise DecodeError("a datapoint of the packet has no jd")
    fid = _int(entry, "fid") or 0
    mag = _float(entry, "magpsf") if candid is not None else None
    limmag, pid = _float(entry, "diffmaglim"), _int(entry, "pid")
    measured = mag is not None and candid is not None
    return Datapoint(
        id=candid if measured and candid is not None else _limit_id(jd, fid, limmag, pid),
        jd=jd,
        fid=fid,
        mag=mag,
        magerr=_float(entry, "sigmapsf") if measured else None,
        limmag=limmag,
        ra=_float(entry, "ra") if measured else None,
        dec=_float(entry, "dec") if measured else None,
        positive=_positive(entry) if measured else None,
        rb=_float(entry, "rb") if measured else None,
        drb=_float(entry, "drb") if measured else None,
        pid=pid,
        rcid=_int(entry, "rcid"),
        xpos=_float(entry, "xpos") if measured else None,
        ypos=_float(entry, "ypos") if measured else None,
        programid=_int(entry, "programid"),
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
        points = [
            _point(entry, candid=_int(entry, "candid"), own=False)
            for entry in alert.history.measured()
            if "candid" in entry  # schema 3.5 put forced photometry here
        ]
        points.append(_point(alert.candidate, candid=alert.candid, own=True))
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"a datapoint of the packet is corrupt: {error}") from error
    return points
