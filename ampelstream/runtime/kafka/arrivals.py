"""When the oldest records that are left of a topic arrived: which alerts cannot be read again.

An alert is made before it arrives. So one that is younger than the first record that is left
arrived behind it, and is still there.
"""

import asyncio
import time
from typing import Any

from aiokafka import TopicPartition

from ampelstream.model.times import jd_from_unix

__all__ = ["arrival_behind_removed", "first_arrival"]

_FIRST_SECONDS = 15.0
"""For how long the first record of a partition is waited for, that offsets say is there [s]."""


async def arrival_behind_removed(client: Any, place: TopicPartition) -> float | None:
    """When the first record that is left arrived [JD]; None where none was removed before it."""
    first = (await client.beginning_offsets([place]))[place]
    return None if first == 0 else await first_arrival(client, place)


async def first_arrival(client: Any, place: TopicPartition) -> float:
    """When the first record that is left arrived [JD]; now, where none is left.

    Parameters
    ----------
    client
        A consumer that reads nothing else.
    place
        Which partition.
    """
    first = (await client.beginning_offsets([place]))[place]
    if first == (await client.end_offsets([place]))[place]:
        return jd_from_unix(time.time())
    client.assign([place])
    client.seek(place, first)
    try:
        async with asyncio.timeout(_FIRST_SECONDS):
            record = await client.getone(place)
    except TimeoutError:  # only marks of transactions are left, which no client is given
        return jd_from_unix(time.time())
    return jd_from_unix(float(record.timestamp) / 1000)
