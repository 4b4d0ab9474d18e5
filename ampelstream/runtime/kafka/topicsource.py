"""Topics of a Kafka cluster as a source of the embedded runtime.

No consumer group is joined: the embedded runtime keeps its offsets in its own state, committed with
what came of the records, and has all partitions to itself.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from ampelstream.errors import InputError, SourceError, UnreachableError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.model.times import iso_from_jd, jd_from_unix
from ampelstream.runtime.kafka.clients import open_admin, open_consumer, reaching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.headers import decode_origin
from ampelstream.runtime.kafka.retained import first_arrival
from ampelstream.runtime.kafka.sources import InputSpec, SourcesSpec
from ampelstream.runtime.safefaust.topicids import ask
from ampelstream.runtime.safefaust.unreadable import UnreadableRecord, fault_of
from ampelstream.sources import Skipped
from ampelstream.sources.merge import After, Removed, Waiting

__all__ = ["TopicSource", "open_topics"]

R = TypeVar("R")
_Place = tuple[str, int]
_LOG = logging.getLogger(__name__)
_POLL_MS = 250
_AT_ONCE = 500
_FETCH_BYTES = 8 << 20
"""Of one answer of a broker [byte]; see ``safefaust/driver.py``. What is larger comes alone."""
_ID = "#"
"""Between name and id of a topic; no name holds it."""
_PATIENCE_SECONDS = 30.0
"""A pass ends where nothing came for so long [s]: a topic that was deleted never reaches its end.
The next pass asks the cluster anew, and says what is wrong."""

_SETTLE_SECONDS = 30.0
"""For how long brokers that have come back may not know all topics and their ends yet [s]."""
_ANSWER_SECONDS = 5.0
"""For how long an answer is waited for that is only told to people [s]."""


class TopicSource:
    """What one entry of a sources file names, read up to its end at each pass.

    Parameters
    ----------
    connection
        The cluster.
    inputs
        Topics, or a pattern that also finds topics that appear later.
    stream
        What they hold.
    """

    def __init__(self, connection: Connection, inputs: InputSpec, stream: Stream) -> None:
        self.name = inputs.describe()
        self.skipped: Sequence[Skipped] = ()
        self._connection = connection
        self._inputs = inputs
        self._stream: Stream = stream
        self._ids: Mapping[str, str] = {}
        self._ends_at: dict[_Place, int] = {}
        self._arrivals: dict[tuple[_Place, int], float] = {}
        self._open = AsyncExitStack()
        self._settled_at = -math.inf
        self._clients: tuple[AIOKafkaConsumer, Any] | None = None
        # aiokafka lives in an event loop, and sources are read without one
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"kafka-source-{stream}", daemon=True
        )
        self._thread.start()

    def estimate(self) -> int | None:
        """How many records there are is not asked for."""
        return None

    def following(self) -> "TopicSource":
        """Itself: a pass asks for what lies behind the offsets only."""
        return self

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give what lies behind the offsets in ``after``, up to where the topics end now.

        Raises
        ------
        UnreachableError
            No broker answers; the next pass connects anew.
        SourceError
            The cluster does not let us in.
        InputError
            A topic is not there, or is not the one that was read.
        """
        try:
            with reaching(self._connection):
                yield from self._pass(after)
        except UnreachableError:
            self._disconnect()  # who comes back may do so elsewhere
            self._settled_at = time.monotonic() + _SETTLE_SECONDS
            raise
        except InputError as error:
            if time.monotonic() < self._settled_at:
                raise UnreachableError(str(error), self._connection.describe()) from error
            raise

    def _pass(self, after: After) -> Iterator[SourceRecord]:
        ends = self._call(self._begin(after))
        reached: Mapping[TopicPartition, int] = {}
        since = time.monotonic()
        while ends:
            for records in self._call(self._fetch(ends)).values():
                for record in records:
                    yield self._record(record)
            before, reached = reached, self._call(self._positions(ends))
            self._note(reached)
            ends = {tp: end for tp, end in ends.items() if reached[tp] < end}
            if reached != before:
                since = time.monotonic()
            elif time.monotonic() - since > _PATIENCE_SECONDS:
                return

    def waiting(self, after: After) -> Waiting:
        """Records behind the offsets in ``after``, as the cluster says now.

        The marks of transactions count as records. Not known before the first pass, and while no
        broker answers.
        """
        if self._clients is None:
            return Waiting("records", None)
        asked = asyncio.run_coroutine_threadsafe(self._left(after), self._loop)
        try:
            with reaching(self._connection):
                return Waiting("records", asked.result(_ANSWER_SECONDS))
        except (SourceError, CancelledError):
            asked.cancel()
            return Waiting("records", None)

    def holds(self, source: str) -> Stream | None:
        """What the records of that source are, if they are of these topics."""
        cluster, _, topic = source.partition(_ID)[0].rpartition("/")
        ours = cluster == (self._inputs.cluster or "") and self._inputs.matches(topic)
        return self._stream if ours else None

    def removed(self, handled: After, reached: After) -> Removed:
        """What is gone for good of what was handled: old records, and topics.

        Known when a pass has begun.

        Raises
        ------
        SourceError
            The cluster cannot be reached.
        """
        wanted = {
            place: last
            for place, last in handled.items()
            if reached.get(place, -1) < last and self.holds(place[0])
        }
        if not wanted or self._clients is None:
            return Removed()
        of_now = {place for place in handled if _ID in place[0]}
        with reaching(self._connection):
            return self._call(self._removed(wanted, reached, of_now))

    def close(self) -> None:
        """Disconnect."""
        if self._loop.is_closed():
            return
        self._disconnect()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _disconnect(self) -> None:
        self._clients = None
        with suppress(CancelledError, SourceError):  # a client whose broker is gone may end so
            self._call(self._open.aclose())

    # --- in the thread of the client ------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _connected(self) -> tuple[AIOKafkaConsumer, Any]:
        """Consumer and admin client; they stay for all passes."""
        if self._clients is None:
            consumer = open_consumer(
                self._connection,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                sets_aside=True,
                max_partition_fetch_bytes=_FETCH_BYTES,
                fetch_max_bytes=_FETCH_BYTES,
            )
            self._clients = (
                await self._open.enter_async_context(consumer),
                await self._open.enter_async_context(open_admin(self._connection)),
            )
        return self._clients

    async def _begin(self, after: After) -> dict[TopicPartition, int]:
        """Go behind what was handled; gives the ends of the partitions that have more."""
        client, admin = await self._connected()
        # all topics, not these: to ask for one that is missing could create it
        found = {one["topic"]: one["partitions"] for one in await admin.describe_topics()}
        topics = {name: sorted(one["partition"] for one in found[name]) for name in found}
        missing = sorted(set(self._inputs.topics) - set(topics))
        if missing:
            raise InputError(f"there is no topic {', '.join(missing)} to read {self._stream} from")
        partitions = [
            TopicPartition(topic, number)
            for topic in sorted(topics)
            if self._inputs.matches(topic)
            for number in topics[topic]
        ]
        client.assign(partitions)
        if not partitions:
            return {}
        self._ids = (await ask(client._client, {tp.topic for tp in partitions})).ids  # noqa: SLF001  (no public way)
        first, last = (
            await client.beginning_offsets(partitions),
            await client.end_offsets(partitions),
        )
        ends: dict[TopicPartition, int] = {}
        for tp in partitions:
            begin = self._first_unread(tp, after, first[tp], last[tp])
            if begin < last[tp]:
                ends[tp] = last[tp]
                client.seek(tp, begin)
            else:
                client.pause(tp)
        return ends

    def _first_unread(self, tp: TopicPartition, after: After, first: int, last: int) -> int:
        """Offset to go on at; what was removed before it was read is said."""
        known = self._known(tp, after)
        if known is None:
            if self._made_anew(tp, after):
                _LOG.warning(
                    "topic %s of %s was made anew since it was read last: partition %d is read "
                    "from its oldest record. What the old one held and was not read is gone",
                    *(tp.topic, self.name, tp.partition),
                )
            return first
        if known >= last:
            raise InputError(
                f"topic {tp.topic} of {self.name} ends at offset {last} in partition "
                f"{tp.partition}, and {known} has been read of it: it was made anew or has lost "
                "records; give it another name, or begin with another state"
            )
        if known + 1 < first < last:  # else it is said when there is something to go on with
            _LOG.warning(
                "topic %s of %s: offsets %d to %d of partition %d were removed before they were "
                "read; keep the topic for longer",
                *(tp.topic, self.name, known + 1, first - 1, tp.partition),
            )
        return max(first, known + 1)

    async def _left(self, after: After) -> int:
        """Records between the offsets and the ends of the partitions."""
        client, _ = await self._connected()
        partitions = sorted(client.assignment())
        if not partitions:
            return 0
        first = await client.beginning_offsets(partitions)
        last = await client.end_offsets(partitions)
        known = {tp: after.get((self._named(tp.topic), tp.partition), -1) for tp in partitions}
        return sum(max(0, last[tp] - max(first[tp], known[tp] + 1)) for tp in partitions)

    def _note(self, positions: Mapping[TopicPartition, int]) -> None:
        for tp, position in positions.items():
            self._ends_at[self._named(tp.topic), tp.partition] = position

    async def _removed(self, wanted: After, reached: After, of_now: Collection[_Place]) -> Removed:
        client, _ = await self._connected()
        there = {(self._named(tp.topic), tp.partition): tp for tp in client.assignment()}
        known = {place: tp for place, tp in there.items() if place in wanted}
        first = await client.beginning_offsets(list(known.values())) if known else {}
        topics = {tp.topic for tp in client.assignment()}
        gone: list[_Place] = []
        since: list[float] = []
        held: dict[str, tuple[str, ...]] = {}
        for place, last in wanted.items():
            tp = known.get(place)
            if tp is not None:
                if first[tp] > reached.get(place, -1) + 1:
                    since.append(await self._arrival(place, tp, first[tp]))
                # the position also passes what is no record
                if first[tp] > last or self._ends_at.get(place, 0) > last:
                    gone.append(place)
                continue
            named = {one: tp for one, tp in there.items() if _alike(one, place)}
            if _ID not in place[0] and named:  # of an earlier version, which noted no ids
                gone += [place for one in named if one in of_now]
                continue
            gone.append(place)
            if named:  # the topic was made anew
                since.append(await self._arrival(place, next(iter(named.values()))))
            elif _topic(place) in topics:  # it has fewer partitions than it had
                since.append(await self._arrival(place, None))
            else:
                held = {self._inputs.expression: tuple(sorted(topics))}
        return Removed(tuple(gone), max(since, default=None), held)

    async def _arrival(self, place: _Place, tp: TopicPartition | None, first: int = -1) -> float:
        """Before when [JD] what was removed had arrived; asked once for each first offset."""
        if (place, first) not in self._arrivals:
            jd = jd_from_unix(time.time())
            if tp is not None:
                async with open_consumer(self._connection, enable_auto_commit=False) as client:
                    jd = await first_arrival(client, tp)
            self._arrivals[place, first] = jd
            _LOG.warning(
                "%s[%d] of %s holds no longer all that was read of it before: accepted alerts from "
                "before %s stay as they were judged",
                *(place[0], place[1], self.name, iso_from_jd(jd)),
            )
        return self._arrivals[place, first]

    def _known(self, tp: TopicPartition, after: After) -> int | None:
        """Offset that was read last; None where that was of a topic that had this name before."""
        named = self._named(tp.topic)
        known = after.get((named, tp.partition))
        if known is not None or _ID not in named or self._made_anew(tp, after):
            return known
        # of an earlier version, which noted no ids
        return after.get((named.partition(_ID)[0], tp.partition))

    def _made_anew(self, tp: TopicPartition, after: After) -> bool:
        """Whether another topic of that name was read before."""
        named = self._named(tp.topic)
        name, mark, _ = named.partition(_ID)
        return bool(mark) and any(
            one.startswith(f"{name}{_ID}") and one != named for one, _ in after
        )

    async def _fetch(
        self, ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        client, _ = await self._connected()
        fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
        fetched = await client.getmany(*ends, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        return fetched

    async def _positions(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """How far each partition is read.

        The position also passes what is no record, such as the end of a transaction.
        """
        client, _ = await self._connected()
        return {tp: await asyncio.wait_for(client.position(tp), _PATIENCE_SECONDS) for tp in ends}

    def _named(self, topic: str) -> str:
        """Name of a topic in our offsets.

        Two clusters may have topics of one name; and one that was made anew is another one, by the
        id that Kafka (since 2.8) gave it.
        """
        cluster, topic_id = self._inputs.cluster, self._ids.get(topic)
        named = topic if cluster is None else f"{cluster}/{topic}"
        return f"{named}{_ID}{topic_id}" if topic_id else named

    def _record(self, record: ConsumerRecord) -> SourceRecord:
        where, member = Coordinates(record.topic, record.partition, record.offset), ""
        # of a record that stands for several, reading goes on behind the last
        last = record.last_offset if isinstance(record, UnreadableRecord) else record.offset
        position = Coordinates(self._named(record.topic), record.partition, last)
        if self._inputs.cluster is None:  # only our own headers say where a record came from first
            where, member = decode_origin(record.headers) or (where, member)
        value, fault = record.value or b"", fault_of(record)
        given = SourceRecord(where, self._stream, value, member, fault, position=position)
        given.expires = True
        return given


def _topic(place: _Place) -> str:
    """Name of a place's topic, as its cluster knows it."""
    return place[0].partition(_ID)[0].rpartition("/")[2]


def _alike(one: _Place, other: _Place) -> bool:
    """Whether both are of the same partition of topics of the same name."""
    return one[1] == other[1] and one[0].partition(_ID)[0] == other[0].partition(_ID)[0]


def open_topics(own: Connection, sources: SourcesSpec) -> list[TopicSource]:
    """Make the sources of a file of sources, notices first.

    Parameters
    ----------
    own
        Our own cluster.
    sources
        What is read.
    """
    streams: tuple[tuple[Stream, tuple[InputSpec, ...]], ...] = (
        ("notices", sources.notices),
        ("alerts", sources.alerts),
    )
    return [
        TopicSource(
            own if one.cluster is None else sources.clusters[one.cluster],
            one,
            stream,
        )
        for stream, inputs in streams
        for one in inputs
    ]
