"""The first processor: alerts become detections, notices become revisions of events.

Stateless, so that it may run at full stream rate on as many workers as it takes. An alert is
decoded as far as the filters ask, and every channel has its say; what passes one of them goes on,
with its history. A notice goes on with its sky map.

Like the other two processors, it is called by the runtimes only (``runtime/faust/app.py``,
``runtime/embedded/engine.py``): `Ingest.process` for a batch, and `Ingest.committed` when what it
gave is durable.
"""

import math
from collections.abc import Callable, Sequence

from ampelstream.codecs import notices, own
from ampelstream.codecs.alerts import Schemas, datapoints
from ampelstream.codecs.alerts import decode as decode_alert
from ampelstream.core.accounting import Tally
from ampelstream.core.boundary import Failure, attempt, dead_letter
from ampelstream.core.events import skymap_of
from ampelstream.errors import UnknownSchema
from ampelstream.model.alert import Alert
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.detection import Detection
from ampelstream.model.record import SourceRecord, record_bytes
from ampelstream.model.streams import MAX_RECORD_BYTES, Output, Parked
from ampelstream.topology import Channel, Topology

__all__ = ["Ingest"]

_UNIX_EPOCH_JD = 2440587.5
_DAY_SECONDS = 86400.0
_MANY_POINTS = 10_000
"""A detection with fewer datapoints fits any stream, and need not be measured."""


class Ingest:
    """Decodes records of the inputs and lets the channels filter them.

    Parameters
    ----------
    topology
        Its channels filter.
    tally
        What happened is counted here.
    now
        Unix time [s].
    schemas
        Schemas of packets that only name theirs.
    parks
        Whether an alert whose schema is not at hand is put aside (stream ``parked``), because
        whoever runs this takes it from there (see `Waiting`); otherwise it is a dead letter.
    """

    def __init__(
        self,
        topology: Topology,
        tally: Tally,
        now: Callable[[], float],
        *,
        schemas: Schemas | None = None,
        parks: bool = False,
    ) -> None:
        self._topology = topology
        self._tally = tally
        self._now = now
        self._schemas = schemas
        self._parks = parks
        self._day = 0

    def committed(self) -> None:
        """What was done since the last time is durable."""
        self._tally.commit()

    def process(self, batch: Sequence[SourceRecord]) -> list[Output]:
        """Work on records of the inputs, in order."""
        outputs: list[Output] = []
        for record in batch:
            self._tally.count("received", "parked" if record.since else record.stream)
            if record.fault:
                outputs.append(self._failed(record, "read", Failure("SourceError", record.fault)))
            elif record.stream == "alerts":
                outputs.extend(self._alert(record))
            else:
                outputs.append(self._notice(record))
        return outputs

    def give_up(self, record: SourceRecord, why: str) -> Output:
        """Let an alert that was put aside be a dead letter."""
        self._tally.count("received", "parked")
        return self._failed(record, "decode", Failure(UnknownSchema.__name__, why))

    # --- alerts ---------------------------------------------------------------------------------

    def _alert(self, record: SourceRecord) -> list[Output]:
        alert: Alert | Failure | None = record.alert  # decoded already, to sort by time
        if alert is None:
            alert = attempt(decode_alert, record.value, self._schemas)
        if isinstance(alert, Failure):
            if alert.error == UnknownSchema.__name__ and self._parks:
                self._tally.count("parked")
                return [_parked(record, self._now())]
            return [self._failed(record, "decode", alert)]
        outputs = self._filtered(record, alert)
        # event time goes on with every alert, whether or not a channel accepts it: by it the
        # objects step knows what to forget
        tick = self._tick(alert.jd)
        if tick is not None:
            outputs.append(tick)
        return outputs

    def _filtered(self, record: SourceRecord, alert: Alert) -> list[Output]:
        """Ask every channel. A filter that fails costs its own channel this alert, no other."""
        accepted: list[str] = []
        first_reason = ""
        failures: list[Failure] = []
        for channel in self._topology.channels:
            reason = attempt(_rejection, channel, alert)
            if isinstance(reason, Failure):
                text = f"channel {channel.name}: {reason.reason}"
                failures.append(Failure(reason.error, text))
            elif reason:
                first_reason = first_reason or reason
                self._tally.count("rejected", channel.name, reason)
            else:
                accepted.append(channel.name)
        if accepted:
            detection = attempt(_detection, record, alert, accepted)
            if not isinstance(detection, Failure):
                self._tally.count("passed")
                passed = [Output("detections", detection.object_id, detection)]
                return passed + [self._letter(record, "filter", one) for one in failures]
            failures = [detection, *failures]
        if failures:
            self._tally.count("failed", record.stream)
            return [self._letter(record, "filter", one) for one in failures]
        self._tally.count("rejected_by_all", first_reason)
        return []

    def _tick(self, jd: float) -> Output | None:
        """Say so when event time has entered a new day.

        A time that lies in the future would make the state forget the present, and is not passed
        on.
        """
        day = math.floor(jd)
        if day <= self._day or jd > self._now() / _DAY_SECONDS + _UNIX_EPOCH_JD + 1.0:
            return None
        self._day = day
        return Output("detections", "tick", Tick(jd))

    # --- notices --------------------------------------------------------------------------------

    def _notice(self, record: SourceRecord) -> Output:
        notice = attempt(notices.decode, record.value, record.member)
        if isinstance(notice, Failure):
            return self._failed(record, "decode", notice)
        skymap = attempt(skymap_of, self._topology, notice)
        if isinstance(skymap, Failure):
            return self._failed(record, "events", skymap)
        revision = notice.revision
        packed = skymap.to_bytes() if skymap is not None else b""
        announcement = Announcement(revision, packed, record.where, record.member)
        size = len(own.encode_announcement(announcement))
        if size > MAX_RECORD_BYTES:
            return self._failed(record, "events", _too_large(size))
        self._tally.count("announced")
        return Output("events", revision.event_id, announcement)

    # --- what cannot be handled -----------------------------------------------------------------

    def _failed(self, record: SourceRecord, step: str, failure: Failure) -> Output:
        self._tally.count("failed", record.stream)
        return self._letter(record, step, failure)

    def _letter(self, record: SourceRecord, step: str, failure: Failure) -> Output:
        value = attempt(record_bytes, record)
        if isinstance(value, Failure):  # a row whose damage is met only when all of it is read
            reason = f"{failure.reason}; it cannot be kept: {value.reason}"
            failure, value = Failure(failure.error, reason), b""
        where, stream, member = record.where, record.stream, record.member
        return dead_letter(self._tally, where, stream, step, failure, member=member, value=value)


