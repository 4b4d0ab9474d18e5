"""Alerts of every survey: bytes or rows to `Alert`, by what they begin with; called by ingest."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from ampelstream.codecs import lsst, ztf
from ampelstream.codecs.avrocontainer import read_header
from ampelstream.codecs.jsonsize import has_more_values
from ampelstream.codecs.lsst import Schemas
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import Datapoint

__all__ = ["MANY_VALUES", "Schemas", "datapoints", "decode", "schema_id_of"]

_SCHEMAS_KEPT = 64
_RUBIN = b'"diaSource"'
"""No schema of ZTF has a name like this one, and every schema of Rubin has it."""

MANY_VALUES = 1_000_000
"""How many values a row in JSON may have; a long history has some ten thousand."""

_row_of = msgspec.json.Decoder().decode
_is_rubin: OrderedDict[bytes, bool] = OrderedDict()


def _from_rubin(key: bytes) -> bool:
    """Whether a container's schema is Rubin's; found once for each schema."""
    known = _is_rubin.get(key)
    if known is None:
        known = _is_rubin[key] = _RUBIN in key
        if len(_is_rubin) > _SCHEMAS_KEPT:
            _is_rubin.popitem(last=False)
    return known


def _row(row: Mapping[str, Any]) -> Alert:
    return lsst.decode_row(row) if "diaSource" in row else ztf.decode(row)


def _json(value: bytes) -> Mapping[str, Any]:
    if has_more_values(value, MANY_VALUES):
        raise DecodeError(f"the row of a table has more than {MANY_VALUES} values")
    try:
        row = _row_of(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"the row of a table is no JSON: {error}") from error
    if not isinstance(row, Mapping):
        raise DecodeError("the row of a table is no JSON object")
    return row


def decode(value: bytes | Mapping[str, Any], schemas: Schemas | None = None) -> Alert:
    """Decode an alert as far as its own detection; its first bytes say what it is.

    Parameters
    ----------
    value
        An Avro container with one record (ZTF, Rubin), a message in Confluent's wire format
        (Rubin), a row of a table as JSON, or such a row decoded already.
    schemas
        Writer schemas of messages in the wire format.

    Raises
    ------
    UnknownSchema
        The message's writer schema is not in ``schemas``.
    DecodeError
        It is no alert, or a broken one. The history is decoded later, and may raise the same.
    """
    if not isinstance(value, bytes):
        return _row(value)
    first = value[:1]
    if first == b"\x00":
        return lsst.decode_wire(value, schemas)
    if first == b"{":
        return _row(_json(value))
    header = read_header(value)
    if _from_rubin(header.key):
        return lsst.decode_container(value, header)
    return ztf.decode_container(value, header)


def schema_id_of(value: Any) -> int | None:
    """Number of the writer schema that an alert only names; None where it holds its own."""
    if not isinstance(value, bytes) or value[:1] != b"\x00":
        return None
    try:
        return lsst.wire_schema_id(value)
    except DecodeError:
        return None


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert: its history, then its own detection.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    return lsst.datapoints(alert) if alert.survey == "lsst" else ztf.datapoints(alert)
