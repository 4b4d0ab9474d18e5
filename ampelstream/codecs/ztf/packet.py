"""A ZTF alert packet, alone or with many others.

Many become columns (`ZtfBatch`), of which only those that pass a filter become datapoints
(``datapoints.py``). One alone is decoded as far as its own detection (`decode_container`); the rest
stays bytes until somebody asks for it.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.avro.container import Header, first_block, read_header
from ampelstream.codecs.avro.packets import Layout, PacketSchema, WriterSchemas
from ampelstream.codecs.avro.program import UnfitSchema
from ampelstream.codecs.batch import Measurements, PacketBatch, on_sky
from ampelstream.codecs.rows import records_of
from ampelstream.codecs.ztf.datapoints import FIELDS, FORCED, datapoints, measurements
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert, History
from ampelstream.model.alertbatch import Asked, Floats
from ampelstream.model.identifiers import NAME_LIMIT, checked_name
from ampelstream.model.lightcurve import Datapoint

__all__ = ["SCHEMAS", "ZtfBatch", "decode", "decode_container"]

SCHEMAS = WriterSchemas(
    Layout(
        survey="ZTF",
        head=("objectId", "candid", "candidate"),
        history="prv_candidates",
        forced="fp_hists",
    )
)

_FIRST_JD, _LAST_JD = 2_400_000.5, 2_500_000.5
"""1858 to 2132: a time outside is a corrupt packet, and would upset all that sorts by time."""

_LONG = 1 << 63


def _of_this_age(jd: Any) -> Any:
    """Whether a Julian date may be one: of a number a truth value, of a column a column."""
    return (jd >= _FIRST_JD) & (jd <= _LAST_JD)


class ZtfBatch(PacketBatch):
    """ZTF alerts of one writer schema, as columns."""

    survey = "ztf"
    record = "candidate"
    history = "prv_candidates"
    identity = ("candid", "objectId")
    position = ("jd", "ra", "dec")
    times = ("candid", "jd")
    measured = FIELDS
    forced = FORCED

    def __init__(
        self,
        schema: PacketSchema,
        values: list[bytes],
        starts: Sequence[int],
        asked: Asked,
        *,
        framed: bool,
    ) -> None:
        super().__init__(schema, values, starts, asked, framed=framed)
        self._past = _detected(self.columns) if asked.epochs else None
        self._needs("candidate", {"f8", "i8"}, "jd", "ra", "dec")
        self._needs("", {"i8"}, "candid")
        self._needs("", {"text"}, "objectId")
        self.jd, self.ra, self.dec = (self.number(name)[0] for name in ("jd", "ra", "dec"))
        self._candids, no_candid = self.columns.integers("", "candid")
        good = _of_this_age(self.jd) & on_sky(self.ra, self.dec) & ~no_candid
        self._look_at(np.flatnonzero(~(good & self._named())).tolist())

    def _named(self) -> npt.NDArray[np.bool_]:
        """Which alerts have a name that needs no second look: some ASCII letters and digits."""
        begin, size, null = self.columns.spans("", "objectId")
        cut = zip(self._values, begin.tolist(), (begin + size).tolist(), strict=True)
        self._names = [data[first:behind] for data, first, behind in cut]
        plain = ~null & (size > 0) & (size <= NAME_LIMIT)
        if not b"".join(self._names).isalnum():
            plain &= np.array([name.isalnum() for name in self._names], bool)
        for row in np.flatnonzero(~plain & ~null).tolist():
            with suppress(UnicodeDecodeError, DecodeError):
                checked_name(self._names[row].decode(), "objectId")
                plain[row] = True
        return plain

    def object_id(self, row: int) -> str:
        """Name of the object."""
        return self._names[row].decode()

    @staticmethod
    def _from_record(schema: PacketSchema, data: bytes, begin: int) -> Alert:
        return _from_record(schema, data, begin)

    @staticmethod
    def _points_of(alert: Alert) -> list[Datapoint]:
        return datapoints(alert)

    @staticmethod
    def _measurements(columns: Columns) -> Measurements:
        return measurements(columns)


def _detected(columns: Columns) -> tuple[npt.NDArray[np.int64], Floats]:
    """Times of the entries of the history that are detections, for each packet.

    Raises
    ------
    UnfitSchema
        The times are no numbers.
    """
    history = "prv_candidates"
    offsets = columns.offsets(history)
    if None in (columns.kind(history, "jd"), columns.kind(history, "candid")):
        return np.zeros(len(offsets), np.int64), np.zeros(0)
    if columns.kind(history, "jd") not in {"f8", "i8"}:
        raise UnfitSchema("jd has no column of numbers")
    jds, _ = columns.floats(history, "jd")
    detected = ~(np.isnan(jds) | columns.nulls(history, "candid"))
    before = np.concatenate(([0], np.cumsum(detected)))
    return before[offsets], jds[detected]


class _PacketHistory:
    """History of an Avro packet."""

    __slots__ = ("_begin", "_data", "_schema")

    def __init__(self, schema: PacketSchema, data: bytes, begin: int) -> None:
        self._schema = schema
        self._data = data
        self._begin = begin

    def epochs(self) -> Sequence[float]:
        wanted = (("prv_candidates", ZtfBatch.times),)
        columns = self._schema.columns(wanted, self._data, self._begin)
        if columns is None or not columns.is_table("prv_candidates"):
            return _epochs(self.points())
        try:
            found: list[float] = _detected(columns)[1].tolist()
        except UnfitSchema:
            return _epochs(self.points())
        return found

    def points(self) -> Sequence[Mapping[str, Any]]:
        return self._schema.points(self._data, self._begin)

    def forced(self) -> Sequence[Mapping[str, Any]]:
        return self._schema.forced(self._data, self._begin)


class _RowHistory:
    """History of a row that is decoded already."""

    __slots__ = ("_row",)

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row

    def epochs(self) -> Sequence[float]:
        return _epochs(self.points())

    def points(self) -> Sequence[Mapping[str, Any]]:
        return records_of(self._row, "prv_candidates")

    def forced(self) -> Sequence[Mapping[str, Any]]:
        return records_of(self._row, "fp_hists")


def _epochs(entries: Sequence[Mapping[str, Any]]) -> list[float]:
    jds = [entry.get("jd") for entry in entries if entry.get("candid") is not None]
    # one that is NaN is no time, and would make of the others what their order makes of it
    return [float(jd) for jd in jds if jd is not None and not math.isnan(jd)]


def _number(candidate: Mapping[str, Any], name: str) -> float:
    value = candidate.get(name)
    if not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < math.inf:
        with suppress(OverflowError):  # JSON may hold an integer of any length
            return float(value)
    raise DecodeError(f"candidate.{name} is {value!r:.80}, not a number")


def _alert(fields: Mapping[str, Any], history: History) -> Alert:
    """Alert from the fields of a packet, checked."""
    candidate = fields.get("candidate")
    if not isinstance(candidate, Mapping):
        raise DecodeError("not a ZTF alert: it has no candidate")
    object_id, candid = fields.get("objectId"), fields.get("candid")
    if isinstance(candid, bool) or not isinstance(candid, int) or not -_LONG <= candid < _LONG:
        raise DecodeError(f"candid is {candid!r:.80}, not an integer of 64 bits")
    jd = _number(candidate, "jd")
    ra, dec = _number(candidate, "ra"), _number(candidate, "dec")
    if not _of_this_age(jd):
        raise DecodeError(f"candidate.jd is {jd!r}, not a Julian date of this age")
    if not on_sky(ra, dec):
        raise DecodeError(f"candidate.ra, dec are {ra!r}, {dec!r}, not a position in degrees")
    return Alert(
        survey="ztf",
        object_id=checked_name(object_id, "objectId"),
        candid=candid,
        jd=jd,
        ra=ra,
        dec=dec,
        candidate=candidate,
        history=history,
    )


def _from_record(schema: PacketSchema, data: bytes, begin: int) -> Alert:
    return _alert(schema.head(data, begin), _PacketHistory(schema, data, begin))


def decode(value: bytes | Mapping[str, Any]) -> Alert:
    """Decode a packet as far as its own detection.

    Parameters
    ----------
    value
        An Avro container with one record, or a row that is decoded already.

    Raises
    ------
    DecodeError
        It is no ZTF alert, or a broken one. The history is decoded later, and may raise the same.
    """
    if not isinstance(value, bytes):
        return _alert(value, _RowHistory(value))
    return decode_container(value, read_header(value))


def decode_container(value: bytes, header: Header) -> Alert:
    """Decode an Avro container whose header was read already.

    Raises
    ------
    DecodeError
        It is no ZTF alert, or a broken one.
    """
    schema, codec = SCHEMAS.of_container(header.key)
    return _from_record(schema, first_block(value, header.body, codec), 0)
