"""Packets as Avro container files of one record each, as ZTF sends them.

From top to bottom: the schema of a packet, an encoder compiled from a schema, and the writer that
puts a header before each encoded packet. fastavro could encode them too, but it tries each branch
of a union on each value, which for ZTF's schema (a thousand optional numbers in a packet) takes
several times as long. The encoder knows what packets need and no more: records, arrays, primitives,
and unions of null and one other type. Source: Avro specification 1.11, "Encodings" and "Object
Container Files".
"""

import hashlib
import io
import struct
from collections.abc import Callable
from typing import Any, Final

import fastavro

__all__ = [
    "CANDIDATE",
    "PREVIOUS",
    "VERSION",
    "Encode",
    "PacketWriter",
    "compiled",
    "encode_long",
    "packet_schema",
]

# The schema: names, order and types of the fields are those of the public ZTF alert packets, 4.02,
# so that whatever reads a simulated packet reads a real one.

VERSION: Final = "4.02"
"""What a packet says in ``schemavsn``."""

_TYPES: Final = {"d": "double", "f": "float", "i": "int", "l": "long", "s": "string", "b": "bytes"}

# One word per field: name:type, a capital letter for a type that may also be null.
_IMAGE = "jd:d fid:i pid:l diffmaglim:F pdiffimfilename:S programpi:S programid:i"
_PLACE = "tblid:L nid:I rcid:I field:I xpos:F ypos:F"
_SHAPE = (
    "chipsf:F magap:F sigmagap:F distnr:F magnr:F sigmagnr:F chinr:F sharpnr:F sky:F magdiff:F "
    "fwhm:F classtar:F mindtoedge:F magfromlim:F seeratio:F aimage:F bimage:F aimagerat:F "
    "bimagerat:F elong:F nneg:I nbad:I rb:F ssdistnr:F ssmagnr:F ssnamenr:S sumrat:F magapbig:F "
    "sigmagapbig:F"
)

CANDIDATE: Final = (
    f"{_IMAGE} candid:l isdiffpos:s {_PLACE} ra:d dec:d magpsf:f sigmapsf:f {_SHAPE} "
    "ranr:d decnr:d sgmag1:F srmag1:F simag1:F szmag1:F sgscore1:F distpsnr1:F ndethist:i "
    "ncovhist:i jdstarthist:D jdendhist:D scorr:D tooflag:I objectidps1:L objectidps2:L sgmag2:F "
    "srmag2:F simag2:F szmag2:F sgscore2:F distpsnr2:F objectidps3:L sgmag3:F srmag3:F simag3:F "
    "szmag3:F sgscore3:F distpsnr3:F nmtchps:i rfid:l jdstartref:d jdendref:d nframesref:i "
    "rbversion:s dsnrms:F ssnrms:F dsdiff:F magzpsci:F magzpsciunc:F magzpscirms:F nmatches:i "
    "clrcoeff:F clrcounc:F zpclrcov:F zpmed:F clrmed:F clrrms:F neargaia:F neargaiabright:F "
    "maggaia:F maggaiabright:F exptime:F drb:F drbversion:s"
)
"""Fields of an alert's own detection, as words ``name:type``."""

PREVIOUS: Final = (
    f"{_IMAGE} candid:L isdiffpos:S {_PLACE} ra:D dec:D magpsf:F sigmapsf:F {_SHAPE} "
    "ranr:D decnr:D scorr:D magzpsci:F magzpsciunc:F magzpscirms:F clrcoeff:F clrcounc:F "
    "rbversion:s"
)
"""Fields of an earlier detection or upper limit, likewise."""

_FORCED: Final = (
    "field:I rcid:I fid:i pid:l rfid:l sciinpseeing:F scibckgnd:F scisigpix:F magzpsci:F "
    "magzpsciunc:F magzpscirms:F clrcoeff:F clrcounc:F exptime:F adpctdif1:F adpctdif2:F "
    "diffmaglim:F programid:i jd:d forcediffimflux:F forcediffimfluxunc:F procstatus:S distnr:F "
    "ranr:d decnr:d magnr:F sigmagnr:F chinr:F sharpnr:F"
)

_CUTOUT: Final = "fileName:s stampData:b"


def _schema_field(word: str) -> dict[str, Any]:
    name, letter = word.split(":")
    kind = _TYPES[letter.lower()]
    if letter.islower():
        return {"name": name, "type": kind}
    return {"name": name, "type": ["null", kind], "default": None}


