"""A ZTF alert packet: its own detection at once, its history when asked for.

`decode_container` reads the packet up to the end of its own detection; the rest stays bytes, and
`Alert.history` decodes it for a filter or for the datapoints of an alert that passed
(``datapoints.py``). Where the parts lie in the bytes follows from the writer schema
(``avroplan.py``).
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ampelstream.codecs.avrocontainer import Header, first_block, read_header
from ampelstream.codecs.avroplan import Layout, PacketPlan, Plans
from ampelstream.codecs.rows import records_of
from ampelstream.errors import DecodeError
from ampelstream.model.alert import Alert, History
from ampelstream.model.identifiers import checked_name

__all__ = ["MEASURED", "decode", "decode_container"]

MEASURED = frozenset(
    {
        *("jd", "fid", "pid", "diffmaglim", "programid", "candid", "isdiffpos", "rcid"),
        *("xpos", "ypos", "ra", "dec", "magpsf", "sigmapsf", "rb", "drb"),
    }
)
"""Fields of a history's entry that a datapoint takes."""

_PLANS = Plans(
    Layout(
        survey="ZTF",
        head=("objectId", "candid", "candidate"),
        history="prv_candidates",
        forced="fp_hists",
        times=frozenset({"jd", "candid"}),
        measured=MEASURED,
    )
)

_FIRST_JD, _LAST_JD = 2_400_000.5, 2_500_000.5
"""1858 to 2132: a time outside is a corrupt packet, and would upset all that sorts by time."""

_LONG = 1 << 63


class _PacketHistory:
    """History of an Avro packet."""

    __slots__ = ("_at", "_body", "_plan")

    def __init__(self, plan: PacketPlan, body: bytes, at: int) -> None:
        self._plan = plan
        self._body = body
        self._at = at

    def epochs(self) -> Sequence[float]:
        return [
            entry["jd"]
            for entry in self._plan.times(self._body, 0, self._at)
            if entry.get("candid") is not None and entry.get("jd") is not None
        ]

    def measured(self) -> Sequence[Mapping[str, Any]]:
        return self._plan.measured(self._body, 0, self._at)

    def points(self) -> Sequence[Mapping[str, Any]]:
        return self._plan.points(self._body, 0)

    def forced(self) -> Sequence[Mapping[str, Any]]:
        return self._plan.forced(self._body, 0)


class _RowHistory:
    """History of a row that is decoded already."""

    __slots__ = ("_row",)

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row

    def _entries(self, name: str) -> Sequence[Mapping[str, Any]]:
        return records_of(self._row, name)

    def epochs(self) -> Sequence[float]:
        entries = self._entries("prv_candidates")
        return [float(e["jd"]) for e in entries if e.get("candid") is not None and "jd" in e]

    def measured(self) -> Sequence[Mapping[str, Any]]:
        return self._entries("prv_candidates")

    def points(self) -> Sequence[Mapping[str, Any]]:
        return self._entries("prv_candidates")

    def forced(self) -> Sequence[Mapping[str, Any]]:
        return self._entries("fp_hists")


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
    if not _FIRST_JD <= jd <= _LAST_JD:
        raise DecodeError(f"candidate.jd is {jd!r}, not a Julian date of this age")
    if not (0.0 <= ra <= 360.0 and -90.0 <= dec <= 90.0):  # noqa: PLR2004  (degrees of the sky)
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
    plan, codec = _PLANS.of_container(header.key)
    body = first_block(value, header.body, codec)
    fields, at = plan.head(body, 0)
    return _alert(fields, _PacketHistory(plan, body, at))
