"""What the ingest step makes of a batch: detections, copies of events, ticks, dead letters."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence

from aiokafka.structs import ConsumerRecord

from ampelstream.codecs import own
from ampelstream.core.boundary import Failure
from ampelstream.core.judge import Announced, Judged, bury, judge_alert, judge_notice
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.kafka.headers import decode_origin
from ampelstream.runtime.kafka.letters import dead_letter
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.topology import Topology

__all__ = ["Ingest"]

_UNIX_EPOCH_JD = 2440587.5
_DAY_SECONDS = 86400.0


def _too_large(record: Outgoing) -> Failure:
    return Failure("ProduceError", f"what it says takes {record.size} bytes, which no topic takes")


class Ingest:
    """Works on records of one input.

    Parameters
    ----------
    topology, names
        The workflow and its topics.
    stream
        What the input holds.
    partitions
        Of the objects: each gets its copy of what concerns all.
    schemas
        Schemas of packets that name theirs by a number.
    metrics
        Told what came in and what became of it.
    ours
        Whether the input lies on our own cluster: only there headers are believed that say where a
        record came from first.
    again
        Whether the input holds parked records, which were counted when they came in.
    now
        Unix time [s].
    """

    def __init__(
        self,
        topology: Topology,
        names: TopicNames,
        stream: Stream,
        partitions: int,
        schemas: WireSchemas,
        metrics: Metrics,
        *,
        ours: bool,
        again: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._topology = topology
        self._names = names
        self._stream: Stream = stream
        self._partitions = partitions
        self._schemas = schemas
        self._metrics = metrics
        self._ours = ours
        self._again = again
        self._now = now
        self._day = 0

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Fetch the schemas that these records name and that are not at hand."""
        await self._schemas.prepare(records)

    def work(self, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
        """Judge the records, in order."""
        self._metrics.received(self._stream, 0 if self._again else len(records))
        out: list[Outgoing] = []
        if self._stream == "notices":
            for record in records:
                out.extend(self._notice(record))
            return out
        passed = 0
        rejected: Counter[tuple[str, str]] = Counter()
        latest = 0.0
        for record in records:
            source = self._source(record)
            parked = self._schemas.parked(source, self._names, record)
            if parked is not None:
                out.append(parked)
                continue
            judged = judge_alert(self._topology, source, self._schemas.registry)
            if isinstance(judged, DeadLetter):
                out.append(self._bury(judged))
                continue
            latest = max(latest, judged.alert.jd)
            rejected.update(judged.outcome.rejections)
            passed += self._accepted(judged, source, out)
        self._metrics.passed(passed)
        for (channel, reason), count in rejected.items():
            self._metrics.rejected(channel, reason, count)
        out.extend(self._ticks(latest))
        return out

    def _source(self, record: ConsumerRecord) -> SourceRecord:
        where, member = Coordinates(record.topic, record.partition, record.offset), ""
        if self._ours:
            where, member = decode_origin(record.headers) or (where, member)
        return SourceRecord(where, self._stream, record.value or b"", member)

    def _accepted(self, judged: Judged, source: SourceRecord, out: list[Outgoing]) -> bool:
        detection = judged.outcome.detection
        if detection is None:
            return False
        record = Outgoing(
            self._names.detections, detection.object_id.encode(), own.encode_detection(detection)
        )
        if record.too_large:
            out.append(self._bury(bury(source, "ingest", _too_large(record))))
            return False
        out.append(record)
        return True

    def _notice(self, record: ConsumerRecord) -> list[Outgoing]:
        source = self._source(record)
        notice = judge_notice(self._topology, source)
        if isinstance(notice, DeadLetter):
            return [self._bury(notice)]
        return self._copies(notice, source)

    def _copies(self, notice: Announced, source: SourceRecord) -> list[Outgoing]:
        """A copy for every partition of the objects."""
        skymap = notice.skymap.to_bytes() if notice.skymap is not None else b""
        value = own.encode_announcement(
            Announcement(notice.revision, skymap, source.where, source.member)
        )
        records = self._everywhere(self._names.events, notice.revision.event_id.encode(), value)
        if records[0].too_large:
            return [self._bury(bury(source, "ingest", _too_large(records[0])))]
        return records

    def _everywhere(self, topic: str, key: bytes, value: bytes) -> list[Outgoing]:
        return [Outgoing(topic, key, value, n) for n in range(self._partitions)]

    def _ticks(self, latest_jd: float) -> list[Outgoing]:
        """Tell every partition when event time has entered a new day.

        On the topic of detections, behind those that came before. A time that lies in the future
        would make the state forget the present, and tells nobody.
        """
        if math.floor(latest_jd) <= self._day:
            return []
        if latest_jd > self._now() / _DAY_SECONDS + _UNIX_EPOCH_JD + 1.0:
            return []
        self._day = math.floor(latest_jd)
        return self._everywhere(self._names.detections, b"tick", own.encode_tick(Tick(latest_jd)))

    def _bury(self, letter: DeadLetter) -> Outgoing:
        self._metrics.dead_letter(letter.step)
        return dead_letter(self._names, letter)