def _rejection(channel: Channel, alert: Alert) -> str:
    """First rule of the channel that rejects the alert; empty where it passes."""
    if channel.survey != alert.survey:
        return "survey"
    if not channel.where.holds(alert.candidate):
        return "where"
    for bound in channel.filters:
        verdict = bound.unit.evaluate(alert)
        if not verdict.accept:
            return verdict.reason
    return ""


def _detection(record: SourceRecord, alert: Alert, channels: Sequence[str]) -> Detection:
    """What goes on to the objects; only now the history is decoded.

    Raises
    ------
    DecodeError
        The history is corrupt, or larger than a stream takes.
    """
    detection = Detection(
        object_id=alert.object_id,
        survey=alert.survey,
        candid=alert.candid,
        jd=alert.jd,
        ra=alert.ra,
        dec=alert.dec,
        channels=tuple(sorted(channels)),
        where=record.where,
        datapoints=tuple(datapoints(alert)),
    )
    if len(detection.datapoints) > _MANY_POINTS:
        size = len(own.encode_detection(detection))
        if size > MAX_RECORD_BYTES:
            raise ValueError(_too_large(size).reason)
    return detection


def _too_large(size: int) -> Failure:
    text = f"what it says takes {size} bytes, and a stream takes {MAX_RECORD_BYTES}"
    return Failure("DecodeError", text)


def _parked(record: SourceRecord, now: float) -> Output:
    value = Parked(record.where, record.member, record_bytes(record), record.since or now)
    return Output("parked", str(record.where), value)
