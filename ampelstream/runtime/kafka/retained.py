"""What topics still hold: retention removes the oldest records, and topics come and go."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from ampelstream.model.times import jd_from_unix
from ampelstream.runtime.kafka.clients import open_consumer
from ampelstream.runtime.kafka.connection import Connection

__all__ = ["Retained", "extent", "first_arrival", "what_is_left"]

_FIRST_SECONDS = 15.0
"""For how long the first record of a partition is waited for, that offsets say is there [s]."""


async def extent(
    connection: Connection, reads: Callable[[str], bool]
) -> dict[TopicPartition, tuple[int, int]]:
    """First offset and end of each partition that there is now.

    Parameters
    ----------
    connection
        The cluster.
    reads
        Which topics.

    Raises
    ------
    SourceError
        The cluster cannot be reached, or refuses.
    """
    async with open_consumer(connection, enable_auto_commit=False) as client:
        return await _extent(client, reads)


async def _extent(
    client: AIOKafkaConsumer, reads: Callable[[str], bool]
) -> dict[TopicPartition, tuple[int, int]]:
    # not `topics()`, which gives names and forgets what it was told of their partitions
    cluster = await client._client.fetch_all_metadata()  # noqa: SLF001  (see above)
    places = [
        TopicPartition(topic, number)
        for topic in sorted(cluster.topics(exclude_internal_topics=True))
        if reads(topic)
        for number in sorted(cluster.partitions_for_topic(topic) or ())
    ]
    if not places:
        return {}
    first, last = await client.beginning_offsets(places), await client.end_offsets(places)
    return {place: (first[place], last[place]) for place in places}


class Retained(NamedTuple):
    """What is left of alerts that have arrived.

    Attributes
    ----------
    since_jd
        From when on [JD] all are still there of the topics that are; None where all are.
    topics
        Topics that are there.
    """

    since_jd: float | None
    topics: tuple[str, ...]


async def what_is_left(
    connection: Connection, reads: Callable[[str], bool], *, now: Callable[[], float] = time.time
) -> Retained:
    """Say what topics still hold.

    An alert is made before it arrives, so one that is younger than the first record that is left
    of its topic arrived behind it.

    Parameters
    ----------
    connection
        The cluster.
    reads
        Which topics.
    now
        Unix time [s].

    Raises
    ------
    SourceError
        The cluster cannot be reached, or refuses.
    """
    begins: list[float] = []
    async with open_consumer(connection, enable_auto_commit=False) as client:
        found = await _extent(client, reads)
        for place, (first, _) in found.items():
            if first > 0:
                begins.append(await first_arrival(client, place, now=now))
    topics = tuple(sorted({place.topic for place in found}))
    return Retained(max(begins, default=None), topics)


async def first_arrival(
    client: Any, place: TopicPartition, *, now: Callable[[], float] = time.time
) -> float:
    """When the first record that is left of a partition arrived [JD]; now, where none is left.

    Parameters
    ----------
    client
        A consumer that reads nothing else.
    place
        Which partition.
    now
        Unix time [s].
    """
    first = (await client.beginning_offsets([place]))[place]
    if first == (await client.end_offsets([place]))[place]:
        return jd_from_unix(now())
    client.assign([place])
    client.seek(place, first)
    try:
        async with asyncio.timeout(_FIRST_SECONDS):
            record = await client.getone(place)
    except TimeoutError:  # only marks of transactions are left, which no client is given
        return jd_from_unix(now())
    return jd_from_unix(float(record.timestamp) / 1000)
