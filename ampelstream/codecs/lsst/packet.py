"""A Rubin alert packet: its own detection at once, its history when asked for.

Rubin's packets are laid out alike from schema 7.1 to 11.0 as far as they are read here.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ampelstream.codecs.avrocontainer import Header, first_block, read_header
from ampelstream.codecs.avroplan import Layout, Plans
from ampelstream.codecs.lsst.history import PacketHistory, RowHistory, jd_of, number
from ampelstream.errors import DecodeError, UnknownSchema
from ampelstream.model.alert import Alert, History

__all__ = [
    "MEASURED",
    "FixedSchemas",
    "Schemas",
    "decode",
    "decode_container",
    "decode_row",
    "decode_wire",
    "wire_schema_id",
]

MEASURED = frozenset(
    {
        *("diaSourceId", "visit", "detector", "midpointMjdTai", "band"),
        *("psfFlux", "psfFluxErr", "reliability", "ra", "dec", "x", "y"),
    }
)
"""Fields of a history's entry that a datapoint takes."""

_PLANS = Plans(
    Layout(
        survey="Rubin",
        head=("diaSource",),
        history="prvDiaSources",
        forced="prvDiaForcedSources",
        times=frozenset({"midpointMjdTai"}),
        measured=MEASURED,
    )
)

_WIRE_HEAD = 5
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
    """Name of the object: of a static one its number, of a moving one its number behind ``ss``.

    Many of Rubin's alerts are of known solar-system objects. They are no broken records, so they
    are not refused but have a name of their own kind: a topology may keep them out (``ssObjectId ==
    0``).
    """
    static = _identifier(source, "diaObjectId")
    if static:
        return str(static)
    moving = _identifier(source, "ssObjectId")
    if not moving:
        raise DecodeError(f"the alert belongs to no object: {_SEEN_BY_RUBIN}")
    return f"ss{moving}"


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
    if not (0.0 <= ra <= 360.0 and -90.0 <= dec <= 90.0):  # noqa: PLR2004  (degrees of the sky)
        raise DecodeError(f"diaSource.ra, dec are {ra!r}, {dec!r}, not a position in degrees")
    return Alert(
        survey="lsst",
        object_id=_object_id(source),
        candid=candid,
        jd=jd_of(source),
        ra=ra,
        dec=dec,
        candidate=source,
        history=history,
    )


def wire_schema_id(value: bytes) -> int:
    """Identifier of the writer schema of a message in Confluent's wire format.

    Raises
    ------
    DecodeError
        The message is not in that format.
    """
    if len(value) < _WIRE_HEAD or value[0]:
        raise DecodeError("not in Confluent's wire format: 0, a schema's identifier, a record")
    return int.from_bytes(value[1:_WIRE_HEAD], "big")


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
    plan = _PLANS.of_schema(schema)
    fields, at = plan.head(value, _WIRE_HEAD)
    return _alert(fields, PacketHistory(plan, value, _WIRE_HEAD, at))


def decode_container(value: bytes, header: Header) -> Alert:
    """Decode an Avro container whose header was read already.

    Raises
    ------
    DecodeError
        It is no Rubin alert, or a broken one.
    """
    plan, codec = _PLANS.of_container(header.key)
    body = first_block(value, header.body, codec)
    fields, at = plan.head(body, 0)
    return _alert(fields, PacketHistory(plan, body, 0, at))


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
