"""Fourth step: rules on candidates become reactions, each with a deterministic id.

The id names what the reaction is about (topology, rule, event, object, channel, class), not the
record that caused it. Whatever is replayed, restarted or delivered twice gives the same ids, and
the ledger lets each pass once.
"""

from typing import Any

import msgspec

from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.digest import digest
from ampelstream.model.reaction import Reaction
from ampelstream.state.store import KeyValue
from ampelstream.topology import ReactionRule, Topology

__all__ = ["LEDGER", "LedgerEntry", "ReactionLedger", "reaction_id", "values_of"]

LEDGER = b"r"
"""Reaction id -> LedgerEntry."""


class LedgerEntry(msgspec.Struct):
    """A reaction and what became of it.

    Attributes
    ----------
    reaction
        What was or is to be sent.
    sent
        Names of the sinks that have taken it.
    """

    reaction: Reaction
    sent: tuple[str, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LedgerEntry).decode


def reaction_id(
    topology: str, rule: str, event_id: str, object_id: str, channel: str, klass: str
) -> str:
    """Give the deterministic id of a reaction (16 hex digits)."""
    return digest([topology, rule, event_id, object_id, channel, klass])


def values_of(candidate: Candidate) -> dict[str, Any]:
    """Names that a rule's condition may use: the candidate's fields and its units' results."""
    values: dict[str, Any] = {
        "object_id": candidate.object_id,
        "event_id": candidate.event_id,
        "channel": candidate.channel,
        "status": candidate.status.value,
        "rank": candidate.rank,
        "t0_jd": candidate.t0_jd,
        "ra": candidate.ra,
        "dec": candidate.dec,
        "detections": sum(point.mag is not None for point in candidate.lightcurve),
    }
    values.update({one.name: one.body for one in candidate.results if one.body is not None})
    return values


def _payload(candidate: Candidate) -> dict[str, Any]:
    """What a message needs to say of a candidate."""
    latest = max(
        (point for point in candidate.lightcurve if point.mag is not None),
        key=lambda point: (point.jd, point.id),
        default=None,
    )
    payload = values_of(candidate)
    payload["revision"] = candidate.provenance.event_revision
    payload["topology_hash"] = candidate.provenance.topology_hash
    payload["latest"] = (
        {"jd": latest.jd, "band": latest.band, "mag": latest.mag, "magerr": latest.magerr}
        if latest
        else None
    )
    return payload


class ReactionLedger:
    """What has been decided to send, and what has been sent.

    Parameters
    ----------
    topology
        Its rules decide.
    tables
        The store.
    """

    def __init__(self, topology: Topology, tables: KeyValue) -> None:
        self._topology = topology
        self._tables = tables

    def consider(self, candidate: Candidate) -> list[LedgerEntry]:
        """Reactions that a changed candidate asks for and that the ledger has not seen.

        A rule fires once for each object, event and channel (class ``new``) when its condition
        first holds, and once more (class ``withdrawn``) when a candidate it fired for is retracted,
        rejected, or left outside by a new sky map.
        """
        found: list[LedgerEntry] = []
        for rule in self._topology.reactions:
            if rule.channel is not None and rule.channel != candidate.channel:
                continue
            reaction = self._reaction(rule, candidate)
            if reaction is not None:
                entry = LedgerEntry(reaction)
                self._tables.put(LEDGER + reaction.id.encode(), _encode(entry))
                found.append(entry)
        return found

    def _reaction(self, rule: ReactionRule, candidate: Candidate) -> Reaction | None:
        names = (candidate.event_id, candidate.object_id, candidate.channel)
        first = reaction_id(self._topology.name, rule.name, *names, "new")
        announced = self._tables.get(LEDGER + first.encode()) is not None
        if announced and candidate.status is not CandidateStatus.ACTIVE:
            klass = "withdrawn"
        elif not announced and rule.when.holds(values_of(candidate)):
            klass = "new"
        else:
            return None
        identity = reaction_id(self._topology.name, rule.name, *names, klass)
        if self._tables.get(LEDGER + identity.encode()) is not None:
            return None
        return Reaction(
            id=identity,
            rule=rule.name,
            topology=self._topology.name,
            event_id=candidate.event_id,
            object_id=candidate.object_id,
            channel=candidate.channel,
            klass=klass,
            payload=_payload(candidate),
        )

    def entries(self) -> list[LedgerEntry]:
        """All entries, in the order of their ids."""
        stop = LEDGER[:-1] + bytes([LEDGER[-1] + 1])
        return [_decode(value) for _, value in self._tables.scan(LEDGER, stop)]

    def mark_sent(self, entry: LedgerEntry, sinks: list[str]) -> LedgerEntry:
        """Note that these sinks have taken the reaction."""
        marked = LedgerEntry(entry.reaction, (*entry.sent, *sinks))
        self._tables.put(LEDGER + entry.reaction.id.encode(), _encode(marked))
        return marked
