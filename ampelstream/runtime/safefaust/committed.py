"""Committed offsets of a group, asked for until the consumer is closed, and no longer.

A request that is under way when aiokafka (0.14) closes its coordinator loses its connection. The
coordinator then knows no broker, takes that for a passing error, and asks again for ever. In the
thread that Faust gives the consumer nothing else would get its turn: a worker that is told to stop
while partitions are shared out anew would not end in time.
"""

import asyncio
from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.tables.recovery import ServiceStopped

__all__ = ["committed_offsets"]


async def committed_offsets(
    consumer: AIOKafkaConsumer, places: Collection[TopicPartition]
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Offsets of these partitions, with the notes beside them, which `committed` leaves out.

    Raises
    ------
    ServiceStopped
        The consumer is being closed, which Faust's recovery takes for its own end.
    """
    coordinator = consumer._coordinator  # noqa: SLF001  (its `committed` drops notes)
    asked = asyncio.ensure_future(coordinator.fetch_committed_offsets(list(places)))
    try:
        closing = coordinator._closing  # noqa: SLF001  (no public way)
        await asyncio.wait({asked, closing}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ServiceStopped
        found: Mapping[TopicPartition, OffsetAndMetadata] = asked.result()
        return found
    finally:
        asked.cancel()
