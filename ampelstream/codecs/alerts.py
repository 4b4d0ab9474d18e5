"""Alerts of every survey, by what they begin with: one as an `Alert`, many as columns.

Called by ingest: `batches` gives columns of all that have the same writer schema, and says which
values have to be decoded by themselves (rows of tables, compressed containers, what is corrupt).
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ampelstream.codecs import lsst, ztf
from ampelstream.codecs.avro.container import MARKER_BYTES, read_header
from ampelstream.codecs.avro.packets import GARBAGE, PacketSchema
from ampelstream.codecs.avro.program import UnfitSchema
from ampelstream.codecs.batch import PacketBatch
from ampelstream.codecs.jsonfault import json_fault
from ampelstream.codecs.jsonsize import has_more_values
from ampelstream.codecs.lsst import Schemas
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert
from ampelstream.model.alertbatch import AlertBatch, Asked
from ampelstream.model.lightcurve import Datapoint

__all__ = ["MANY_VALUES", "Schemas", "batches", "datapoints", "decode", "observed", "schema_id_of"]

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
        raise DecodeError(f"the row of a table is no JSON: {json_fault(value, error)}") from error
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


_HEADS_KEPT = 32
_CROWDED = 32
"""Packets with long histories are read so many at a time."""


class _Head(NamedTuple):
    """What packets of one writer schema begin with.

    Attributes
    ----------
    begin
        Those bytes: of a container up to its sync marker, of a message in the wire format five.
    start
        Where what follows the header begins.
    schema
        The writer's.
    kind
        Of the survey.
    """

    begin: bytes
    start: int
    schema: PacketSchema
    kind: type[PacketBatch]


_heads: tuple[_Head, ...] = ()
"""Of containers, the last first. Threads share it: it is replaced, never changed."""


def _container_head(value: bytes) -> _Head | None:
    """Head of a container; None where it is compressed.

    Raises
    ------
    DecodeError
        It is none, or not of alerts.
    """
    header = read_header(value)
    survey, kind = (lsst, lsst.RubinBatch) if _from_rubin(header.key) else (ztf, ztf.ZtfBatch)
    schema, codec = survey.SCHEMAS.of_container(header.key)
    if codec not in {"", "null"}:
        return None
    head = _Head(value[: header.body - MARKER_BYTES], header.body, schema, kind)
    global _heads  # noqa: PLW0603  (a cache)
    _heads = (head, *_heads[: _HEADS_KEPT - 1])
    return head


def _wire_head(value: bytes, schemas: Schemas | None) -> _Head | None:
    """Head of a message in the wire format; None where its schema is not at hand."""
    schema = None if schemas is None else schemas.known(lsst.wire_schema_id(value))
    if schema is None:
        return None
    begin = value[: lsst.WIRE_HEAD]
    return _Head(begin, len(begin), lsst.SCHEMAS.of_schema(schema), lsst.RubinBatch)


def _head_of(value: Any, last: _Head | None, schemas: Schemas | None) -> _Head | None:
    """Head of a value, most often that of the one before; None where it has none."""
    if not isinstance(value, bytes):
        return None
    if last is not None and value.startswith(last.begin):
        return last
    if value[:1] == b"\x00":
        return _wire_head(value, schemas)
    if value[:1] == b"{":
        return None
    for head in _heads:
        if value.startswith(head.begin):
            return head
    return _container_head(value)


def _columns(
    head: _Head, values: Sequence[Any], numbers: Sequence[int], asked: Asked
) -> list[tuple[AlertBatch, list[int]]]:
    """Columns of packets with the same head; none where they have to be decoded one by one."""
    if not numbers:
        return []
    packets = [values[number] for number in numbers]
    framed = head.begin[:1] != b"\x00"
    try:
        batch = head.kind(head.schema, packets, [head.start] * len(numbers), asked, framed=framed)
    except (UnfitSchema, DecodeError, *GARBAGE):  # `decode` will say what is wrong
        return []
    crowded = {numbers[row] for row in batch.columns.crowded()}
    if not crowded:
        return [(batch, list(numbers))]
    if len(numbers) > _CROWDED:  # together they have room in the mean, so most of them are long
        starts = range(0, len(numbers), _CROWDED)
        parts = [list(numbers[first : first + _CROWDED]) for first in starts]
    else:
        rest = [number for number in numbers if number not in crowded]
        parts = [*([number] for number in sorted(crowded)), rest]
    return [one for part in parts for one in _columns(head, values, part, asked)]


def batches(
    values: Sequence[bytes | Mapping[str, Any]],
    asked: Asked | Mapping[str, Asked],
    schemas: Schemas | None = None,
) -> list[tuple[AlertBatch, list[int]]]:
    """Columns of those of some alerts that can be read together.

    Parameters
    ----------
    values
        As `decode` takes them.
    asked
        What of them is to become columns: of all, or by survey.
    schemas
        Writer schemas of messages in the wire format.

    Returns
    -------
    list
        For each writer schema the columns, and where in ``values`` each of their rows is. What is
        in none of them is for `decode`.
    """
    groups: dict[int, tuple[_Head, list[int]]] = {}
    head: _Head | None = None
    for number, value in enumerate(values):
        try:
            found = _head_of(value, head, schemas)
        except DecodeError:  # `decode` will find the same, and say so
            continue
        if found is not None:
            head = found
            groups.setdefault(id(head.schema), (head, []))[1].append(number)
    made: list[tuple[AlertBatch, list[int]]] = []
    for head, numbers in groups.values():
        of_it = asked if isinstance(asked, Asked) else asked.get(head.kind.survey, Asked())
        made += _columns(head, values, numbers, of_it)
    return made


def observed(
    values: Sequence[bytes | Mapping[str, Any]], schemas: Schemas | None = None
) -> list[float | None]:
    """Julian dates [d, UTC] of alerts; None for what is none. They are not decoded further."""
    found: list[float | None] = [None] * len(values)
    seen: set[int] = set()
    for batch, numbers in batches(values, Asked(), schemas):
        seen.update(numbers)
        for row, (number, jd) in enumerate(zip(numbers, batch.jd.tolist(), strict=True)):
            found[number] = None if row in batch.faults else jd
    for number, value in enumerate(values):
        if number not in seen:
            with suppress(DecodeError):
                found[number] = decode(value, schemas).jd
    return found