def _schema_record(name: str, words: str) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [_schema_field(word) for word in words.split()],
    }


def _schema_optional(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}


def packet_schema() -> dict[str, Any]:
    """Give the schema of a packet, as plain data."""
    previous = {"type": "array", "items": _schema_record("ztf.alert.prv_candidate", PREVIOUS)}
    forced = {"type": "array", "items": _schema_record("ztf.alert.fp_hist", _FORCED)}
    fields = [
        *(_schema_field(word) for word in ("schemavsn:s", "publisher:s", "objectId:s", "candid:l")),
        {"name": "candidate", "type": _schema_record("ztf.alert.candidate", CANDIDATE)},
        _schema_optional("prv_candidates", previous),
        _schema_optional("fp_hists", forced),
        _schema_optional("cutoutScience", _schema_record("ztf.alert.cutout", _CUTOUT)),
        _schema_optional("cutoutTemplate", "ztf.alert.cutout"),
        _schema_optional("cutoutDifference", "ztf.alert.cutout"),
    ]
    return {
        "type": "record",
        "name": "ztf.alert",
        "doc": "ZTF-like alert packet of a simulation by ampelstream; no telescope saw it",
        "version": VERSION,
        "fields": fields,
    }


Encode = Callable[[Any], bytes]
"""Gives the encoding of a value."""

_ABSENT, _PRESENT = b"\x00", b"\x02"  # branches 0 and 1 of a union


def encode_long(number: int) -> bytes:
    """Encode an integer of up to 64 bits: zigzag, then 7 bits a byte, lowest first."""
    rest = number << 1 ^ number >> 63
    if rest <= 0x7F:  # noqa: PLR2004  (seven bits)
        return bytes((rest,))
    parts = bytearray()
    while rest > 0x7F:  # noqa: PLR2004  (seven bits)
        parts.append(rest & 0x7F | 0x80)
        rest >>= 7
    parts.append(rest)
    return bytes(parts)


def _bytes(value: bytes) -> bytes:
    return encode_long(len(value)) + value


_PRIMITIVES: dict[str, Encode] = {
    "double": struct.Struct("<d").pack,
    "float": struct.Struct("<f").pack,
    "int": encode_long,
    "long": encode_long,
    "bytes": _bytes,
    "string": lambda value: _bytes(value.encode()),
}


def compiled(schema: Any, named: dict[str, Encode] | None = None) -> Encode:
    """Compile the encoder of a schema.

    Parameters
    ----------
    schema
        Schema as plain data.
    named
        Encoders of the records met so far, by full name; a record may be named again instead of
        being written out.

    Raises
    ------
    KeyError
        The schema names a type that it has not defined.
    """
    known = {} if named is None else named
    if isinstance(schema, str):
        return _PRIMITIVES[schema] if schema in _PRIMITIVES else known[schema]
    if isinstance(schema, list):
        return _optional(compiled(schema[1], known))
    if schema["type"] == "array":
        return _array(compiled(schema["items"], known))
    fields = [(field["name"], compiled(field["type"], known)) for field in schema["fields"]]
    known[schema["name"]] = made = _record(fields)
    return made


def _optional(encode: Encode) -> Encode:
    return lambda value: _ABSENT if value is None else _PRESENT + encode(value)


def _array(encode: Encode) -> Encode:
    def array(values: list[Any]) -> bytes:
        if not values:
            return b"\x00"
        return b"".join((encode_long(len(values)), *map(encode, values), b"\x00"))

    return array


def _record(fields: list[tuple[str, Encode]]) -> Encode:
    return lambda record: b"".join([encode(record[name]) for name, encode in fields])


_SYNC = hashlib.md5(b"ampelstream simulation", usedforsecurity=False).digest()


class PacketWriter:
    """Writes packets; the same packet always gives the same bytes.

    The container's header is made once: it holds the schema, which would otherwise be written out
    as JSON again for every packet. Avro's sync marker, random by custom, is a fixed one.
    """

    def __init__(self) -> None:
        schema = packet_schema()
        empty = io.BytesIO()
        fastavro.writer(empty, schema, [], sync_marker=_SYNC)
        self._header = empty.getvalue()
        self._encode = compiled(schema)

    def encode(self, packet: dict[str, Any]) -> bytes:
        """Give the container file of one packet.

        Parameters
        ----------
        packet
            Fields as `packet_schema` has them.
        """
        record = self._encode(packet)
        block = (encode_long(1), encode_long(len(record)), record, _SYNC)
        return b"".join((self._header, *block))
