"""Who asks for committed offsets is not held up by a consumer that is closed meanwhile."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.tables.recovery import ServiceStopped

from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.safefaust.committed import committed_offsets
from tests.kafka.looking import make_topic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def test_until_the_consumer_is_closed(broker_address: str, unique: str) -> None:
    make_topic(Connection(bootstrap=(broker_address,)), unique, partitions=1)
    place = TopicPartition(unique, 0)

    async def ask() -> None:
        consumer = AIOKafkaConsumer(
            unique, bootstrap_servers=broker_address, group_id=unique, enable_auto_commit=False
        )
        await consumer.start()
        try:
            while not consumer.assignment():  # noqa: ASYNC110  (aiokafka has no event for it)
                await asyncio.sleep(0.1)
            await consumer.commit({place: OffsetAndMetadata(0, "beside")})
            found = await committed_offsets(consumer, [place])
            assert found[place] == OffsetAndMetadata(0, "beside")
        finally:
            await consumer.stop()
        # as a request does that was under way when the connections were closed
        consumer._coordinator.coordinator_dead()
        with pytest.raises(ServiceStopped):
            await asyncio.wait_for(committed_offsets(consumer, [place]), 5.0)
        # aiokafka by itself: where this ends, too, the module is not needed any more
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer._coordinator.fetch_committed_offsets([place]), 3.0)

    asyncio.run(ask())
