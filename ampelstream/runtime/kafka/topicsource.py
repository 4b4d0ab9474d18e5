"""Topics of a Kafka cluster as a source of the embedded runtime.

No consumer group is joined: the embedded runtime keeps its offsets in its own state, committed with
what came of the records, and has all partitions to itself.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from ampelstream.errors import SourceError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.kafka.clients import open_admin, reaching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.headers import decode_origin
from ampelstream.runtime.kafka.sources import InputSpec, SourcesSpec
from ampelstream.sources import Skipped
from ampelstream.sources.merge import After

__all__ = ["TopicSource", "open_topics"]

R = TypeVar("R")
_POLL_MS = 250
_AT_ONCE = 500
_FETCH_BYTES = 16 << 20


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
    ours
        Whether the cluster is our own: only there headers are believed that say where a record came
        from first.
    """

    def __init__(
        self, connection: Connection, inputs: InputSpec, stream: Stream, *, ours: bool
    ) -> None:
        self.name = inputs.describe()
        self.skipped: Sequence[Skipped] = ()
        self._connection = connection
        self._inputs = inputs
        self._stream: Stream = stream
        self._ours = ours
        self._consumer: AIOKafkaConsumer | None = None
        # aiokafka lives in an event loop, and sources are read without one
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"kafka-source-{stream}", daemon=True
        )
        self._thread.start()

    def estimate(self) -> int | None:
        """How many records there are is not asked for."""
        return None

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give what lies behind the offsets in ``after``, up to where the topics end now.

        Raises
        ------
        SourceError
            The cluster cannot be reached, or does not let us in.
        """
        with reaching(self._connection):
            ends = self._call(self._begin(after))
            while ends:
                batches = self._call(self._fetch(ends))
                for records in batches.values():
                    for record in records:
                        yield self._record(record)
                ends = self._call(self._unread(ends))

    def close(self) -> None:
        """Disconnect."""
        if self._loop.is_closed():
            return
        if self._consumer is not None:
            self._call(self._consumer.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- in the thread of the client ------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _client(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._connection.client_options(),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                max_partition_fetch_bytes=_FETCH_BYTES,
            )
            async with AsyncExitStack() as unfinished:
                unfinished.push_async_callback(consumer.stop)
                await consumer.start()
                unfinished.pop_all()
            self._consumer = consumer
        return self._consumer

    async def _begin(self, after: After) -> dict[TopicPartition, int]:
        """Go behind what was handled; gives the ends of the partitions that have more."""
        client = await self._client()
        async with open_admin(self._connection) as admin:
            # all topics, not these: to ask for one that is missing could create it
            found = {one["topic"]: one["partitions"] for one in await admin.describe_topics()}
        topics = {name: sorted(one["partition"] for one in found[name]) for name in found}
        missing = sorted(set(self._inputs.topics) - set(topics))
        if missing:
            raise SourceError(f"there is no topic {', '.join(missing)} to read {self._stream} from")
        places = [
            TopicPartition(topic, number)
            for topic in sorted(topics)
            if self._inputs.matches(topic)
            for number in topics[topic]
        ]
        client.assign(places)
        if not places:
            return {}
        first, last = await client.beginning_offsets(places), await client.end_offsets(places)
        ends: dict[TopicPartition, int] = {}
        for place in places:
            known = after.get((place.topic, place.partition))
            begin = first[place] if known is None else max(first[place], known + 1)
            if begin < last[place]:
                ends[place] = last[place]
                client.seek(place, begin)
            else:
                client.pause(place)
        return ends

    async def _fetch(
        self, ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        client = await self._client()
        fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
        fetched = await client.getmany(*ends, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        return fetched

    async def _unread(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Partitions that are not yet read to their end.

        The position also passes what is no record, such as the end of a transaction.
        """
        client = await self._client()
        return {place: end for place, end in ends.items() if await client.position(place) < end}

    def _record(self, record: ConsumerRecord) -> SourceRecord:
        position = Coordinates(record.topic, record.partition, record.offset)
        where, member = position, ""
        if self._ours:
            where, member = decode_origin(record.headers) or (where, member)
        return SourceRecord(where, self._stream, record.value or b"", member, position=position)


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
            ours=one.cluster is None,
        )
        for stream, inputs in streams
        for one in inputs
    ]
