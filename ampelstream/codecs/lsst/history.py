"""What a Rubin packet says of earlier times, decoded when it is asked for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ampelstream.codecs.avroplan import PacketPlan
from ampelstream.codecs.rows import records_of
from ampelstream.errors import DecodeError
from ampelstream.model.tai import jd_from_mjd_tai

__all__ = ["PacketHistory", "RowHistory", "jd_of", "number"]

_LAST_JD = 2_500_000.5
"""2132: a time behind it is a corrupt packet, and would upset all that sorts by time."""


def number(entry: Mapping[str, Any], name: str) -> float | None:
    """Value of a field that holds a number; None where it holds none, or NaN, or infinity."""
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None  # JSON may hold an integer of any length
    return value if math.isfinite(value) else None


def jd_of(source: Mapping[str, Any]) -> float:
    """Julian date [d, UTC] of a source's exposure, its middle.

    Raises
    ------
    DecodeError
        The time is missing, or is none.
    """
    mjd = number(source, "midpointMjdTai")
    if mjd is None:
        raise DecodeError(f"midpointMjdTai is {source.get('midpointMjdTai')!r}, not a number")
    try:
        jd = jd_from_mjd_tai(mjd)
    except ValueError as error:
        raise DecodeError(f"midpointMjdTai: {error}") from error
    if jd > _LAST_JD:
        raise DecodeError(f"midpointMjdTai is {mjd!r}, not a date of this age")
    return jd


def _epochs(entries: Iterable[Mapping[str, Any]]) -> list[float]:
    return [jd_of(entry) for entry in entries if entry.get("midpointMjdTai") is not None]


class PacketHistory:
    """History of an Avro packet.

    Parameters
    ----------
    plan
        Of its writer schema.
    data, begin
        The packet, and the position where its record begins.
    at
        Position behind the head.
    """

    __slots__ = ("_at", "_begin", "_data", "_plan")

    def __init__(self, plan: PacketPlan, data: bytes, begin: int, at: int) -> None:
        self._plan = plan
        self._data = data
        self._begin = begin
        self._at = at

    def epochs(self) -> Sequence[float]:
        """Julian dates [d, UTC] of the earlier detections."""
        return _epochs(self._plan.times(self._data, self._begin, self._at))

    def measured(self) -> Sequence[Mapping[str, Any]]:
        """Earlier detections, with at least the fields of a light curve."""
        return self._plan.measured(self._data, self._begin, self._at)

    def points(self) -> Sequence[Mapping[str, Any]]:
        """Earlier detections (``prvDiaSources``)."""
        return self._plan.points(self._data, self._begin)

    def forced(self) -> Sequence[Mapping[str, Any]]:
        """Forced photometry (``prvDiaForcedSources``)."""
        return self._plan.forced(self._data, self._begin)


class RowHistory:
    """History of a row that is decoded already.

    Parameters
    ----------
    row
        All fields of the alert.
    """

    __slots__ = ("_row",)

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row

    def _entries(self, name: str) -> Sequence[Mapping[str, Any]]:
        return records_of(self._row, name)

    def epochs(self) -> Sequence[float]:
        """Julian dates [d, UTC] of the earlier detections."""
        return _epochs(self._entries("prvDiaSources"))

    def measured(self) -> Sequence[Mapping[str, Any]]:
        """Earlier detections."""
        return self._entries("prvDiaSources")

    def points(self) -> Sequence[Mapping[str, Any]]:
        """Earlier detections (``prvDiaSources``)."""
        return self._entries("prvDiaSources")

    def forced(self) -> Sequence[Mapping[str, Any]]:
        """Forced photometry (``prvDiaForcedSources``)."""
        return self._entries("prvDiaForcedSources")
