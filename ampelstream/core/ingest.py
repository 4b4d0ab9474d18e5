"""The first processor: alerts become detections, notices become revisions of events.

Stateless, so that it may run at full stream rate on as many workers as it takes. Alerts become
columns as far as the filters ask, and every channel has its say (``judging.py``); what passes one
of them goes on, with its history. A notice goes on with its sky map.

Like the other two processors, it is called by the runtimes only (``runtime/faust/app.py``,
``runtime/embedded/engine.py``): `Ingest.process` for a batch (or `look_ahead`, and `each` for as
much of it as there is time), and `Ingest.committed` when what it gave is durable.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ampelstream.codecs import notices, own
from ampelstream.codecs.alerts import Schemas, batches, datapoints
from ampelstream.codecs.alerts import decode as decode_alert
from ampelstream.core.accounting import Tally
from ampelstream.core.beginning import Beginning
from ampelstream.core.boundary import Failure, attempt, dead_letter
from ampelstream.core.events import skymap_of
from ampelstream.core.inhand import WORKER_DIED, InHand, Unwatched
from ampelstream.core.judging import (
    OTHER_SURVEY,
    Accepted,
    Judged,
    Outcome,
    asked_of,
    facts_asked_of,
    judge,
    rejection,
)
from ampelstream.core.lightcurves import odd_magnitude
from ampelstream.core.watermark import TOLERANCE_DAYS, Ticker
from ampelstream.errors import UnknownSchema
from ampelstream.model.alert import Alert
from ampelstream.model.announcement import Announcement
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.event import Notice
from ampelstream.model.localisation import MapAt, no_map
from ampelstream.model.record import SourceRecord, record_bytes
from ampelstream.model.streams import MAP_PART_BYTES, MAX_RECORD_BYTES, Output, Parked
from ampelstream.model.times import iso_from_jd, jd_from_unix
from ampelstream.sky.skymap import SkyMap
from ampelstream.state.store import KeyValue
from ampelstream.topology import BoundUnit, Channel, Topology
from ampelstream.units import AlertFilter

__all__ = ["Ingest"]

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
    backfill
        Whether the records were read before, by other filters: what passes is marked, and so are
        the dead letters of what cannot be judged anew. It may have been whole when it was new.
    given_up
        Says of the coordinates of a record whether it became a dead letter when it was new, where
        that is known: a backfill then makes no second one.
    ticks
        Whether the objects are told of event time, so that they forget (``watermark.py``).
    tables
        Where the times of the last alerts are kept between two runs; None: nowhere.
    in_hand
        Is told which record is about to be handled.
    map_at
        Gives the sky map at the address that a notice names; None where none is asked for.
    """

    def __init__(
        self,
        topology: Topology,
        tally: Tally,
        now: Callable[[], float],
        *,
        schemas: Schemas | None = None,
        parks: bool = False,
        backfill: bool = False,
        given_up: Callable[[Coordinates], bool] = lambda _where: False,
        ticks: bool = True,
        tables: KeyValue | None = None,
        in_hand: InHand | None = None,
        map_at: MapAt = no_map,
    ) -> None:
        self._topology = topology
        self._tally = tally
        self._now = now
        self._schemas = schemas
        self._parks = parks
        self._backfill = backfill
        self._given_up = given_up
        self._ticker = Ticker(tables) if ticks else None
        self._in_hand = in_hand or Unwatched()
        self._beginning = Beginning()
        self._alerts = 0
        """Of the run so far, while the beginning is open."""
        self._map_at = map_at
        self._asked = asked_of(topology.channels)
        self._facts = facts_asked_of(topology.channels)
        self._ahead: dict[int, tuple[SourceRecord, Judged, int]] = {}

    @property
    def all_failed(self) -> str:
        """What the first alerts of the run all failed of, in words; empty where they did not."""
        return self._beginning.message

    def committed(self) -> None:
        """What was done since the last time is durable."""
        self._tally.commit()
        self._in_hand.committed()

    def process(self, batch: Sequence[SourceRecord]) -> list[Output]:
        """Work on records of the inputs, in order."""
        self.look_ahead(batch)
        return [output for _, outputs in self.each(batch) for output in outputs]

    def look_ahead(self, batch: Sequence[SourceRecord]) -> None:
        """Decode and filter together what can be; `each` is then asked for these records."""
        self._ahead.clear()
        alerts = [one for one in batch if one.stream == "alerts" and not one.fault]
        if self._in_hand.begin_all([record.read_at for record in alerts]):
            self._look(alerts)
            self._in_hand.end_all()
        # else one of them may have killed: `each` looks at each by itself

    def _look(self, alerts: Sequence[SourceRecord]) -> None:
        values = [record.value for record in alerts]
        for columns, numbers in batches(values, self._asked, self._schemas):
            facts = self._facts.get(columns.survey, ())
            judged = judge(self._topology.channels, columns, facts)
            for row, number in enumerate(numbers):
                if not judged.is_to_be_alone(row):  # else `_handled` looks at it
                    self._ahead[id(alerts[number])] = (alerts[number], judged, row)

    def each(
        self, records: Iterable[SourceRecord]
    ) -> Iterator[tuple[SourceRecord, Sequence[Output]]]:
        """Work on records one after the other, and give what comes of each."""
        received, settled = Counter[str](), Counter[int]()
        outcomes: dict[int, Outcome] = {}
        latest = jd_from_unix(self._now()) + TOLERANCE_DAYS
        unclocked = self._ticker is None
        try:
            for record in records:
                received["parked" if record.since else record.stream] += 1
                ahead = self._ahead.pop(id(record), None)
                outcome = None if ahead is None else ahead[1].outcomes[ahead[2]]
                if ahead is None or outcome is None or not outcome.is_settled:
                    outputs = self._handled(record, ahead)
                    self._judge_beginning(received)
                    yield record, outputs
                    continue
                _, judged, row = ahead
                settled[id(outcome)] += 1
                outcomes[id(outcome)] = outcome
                jd = judged.jds[row]
                yield record, () if unclocked and jd <= latest else self._ticks(record, jd)
        finally:
            for stream, number in received.items():
                self._tally.count("received", stream, n=number)
            for name, number in settled.items():
                for key in outcomes[name].counts:
                    self._tally.count(*key, n=number)
            self._judge_beginning(received)
            self._alerts += received["alerts"]
        if self._ticker is not None:
            self._ticker.save()

    def _handled(
        self, record: SourceRecord, ahead: tuple[SourceRecord, Judged, int] | None
    ) -> Sequence[Output]:
        """A record of which more is to be done than to count it; ``ahead``: looked at before."""
        where = record.read_at
        died = self._in_hand.begin(where)
        outputs: Sequence[Output]
        if died:
            outputs = [self._failed(record, "ingest", Failure(WORKER_DIED, died))]
        elif record.fault:
            outputs = self._unusable(record, "read", Failure("SourceError", record.fault))
        elif record.stream == "notices":
            outputs = self._notice(record)
        else:
            if ahead is None:
                self._look([record])
                ahead = self._ahead.pop(id(record), None)
            outputs = self._alert(record) if ahead is None else self._decided(*ahead)
        self._in_hand.end(where)
        return outputs

    def _judge_beginning(self, received: Counter[str]) -> None:
        """See whether all alerts of the run have failed so far; soon it is closed, mostly."""
        if self._beginning.is_open:
            self._beginning.handled(self._alerts + received["alerts"])

    def give_up(self, record: SourceRecord, why: str) -> Output:
        """Let an alert that was put aside be a dead letter."""
        self._tally.count("received", "parked")
        return self._failed(record, "decode", Failure(UnknownSchema.__name__, why))

    # --- alerts ---------------------------------------------------------------------------------

    def _decided(self, record: SourceRecord, judged: Judged, row: int) -> Sequence[Output]:
        """An alert of which the channels have said what they can say of columns."""
        outcome = judged.outcomes[row]
        if outcome is None:
            fault = judged.batch.faults[row]
            return self._unusable(record, "decode", Failure(type(fault).__name__, str(fault)))
        for key in outcome.counts:
            self._tally.count(*key)
        if outcome.is_settled:
            return self._ticks(record, judged.jds[row])
        verdict = _Verdict(list(outcome.accepted), dict(outcome.rejected))
        if outcome.open:
            alert = attempt(judged.batch.alert, row)
            if isinstance(alert, Failure):
                return self._unusable(record, "decode", alert)
            for channel, filters in outcome.open:
                self._ask(channel, alert, filters, verdict)
        outputs = self._passed_on(record, verdict, lambda: judged.alert(row))
        return [*outputs, *self._ticks(record, judged.jds[row])]

    def _alert(self, record: SourceRecord) -> list[Output]:
        """An alert that has no columns: a row of a table, or a packet of an odd schema."""
        alert = attempt(decode_alert, record.value, self._schemas)
        if isinstance(alert, Failure):
            if alert.error == UnknownSchema.__name__ and self._parks:
                self._tally.count("parked")
                return [_parked(record, self._now())]
            return self._unusable(record, "decode", alert)
        verdict = _Verdict([])
        for channel in self._topology.channels:
            self._ask(channel, alert, None, verdict)
        facts = self._facts.get(alert.survey, ())
        outputs = self._passed_on(
            record, verdict, lambda: Accepted.of(alert, datapoints(alert), facts)
        )
        # event time goes on with every alert, whether or not a channel accepts it: by it the
        # objects step knows what to forget
        return [*outputs, *self._ticks(record, alert.jd)]

    def _ask(
        self,
        channel: Channel,
        alert: Alert,
        filters: Sequence[BoundUnit[AlertFilter]] | None,
        verdict: "_Verdict",
    ) -> None:
        """Ask a channel, or only some of its filters.

        A filter that fails costs its own channel this alert, no other.
        """
        reason = rejection(channel, alert, filters, self._tally.count)
        if isinstance(reason, Failure):
            unit = f", unit {reason.unit}" if reason.unit else ""
            text = f"channel {channel.name}{unit}: {reason.reason}"
            failure = Failure(reason.error, text, reason.origin, f"{channel.name}/{reason.unit}")
            verdict.failures.append(failure)
            self._tally.count("channel_failed", channel.name)
            short = reason.in_short(alert.object_id)
            self._tally.count("unit_failed", channel.name, reason.unit, short)
        elif reason:
            verdict.rejected[channel.name] = reason
            self._tally.count("rejected", channel.name, reason)
        else:
            verdict.accepted.append(channel.name)

    def _passed_on(
        self, record: SourceRecord, verdict: "_Verdict", accepted: Callable[[], Accepted]
    ) -> list[Output]:
        """What the channels have said of an alert comes to."""
        failures = verdict.failures
        if verdict.accepted:
            detection = attempt(self._detection, record, accepted, verdict.accepted)
            if not isinstance(detection, Failure):
                self._tally.count("passed")
                passed = [Output("detections", detection.object_id, detection)]
                return passed + [self._letter(record, "filter", one) for one in failures]
            failures = [detection, *failures]
        if failures:
            if all(reason == OTHER_SURVEY for reason in verdict.rejected.values()):
                self._note_failure(record, "filter", *failures)
            self._tally.count("failed", record.stream)
            return [self._letter(record, "filter", one) for one in failures]
        names = (channel.name for channel in self._topology.channels)
        reasons = (verdict.rejected[name] for name in names if name in verdict.rejected)
        self._tally.count("rejected_by_all", next(reasons, ""))
        return []

    def _detection(
        self, record: SourceRecord, accepted: Callable[[], Accepted], channels: Sequence[str]
    ) -> Detection:
        """What goes on to the objects; only now there are datapoints.

        Raises
        ------
        DecodeError
            The history is corrupt, or larger than a stream takes.
        """
        alert = accepted()
        detection = Detection(
            object_id=alert.object_id,
            survey=alert.survey,
            candid=alert.candid,
            jd=alert.jd,
            ra=alert.ra,
            dec=alert.dec,
            channels=tuple(sorted(channels)),
            where=record.where,
            datapoints=tuple(alert.datapoints),
            filters=self._topology.filters,
            backfill=self._backfill,
            facts=alert.facts,
        )
        odd = odd_magnitude(detection.datapoints)
        if odd:
            self._tally.count("odd_magnitudes", odd)
        if len(detection.datapoints) > _MANY_POINTS:
            size = len(own.encode_detection(detection))
            if size > MAX_RECORD_BYTES:
                raise ValueError(_too_large(size).reason)
        return detection

    def _ticks(self, record: SourceRecord, jd: float) -> Sequence[Output]:
        """Event time of the record's source, where that has come further.

        An alert that is younger than the clock says nothing of it, nor does one that was parked:
        it is late by the time that it waited.
        """
        if self._backfill:
            return ()
        now = jd_from_unix(self._now())
        if jd > now + TOLERANCE_DAYS:
            self._tally.count("watermark_refused")
            self._tally.example("watermark_refused", f"{record.where} of {iso_from_jd(jd)}")
        elif self._ticker is not None and not record.since:
            tick = self._ticker.add(record.source, jd, now)
            if tick is not None:
                return (Output("detections", "tick", tick),)
        return ()

    # --- notices --------------------------------------------------------------------------------

    def _notice(self, record: SourceRecord) -> list[Output]:
        notice = attempt(notices.decode, record.value, record.member)
        if isinstance(notice, Failure):
            return [self._failed(record, "decode", notice)]
        notice, skymap = self._localised(notice)
        if isinstance(skymap, Failure):
            return [self._failed(record, "events", skymap)]
        revision = notice.revision
        packed = skymap.to_bytes() if skymap is not None else b""
        announcement = Announcement(revision, packed, record.where, record.member)
        parts = announcement.split(MAP_PART_BYTES)
        size = len(own.encode_announcement(parts[0]))
        if size > MAX_RECORD_BYTES:
            return [self._failed(record, "events", _too_large(size))]
        self._tally.count("announced")
        for remark in (*notice.remarks, *(skymap.remarks if skymap is not None else ())):
            text = f"{revision.event_id}: {remark}"
            self._tally.count("remarks", text)
            self._tally.example("remarks", text)
        return [Output("events", revision.event_id, part) for part in parts]

    def _localised(self, notice: Notice) -> tuple[Notice, SkyMap | Failure | None]:
        """A notice with its sky map: that within it, that which it names, or of its circle."""
        revision = notice.revision
        url = revision.skymap_url
        fetched = None
        if url and not notice.skymap and not revision.is_retraction:
            fetched = self._map_at(url) if self._topology.events.accepts(revision) else None
        if fetched is not None:
            fault = fetched.fault
            if fetched.data:
                named = notice.with_map(fetched.data)
                skymap = attempt(skymap_of, self._topology, named)
                if not isinstance(skymap, Failure):
                    return named, skymap
                fault = skymap.reason
            notice = notice.with_note(f"the sky map at {url} was not taken: {fault}")
        return notice, attempt(skymap_of, self._topology, notice)

    # --- what cannot be handled -----------------------------------------------------------------

    def _unusable(self, record: SourceRecord, step: str, failure: Failure) -> list[Output]:
        if self._backfill and self._given_up(record.where):
            return []
        return [self._failed(record, step, failure)]

    def _failed(self, record: SourceRecord, step: str, failure: Failure) -> Output:
        self._tally.count("failed", record.stream)
        if record.stream == "alerts":
            self._note_failure(record, step, failure)
        return self._letter(record, step, failure)

    def _note_failure(self, record: SourceRecord, step: str, *failures: Failure) -> None:
        if self._beginning.is_open:
            self._beginning.failed(record.where, step, failures)

    def _letter(self, record: SourceRecord, step: str, failure: Failure) -> Output:
        """Keep what failed: by its coordinates, where it can be read again from there.

        Of a file that is always so. A topic lets go of its records after a time: what is damaged or
        harmful itself is kept whole then, as evidence. What a filter failed on is a sound packet,
        which a backfill reads again once the filter is mended. What was parked has waited, and its
        topic may have it no longer.
        """
        is_sound = step == "filter" and failure.unit != ""
        is_kept = record.since > 0 or (record.expires and not is_sound)
        value = record_bytes(record) if is_kept else b""
        if self._backfill:
            reason = f"could not be judged anew by changed filters ({step}): {failure.reason}"
            step, failure = "backfill", Failure(failure.error, reason)
        where, stream, member = record.where, record.stream, record.member
        return dead_letter(self._tally, where, stream, step, failure, member=member, value=value)


@dataclass(slots=True)
class _Verdict:
    """What the channels say of one alert, so far."""

    accepted: list[str]
    rejected: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def _too_large(size: int) -> Failure:
    text = f"what it says takes {size} bytes, and a stream takes {MAX_RECORD_BYTES}"
    return Failure("DecodeError", text)


def _parked(record: SourceRecord, now: float) -> Output:
    value = Parked(record.where, record.member, record_bytes(record), record.since or now)
    return Output("parked", str(record.where), value)
