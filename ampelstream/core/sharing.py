"""What many candidates have in common is held once.

Objects of one field share their upper limits, an object has one light curve for all events, and
what a candidate comes from names the same topology, event and files as the next one. Each candidate
that is decoded has copies of all that, which are most of what many candidates take.
"""

from typing import TypeVar

import msgspec

from ampelstream.model.candidate import Candidate, Provenance, UnitResult
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.lightcurve import Datapoint

__all__ = ["Sharing"]

_S = TypeVar("_S", Provenance, UnitResult)


class Sharing:
    """Gives candidates back whose equal parts are the same object."""

    def __init__(self) -> None:
        self._datapoints: dict[bytes, Datapoint] = {}
        self._texts: dict[str, str] = {}
        # equal to the last bit, of a zero's sign too
        self._pack = msgspec.msgpack.Encoder().encode

    def __call__(self, candidate: Candidate) -> Candidate:
        """Share what one has in common with those before it."""
        pack, known = self._pack, self._datapoints
        provenance = self._named(candidate.provenance)
        records = tuple(
            Coordinates(self._text(one.source), one.partition, one.offset)
            for one in provenance.records
        )
        return msgspec.structs.replace(
            candidate,
            object_id=self._text(candidate.object_id),
            event_id=self._text(candidate.event_id),
            channel=self._text(candidate.channel),
            provenance=msgspec.structs.replace(provenance, records=records),
            results=tuple(map(self._named, candidate.results)),
            lightcurve=tuple(known.setdefault(pack(one), one) for one in candidate.lightcurve),
        )

    def _named(self, part: _S) -> _S:
        texts = {
            name: self._text(value)
            for name in part.__struct_fields__
            if isinstance(value := getattr(part, name), str)
        }
        return msgspec.structs.replace(part, **texts)

    def _text(self, text: str) -> str:
        return self._texts.setdefault(text, text)
