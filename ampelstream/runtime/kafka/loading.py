"""Records of files into the input topics of our own cluster."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka.errors import MessageSizeTooLargeError

from ampelstream.errors import ConfigError
from ampelstream.model.record import SourceRecord, Stream, record_bytes
from ampelstream.runtime.kafka.admin import inspect
from ampelstream.runtime.kafka.clients import open_producer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.headers import encode_origin
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.plan import FoundTopic

__all__ = ["Loaded", "load"]

_LIMIT = "max.message.bytes"
_BATCH_BYTES = 1 << 19
_LINGER_MS = 5
_IN_FLIGHT = 10_000
"""Records that may wait for their acknowledgement; their bytes are bounded by the batches."""


@dataclass(slots=True)
class Loaded:
    """What was loaded.

    Attributes
    ----------
    counts
        Records by stream, all acknowledged by all replicas.
    volume
        Their values [bytes].
    refused
        Records that are larger than their topic allows, and damage of their files, for people.
    """

    counts: dict[Stream, int] = field(default_factory=lambda: {"alerts": 0, "notices": 0})
    volume: int = 0
    refused: list[str] = field(default_factory=list)


async def load(
    connection: Connection, names: TopicNames, records: Iterable[SourceRecord], *, create: str
) -> Loaded:
    """Produce records in their order, into the partitions of their topics in turn.

    Parameters
    ----------
    connection
        Our own cluster.
    names
        Of the topology.
    records
        What to load; rows of tables become JSON.
    create
        The command that creates the topics, for the message.

    Raises
    ------
    ConfigError
        A topic is not there.
    SourceError
        The cluster cannot be reached, or a record was not acknowledged.
    """
    topics = await _topics(connection, names, create)
    limit = min(int(topic.config[_LIMIT]) for topic in topics.values())
    done = Loaded()
    waiting: deque[asyncio.Future[object]] = deque()
    async with open_producer(
        connection,
        acks="all",
        enable_idempotence=True,  # a batch that is sent again keeps its order, once
        compression_type="lz4",
        linger_ms=_LINGER_MS,
        max_batch_size=min(_BATCH_BYTES, limit),
        max_request_size=limit,
    ) as producer:
        for record in records:
            if record.fault:  # what is left of it is no record: nobody could read it from a topic
                done.refused.append(f"{record.member or record.where}: {record.fault}")
                continue
            topic, value = topics[record.stream], record_bytes(record)
            headers = encode_origin(record.where, record.member)
            partition = done.counts[record.stream] % topic.partitions
            try:
                sent = await producer.send(topic.name, value, partition=partition, headers=headers)
            except MessageSizeTooLargeError:
                done.refused.append(
                    f"{record.member or record.where}: {len(value)} bytes, and {topic.name} takes "
                    f"{limit}"
                )
                continue
            waiting.append(sent)
            done.counts[record.stream] += 1
            done.volume += len(value)
            while waiting and (waiting[0].done() or len(waiting) > _IN_FLIGHT):
                await waiting.popleft()
        await producer.flush()
        for sent in waiting:
            await sent
    return done


async def _topics(
    connection: Connection, names: TopicNames, create: str
) -> dict[Stream, FoundTopic]:
    """The input topics as they are: a producer that asks for a missing one could create it."""
    wanted: dict[Stream, str] = {"alerts": names.alerts, "notices": names.notices}
    cluster = await inspect(connection, wanted.values())
    missing = [name for name in wanted.values() if name not in cluster.topics]
    if missing:
        raise ConfigError(f"there is no topic {', '.join(missing)}; create them with: {create}")
    return {stream: cluster.topics[name] for stream, name in wanted.items()}
