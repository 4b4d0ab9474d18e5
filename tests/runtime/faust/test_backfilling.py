"""What is read again, and who is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from ampelstream.runtime.faust import backfilling
from ampelstream.runtime.faust.inputs import Input
from ampelstream.runtime.kafka.clients import reaching
from ampelstream.runtime.kafka.connection import Connection


def test_a_cluster_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    class Client:
        async def list_consumer_group_offsets(self, group: str) -> dict[Any, Any]:
            tries.append(group)
            if len(tries) < 3:
                raise KafkaConnectionError("away")
            places = TopicPartition("alerts", 0), TopicPartition("alerts", 1)
            return {place: OffsetAndMetadata(7 - 8 * place.partition, "") for place in places}

    @asynccontextmanager
    async def open_admin(connection: Connection) -> AsyncIterator[Any]:
        with reaching(connection):
            yield Client()

    monkeypatch.setattr(backfilling, "open_admin", open_admin)
    monkeypatch.setattr(backfilling, "LOOK_SECONDS", 0.0)
    connection = Connection(bootstrap=("b:1",))
    source = Input("ingest-alerts", "g", "alerts", connection, ("alerts",), True, None)  # noqa: FBT003  (as its fields are)
    [part] = asyncio.run(backfilling.rereads([source], "f-3"))
    assert tries == ["g"] * 3
    assert part.until == {TP("alerts", 0): 7}  # of the other partition nothing was read
    assert (part.source.name, part.source.group) == ("ingest-alerts-backfill", "g.backfill-f-3")
