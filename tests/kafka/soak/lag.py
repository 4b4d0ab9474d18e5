"""How far the workers are behind."""

from collections.abc import Mapping

from aiokafka.structs import TopicPartition

from ampelstream.runtime.kafka.clients import open_admin, open_consumer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames

__all__ = ["behind", "groups"]

Groups = Mapping[str, Mapping[str, int]]
"""Consumer groups, the topics that each reads, and the number of partitions of each topic."""
Ends = dict[TopicPartition, int]


def groups(names: TopicNames, partitions: int) -> Groups:
    """Consumer groups on our own cluster; alerts have one where they come from there."""
    return {
        f"{names.ingest_group}.alerts": {names.alerts: partitions},
        f"{names.ingest_group}.notices": {names.notices: 1},
        names.app(OBJECTS): {names.detections: partitions, names.events: partitions},
        names.app(REACT): {names.candidates: partitions},
    }


async def behind(connection: Connection, groups: Groups) -> tuple[list[str], Ends]:
    """Partitions of a cluster whose committed offset is not their end; and the ends."""
    late: list[str] = []
    ends: Ends = {}
    async with open_admin(connection) as admin, open_consumer(connection) as client:
        for group, topics in groups.items():
            places = [
                TopicPartition(topic, number)
                for topic, partitions in topics.items()
                for number in range(partitions)
            ]
            last = await client.end_offsets(places)
            committed = await admin.list_consumer_group_offsets(group)
            ends |= last
            for place in places:
                done = committed[place].offset if place in committed else 0
                if max(done, 0) < last[place]:
                    late.append(f"{group}: {place.topic}[{place.partition}] {done}/{last[place]}")
    return late, ends
