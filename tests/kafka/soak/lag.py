"""How far the workers are behind."""

from aiokafka.structs import TopicPartition

from ampelstream.runtime.kafka.clients import open_admin, open_consumer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames

__all__ = ["behind"]

Ends = dict[TopicPartition, int]


def _groups(names: TopicNames) -> dict[str, tuple[str, ...]]:
    """Topics that each consumer group reads."""
    return {
        f"{names.ingest_group}.alerts": (names.alerts,),
        f"{names.ingest_group}.notices": (names.notices,),
        names.app(OBJECTS): (names.detections, names.events),
        names.app(REACT): (names.candidates,),
    }


async def behind(
    connection: Connection, names: TopicNames, partitions: int
) -> tuple[list[str], Ends]:
    """Partitions whose committed offset is not their end; and the ends."""
    late: list[str] = []
    ends: Ends = {}
    async with open_admin(connection) as admin, open_consumer(connection) as client:
        for group, topics in _groups(names).items():
            places = [
                TopicPartition(topic, number)
                for topic in topics
                for number in range(1 if topic == names.notices else partitions)
            ]
            last = await client.end_offsets(places)
            committed = await admin.list_consumer_group_offsets(group)
            ends |= last
            for place in places:
                done = committed[place].offset if place in committed else 0
                if max(done, 0) < last[place]:
                    late.append(f"{group}: {place.topic}[{place.partition}] {done}/{last[place]}")
    return late, ends
