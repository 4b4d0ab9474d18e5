"""A Rubin alert packet, alone or with many others.

Rubin's packets are laid out alike from schema 7.1 to 11.0 as far as they are read here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.avro.container import Header, first_block, read_header
from ampelstream.codecs.avro.packets import Layout, PacketSchema, WriterSchemas
from ampelstream.codecs.avro.program import UnfitSchema
from ampelstream.codecs.batch import Measurements, PacketBatch, on_sky
from ampelstream.codecs.lsst.datapoints import FIELDS, FORCED, datapoints, measurements
from ampelstream.codecs.lsst.history import PacketHistory, RowHistory, jd_of, jds_of, number
from ampelstream.errors import DecodeError, UnknownSchema
from ampelstream.model.alert import Alert, History
from ampelstream.model.alertbatch import Asked, Floats
from ampelstream.model.lightcurve import Datapoint

__all__ = [
    "SCHEMAS",
    "WIRE_HEAD",
    "FixedSchemas",
    "RubinBatch",
    "Schemas",
    "decode",
    "decode_container",
    "decode_row",
    "decode_wire",
    "wire_schema_id",
]

SCHEMAS = WriterSchemas(
    Layout(
        survey="Rubin",
        head=("diaSource",),
        history="prvDiaSources",
        forced="prvDiaForcedSources",
    )
)

WIRE_HEAD = 5
"""Bytes before the record in Confluent's wire format: 0, and the schema's identifier."""
_LONG = 1 << 63
_SEEN_BY_RUBIN = "a DIA source has a diaObjectId, or the ssObjectId of a solar-system object"


class Schemas(Protocol):
    """Writer schemas that are at hand, by identifier."""

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema as parsed from JSON or by fastavro; None where it is not at hand.

        The same object each time: how to read its packets is remembered for that object.
        """
        ...


