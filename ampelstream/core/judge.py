"""A record of an input becomes what the steps work on, or a dead letter: nothing in between."""

from dataclasses import dataclass

from ampelstream.codecs import notices
from ampelstream.codecs.alerts import Schemas
from ampelstream.codecs.alerts import decode as decode_alert
from ampelstream.core.boundary import Failure, attempt
from ampelstream.core.events import skymap_of
from ampelstream.core.ingest import Ingested, ingest
from ampelstream.errors import SourceError
from ampelstream.model.alert import Alert
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.event import EventRevision
from ampelstream.model.record import SourceRecord, record_bytes
from ampelstream.sky.skymap import SkyMap
from ampelstream.topology import Topology

__all__ = ["Announced", "Judged", "bury", "judge_alert", "judge_notice"]


@dataclass(frozen=True, slots=True)
class Judged:
    """An alert and what the channels made of it."""

    alert: Alert
    outcome: Ingested


@dataclass(frozen=True, slots=True)
class Announced:
    """A notice: the revision of an event, and its sky map."""

    revision: EventRevision
    skymap: SkyMap | None


def bury(record: SourceRecord, step: str, failure: Failure) -> DeadLetter:
    """Keep a record that could not be handled, whole."""
    return DeadLetter(
        where=record.where,
        stream=record.stream,
        step=step,
        error=failure.error,
        reason=failure.reason,
        member=record.member,
        value=record_bytes(record),
    )


def judge_alert(
    topology: Topology, record: SourceRecord, schemas: Schemas | None = None
) -> Judged | DeadLetter:
    """Decode an alert and let the channels judge it.

    Parameters
    ----------
    topology
        Its channels judge.
    record
        What a source gave.
    schemas
        Schemas of packets that only name theirs; one that it does not hold makes a dead letter, so
        whoever can wait for it must look first.
    """
    if record.fault:
        return bury(record, "read", Failure(SourceError.__name__, record.fault))
    alert: Alert | Failure
    alert = attempt(decode_alert, record.value, schemas) if record.alert is None else record.alert
    if isinstance(alert, Failure):
        return bury(record, "decode", alert)
    outcome = attempt(ingest, topology, alert, record.where)
    if isinstance(outcome, Failure):
        return bury(record, "filter", outcome)
    return Judged(alert, outcome)


def judge_notice(topology: Topology, record: SourceRecord) -> Announced | DeadLetter:
    """Decode a notice and its sky map."""
    if record.fault:
        return bury(record, "read", Failure(SourceError.__name__, record.fault))
    notice = attempt(notices.decode, record.value, record.member)
    if isinstance(notice, Failure):
        return bury(record, "decode", notice)
    skymap = attempt(skymap_of, topology, notice)
    if isinstance(skymap, Failure):
        return bury(record, "events", skymap)
    return Announced(notice.revision, skymap)
