"""How to read the packets of one writer schema: made once, kept by the header's content."""

import io
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import fastavro

from ampelstream.codecs.avro.binary import Skip
from ampelstream.codecs.avro.container import metadata
from ampelstream.codecs.avro.entries import Entries, compile_entries
from ampelstream.codecs.avro.garbage import GARBAGE
from ampelstream.codecs.avro.skip import Names, compile_skip, skip_run
from ampelstream.errors import DecodeError

__all__ = ["MEASURED", "Plan", "plan_of"]

_PLANS_KEPT = 32
_TIMES = frozenset({"jd", "candid"})
MEASURED = frozenset(
    {
        *("jd", "fid", "pid", "diffmaglim", "programid", "candid", "isdiffpos", "rcid"),
        *("xpos", "ypos", "ra", "dec", "magpsf", "sigmapsf", "rb", "drb"),
    }
)
"""Fields of a history's entry that a datapoint takes."""
_NEEDED = ("objectId", "candid", "candidate")


class Plan:
    """Reads packets of one writer schema.

    Parameters
    ----------
    schema
        The writer's, as parsed from JSON.
    codec
        Of the container.
    """

    def __init__(self, schema: Mapping[str, Any], codec: str) -> None:
        self.codec = codec
        fields = schema.get("fields", []) if isinstance(schema, Mapping) else []
        names = [field["name"] for field in fields]
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            named = schema.get("name") if isinstance(schema, Mapping) else None
            raise DecodeError(f"schema {named!r} is not a ZTF alert: no field {missing[0]}")
        head = max(names.index(name) for name in _NEEDED) + 1
        self._head = self._truncated(schema, head)
        self._points: Any = None
        self._forced: Any = None
        self._times: Entries | None = None
        self._measured: Entries | None = None
        self._between: Skip | None = None
        if "prv_candidates" in names:
            at = names.index("prv_candidates")
            if at < head:
                raise DecodeError(
                    "prv_candidates stands before the candidate, which is not ZTF's order"
                )
            self._points = self._truncated(schema, at + 1)
            known: Names = {}
            for field in fields[:head]:
                compile_skip(field["type"], known)
            if at > head:
                self._between = skip_run([field["type"] for field in fields[head:at]], known)
            kind = fields[at]["type"]
            self._times = compile_entries("prv_candidates", kind, _TIMES, dict(known))
            self._measured = compile_entries("prv_candidates", kind, MEASURED, dict(known))
        if "fp_hists" in names:
            self._forced = self._truncated(schema, names.index("fp_hists") + 1)

    @staticmethod
    def _truncated(schema: Mapping[str, Any], count: int) -> Any:
        """The first fields of the schema, parsed: reading stops behind them."""
        part = {**schema, "fields": json.loads(json.dumps(schema["fields"][:count]))}
        return fastavro.parse_schema(part)

    def head(self, body: bytes) -> tuple[dict[str, Any], int]:
        """Fields up to the candidate, and the position behind them."""
        return self._read(self._head, body)

    def epochs(self, body: bytes, behind_head: int) -> list[float]:
        """Julian dates [d] of the earlier detections, without decoding the rest of them."""
        if self._points is None:
            return []
        if self._times is None:
            entries = self.points(body)
        else:
            entries = self._times(body, self._history(body, behind_head))
        return [
            entry["jd"]
            for entry in entries
            if entry.get("candid") is not None and entry.get("jd") is not None
        ]

    def measured(self, body: bytes, behind_head: int) -> list[dict[str, Any]]:
        """Earlier datapoints, only the fields of a light curve."""
        if self._measured is None:
            return self.points(body)
        return self._measured(body, self._history(body, behind_head))

    def _history(self, body: bytes, behind_head: int) -> int:
        """Position of the history."""
        return self._between(body, behind_head) if self._between else behind_head

    def points(self, body: bytes) -> list[dict[str, Any]]:
        """Earlier datapoints."""
        return self._list(self._points, body, "prv_candidates")

    def forced(self, body: bytes) -> list[dict[str, Any]]:
        """Forced photometry."""
        return self._list(self._forced, body, "fp_hists")

    def _list(self, schema: Any, body: bytes, field: str) -> list[dict[str, Any]]:
        if schema is None:
            return []
        entries = self._read(schema, body)[0].get(field) or []
        return [entry for entry in entries if entry is not None]  # Spark makes them nullable

    @staticmethod
    def _read(schema: Any, body: bytes) -> tuple[dict[str, Any], int]:
        stream = io.BytesIO(body)
        try:
            record = fastavro.schemaless_reader(stream, schema, None)
        except GARBAGE as error:
            raise DecodeError(f"the packet is corrupt: {type(error).__name__}: {error}") from error
        if not isinstance(record, dict):
            raise DecodeError("the packet is not a record")
        return record, stream.tell()


_plans: OrderedDict[bytes, Plan | DecodeError] = OrderedDict()


def _make(key: bytes) -> Plan | DecodeError:
    try:
        meta = metadata(key)
        schema = json.loads(meta["avro.schema"])
        return Plan(schema, meta.get("avro.codec", b"null").decode())
    except DecodeError as error:
        return error
    except GARBAGE as error:
        return DecodeError(f"the packet's schema is corrupt: {type(error).__name__}: {error}")


def plan_of(key: bytes) -> Plan:
    """Plan for a container's metadata; made when first seen, the last few are kept.

    Raises
    ------
    DecodeError
        The schema is not a ZTF alert's, or is corrupt.
    """
    plan = _plans.get(key)
    if plan is None:
        plan = _plans[key] = _make(key)
        if len(_plans) > _PLANS_KEPT:
            _plans.popitem(last=False)
    if isinstance(plan, DecodeError):
        raise DecodeError(str(plan))
    return plan