class FixedSchemas:
    """Schemas that were collected beforehand.

    Parameters
    ----------
    schemas
        By identifier (Rubin: 100 times the major version, and the minor version).
    """

    def __init__(self, schemas: Mapping[int, Mapping[str, Any]]) -> None:
        self._schemas = dict(schemas)

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema of that identifier, or None."""
        return self._schemas.get(schema_id)


def _identifier(source: Mapping[str, Any], name: str) -> int:
    """An identifier; 0 where there is none, which Rubin writes as 0 or as null."""
    value = source.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LONG:
        raise DecodeError(f"diaSource.{name} is {value!r}, not an identifier")
    return value


def _object_id(source: Mapping[str, Any]) -> str:
    """Name of the object, of its identifiers."""
    name = _named(_identifier(source, "diaObjectId"), _identifier(source, "ssObjectId"))
    if not name:
        raise DecodeError(f"the alert belongs to no object: {_SEEN_BY_RUBIN}")
    return name


def _named(static: int, moving: int) -> str:
    """Name of the object: of a static one its number, of a moving one its number behind ``ss``.

    Many of Rubin's alerts are of known solar-system objects. They are no broken records, so they
    are not refused but have a name of their own kind: a topology may keep them out (``ssObjectId ==
    0``). Empty where there is no identifier.
    """
    return str(static) if static else f"ss{moving}" if moving else ""


def _degrees(source: Mapping[str, Any], name: str) -> float:
    value = number(source, name)
    if value is None:
        raise DecodeError(f"diaSource.{name} is {source.get(name)!r}, not a number")
    return value


def _alert(fields: Mapping[str, Any], history: History) -> Alert:
    """Alert from the fields of a packet, checked."""
    source = fields.get("diaSource")
    if not isinstance(source, Mapping):
        raise DecodeError("not a Rubin alert: it has no diaSource")
    candid = _identifier(source, "diaSourceId")
    if not candid:
        raise DecodeError("diaSource.diaSourceId is missing")
    ra, dec = _degrees(source, "ra"), _degrees(source, "dec")
    if not on_sky(ra, dec):
        raise DecodeError(f"diaSource.ra, dec are {ra!r}, {dec!r}, not a position in degrees")
    return Alert(
        survey="lsst",
        object_id=_object_id(source),
        candid=candid,
        jd=jd_of(number(source, "midpointMjdTai")),
        ra=ra,
        dec=dec,
        candidate=source,
        history=history,
    )


class RubinBatch(PacketBatch):
    """Rubin's alerts of one writer schema, as columns."""

    survey = "lsst"
    record = "diaSource"
    history = "prvDiaSources"
    identity = ()
    position = ("diaObjectId", "diaSourceId", "dec", "midpointMjdTai", "ra", "ssObjectId")
    times = ("midpointMjdTai",)
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
        self._needs("diaSource", {"f8", "i8"}, "midpointMjdTai", "ra", "dec")
        self._needs("diaSource", {"i8"}, "diaSourceId")
        self._needs("diaSource", {"i8", None}, "diaObjectId", "ssObjectId")
        self.ra, self.dec = self.number("ra")[0], self.number("dec")[0]
        mjds, _ = self.number("midpointMjdTai")
        self.jd, dated = jds_of(mjds)
        self._candids, static, moving = (
            self._identifiers(name) for name in ("diaSourceId", "diaObjectId", "ssObjectId")
        )
        self._static, self._moving = static, moving
        known = (self._candids > 0) & (static >= 0) & (moving >= 0) & ((static > 0) | (moving > 0))
        self._look_at(np.flatnonzero(~(dated & on_sky(self.ra, self.dec) & known)).tolist())
        self._past = self._earlier() if asked.epochs else None

    def _identifiers(self, name: str) -> npt.NDArray[np.int64]:
        if self.kind(name) is None:
            return np.zeros(len(self), np.int64)
        return self.columns.integers("diaSource", name)[0]

    def _earlier(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Times of the earlier detections; a wrong one is a fault of its alert."""
        history = self.history
        offsets = self.columns.offsets(history)
        if not self.columns.has(history, "midpointMjdTai"):
            return np.zeros(len(offsets), np.int64), np.zeros(0)
        if self.columns.kind(history, "midpointMjdTai") not in {"f8", "i8"}:
            raise UnfitSchema("midpointMjdTai has no column of numbers")
        mjds, null = self.columns.floats(history, "midpointMjdTai")
        jds, dated = jds_of(mjds)
        for row in np.flatnonzero(~(dated | null)).tolist():
            packet = int(np.searchsorted(offsets, row, side="right")) - 1
            if packet not in self.faults:
                self.faults[packet] = _undated(mjds[row].item())
        before = np.concatenate(([0], np.cumsum(~null)))
        return before[offsets], jds[~null]

    def object_id(self, row: int) -> str:
        """Name of the object."""
        return _named(int(self._static[row]), int(self._moving[row]))

    @staticmethod
    def _from_record(schema: PacketSchema, data: bytes, begin: int) -> Alert:
        return _from_record(schema, data, begin)

    @staticmethod
    def _points_of(alert: Alert) -> list[Datapoint]:
        return datapoints(alert)

    @staticmethod
    def _measurements(columns: Columns) -> Measurements:
        return measurements(columns)


def _undated(mjd: float) -> DecodeError:
    """What is wrong with a time that is none."""
    try:
        jd_of(mjd if np.isfinite(mjd) else None)
    except DecodeError as error:
        return error
    return DecodeError(f"midpointMjdTai is {mjd!r}, not a date")


def wire_schema_id(value: bytes) -> int:
    """Identifier of the writer schema of a message in Confluent's wire format.

    Raises
    ------
    DecodeError
        The message is not in that format.
    """
    if len(value) < WIRE_HEAD or value[0]:
        raise DecodeError("not in Confluent's wire format: 0, a schema's identifier, a record")
    return int.from_bytes(value[1:WIRE_HEAD], "big")


def decode_wire(value: bytes, schemas: Schemas | None) -> Alert:
    """Decode a message in Confluent's wire format, as Rubin sends it.

    Raises
    ------
    UnknownSchema
        Its writer schema is not at hand.
    DecodeError
        It is no Rubin alert, or a broken one.
    """
    schema_id = wire_schema_id(value)
    schema = None if schemas is None else schemas.known(schema_id)
    if schema is None:
        raise UnknownSchema(schema_id)
    return _from_record(SCHEMAS.of_schema(schema), value, WIRE_HEAD)


def _from_record(schema: PacketSchema, data: bytes, begin: int) -> Alert:
    return _alert(schema.head(data, begin), PacketHistory(schema, data, begin))


def decode_container(value: bytes, header: Header) -> Alert:
    """Decode an Avro container whose header was read already.

    Raises
    ------
    DecodeError
        It is no Rubin alert, or a broken one.
    """
    schema, codec = SCHEMAS.of_container(header.key)
    return _from_record(schema, first_block(value, header.body, codec), 0)


def decode_row(row: Mapping[str, Any]) -> Alert:
    """Decode a row of a table.

    Raises
    ------
    DecodeError
        It is no Rubin alert.
    """
    return _alert(row, RowHistory(row))


def decode(value: bytes | Mapping[str, Any], schemas: Schemas | None = None) -> Alert:
    """Decode a packet as far as its own detection.

    Parameters
    ----------
    value
        A message in Confluent's wire format, an Avro container with one record, or a row that is
        decoded already.
    schemas
        Writer schemas of wire messages.

    Raises
    ------
    UnknownSchema
        The writer schema is not at hand.
    DecodeError
        It is no Rubin alert, or a broken one. The history is decoded later, and may raise the same.
    """
    if not isinstance(value, bytes):
        return decode_row(value)
    if value[:1] == b"\x00":
        return decode_wire(value, schemas)
    return decode_container(value, read_header(value))
