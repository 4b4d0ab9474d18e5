"""What a Rubin packet says of earlier times, decoded when it is asked for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ampelstream.codecs.avro.packets import PacketSchema
from ampelstream.codecs.rows import records_of
from ampelstream.errors import DecodeError
from ampelstream.model.alertbatch import Bools, Floats
from ampelstream.model.tai import jd_from_mjd_tai, jds_from_mjd_tai

__all__ = ["PacketHistory", "RowHistory", "jd_of", "jds_of", "number"]

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


def jd_of(mjd: float | None) -> float:
    """Julian date [d, UTC] of a source's exposure, its middle.

    Parameters
    ----------
    mjd
        ``midpointMjdTai`` [d, TAI]; None where that is no finite number.

    Raises
    ------
    DecodeError
        The time is missing, or is none.
    """
    if mjd is None:
        raise DecodeError("midpointMjdTai is missing, or no number")
    try:
        jd = jd_from_mjd_tai(mjd)
    except ValueError as error:
        raise DecodeError(f"midpointMjdTai: {error}") from error
    if not _of_this_age(jd):
        raise DecodeError(f"midpointMjdTai is {mjd!r}, not a date of this age")
    return jd


def jds_of(mjds: Floats) -> tuple[Floats, Bools]:
    """Julian dates [d, UTC] of many, and which of them are dates."""
    jds = jds_from_mjd_tai(mjds)
    return jds, _of_this_age(jds)


def _of_this_age(jd: Any) -> Any:
    """Whether a Julian date may be one: of a number a truth value, of a column a column."""
    return jd <= _LAST_JD


def _epochs(entries: Iterable[Mapping[str, Any]]) -> list[float]:
    return [
        jd_of(number(entry, "midpointMjdTai"))
        for entry in entries
        if entry.get("midpointMjdTai") is not None
    ]


class PacketHistory:
    """History of an Avro packet.

    Parameters
    ----------
    schema
        Of its writer.
    data, begin
        The packet, and the position where its record begins.
    """

    __slots__ = ("_begin", "_data", "_schema")

    def __init__(self, schema: PacketSchema, data: bytes, begin: int) -> None:
        self._schema = schema
        self._data = data
        self._begin = begin

    def epochs(self) -> Sequence[float]:
        """Julian dates [d, UTC] of the earlier detections."""
        wanted = (("prvDiaSources", ("midpointMjdTai",)),)
        columns = self._schema.columns(wanted, self._data, self._begin)
        if columns is None or columns.kind("prvDiaSources", "midpointMjdTai") not in {"f8", "i8"}:
            return _epochs(self.points())
        mjds, null = columns.floats("prvDiaSources", "midpointMjdTai")
        found = np.where(np.isfinite(mjds), mjds, np.nan)[~null].tolist()
        return [jd_of(None if math.isnan(mjd) else mjd) for mjd in found]

    def points(self) -> Sequence[Mapping[str, Any]]:
        """Earlier detections (``prvDiaSources``)."""
        return self._schema.points(self._data, self._begin)

    def forced(self) -> Sequence[Mapping[str, Any]]:
        """Forced photometry (``prvDiaForcedSources``)."""
        return self._schema.forced(self._data, self._begin)


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

    def points(self) -> Sequence[Mapping[str, Any]]:
        """Earlier detections (``prvDiaSources``)."""
        return self._entries("prvDiaSources")

    def forced(self) -> Sequence[Mapping[str, Any]]:
        """Forced photometry (``prvDiaForcedSources``)."""
        return self._entries("prvDiaForcedSources")
