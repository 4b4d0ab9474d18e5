"""The cluster of a survey, which alerts come from: not ours, and so it may be away.

What lies there has no headers that we would believe: a packet is where that cluster put it, and
twice where it was sent twice. Whoever checks has to know which packet lies where.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.admin import NewTopic
from aiokafka.structs import ConsumerRecord

from ampelstream.core.state import ObjectState
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.testing.broker.broker import Broker
from tests.kafka.soak.fold import Fold
from tests.kafka.soak.lag import Groups
from tests.kafka.soak.packets import SOURCE, number_of

__all__ = ["Survey"]

_CLUSTER = "survey"
_TOPIC = "survey-alerts"


class _Positions(Fold):
    """Which packet lies at which partition and offset."""

    def __init__(self, partitions: int) -> None:
        super().__init__(_TOPIC, partitions)
        self.numbers: dict[tuple[int, int], int] = {}

    def _take(self, record: ConsumerRecord) -> None:
        self.numbers[record.partition, record.offset] = number_of(record.value)


class Survey:
    """A cluster with one topic of alerts, and what our workers must know of it.

    Attributes
    ----------
    broker
        The whole cluster.
    topic
        What is read there.
    """

    topic = _TOPIC

    def __init__(self, directory: Path, names: TopicNames, partitions: int) -> None:
        self.broker = Broker(directory)
        self._names, self._partitions = names, partitions
        self._positions = _Positions(partitions)

    @property
    def connection(self) -> Connection:
        return Connection(bootstrap=(self.broker.address,))

    @property
    def groups(self) -> Groups:
        """Consumer groups on this cluster."""
        return {f"{self._names.ingest_group}.alerts-{_CLUSTER}": {_TOPIC: self._partitions}}

    def write_sources(self, path: Path) -> Path:
        """Write the file of sources for workers: alerts from here, notices from our own cluster."""
        sources = {
            "clusters": {_CLUSTER: {"bootstrap": self.broker.address}},
            "alerts": [{"cluster": _CLUSTER, "topics": self.topic}],
            "notices": [{"topics": self._names.notices}],
        }
        path.write_text(json.dumps(sources))
        return path

    async def create_topic(self) -> None:
        """Make the topic of alerts."""
        async with open_admin(self.connection) as admin:
            await admin.create_topics([NewTopic(self.topic, self._partitions, 1)])

    async def look(self) -> None:
        """Learn what came since the last look."""
        await self._positions.read(self.connection)

    def origin(self, where: Coordinates) -> Coordinates:
        """Coordinates by the packet's number, as those in an undisturbed run."""
        if where.source != self.topic:
            return where
        return Coordinates(SOURCE, 0, self._positions.numbers[where.partition, where.offset])

    def object(self, state: ObjectState) -> ObjectState:
        """The state with its alerts' coordinates by number."""
        alerts = tuple(
            msgspec.structs.replace(one, where=self.origin(one.where)) for one in state.alerts
        )
        return msgspec.structs.replace(state, alerts=alerts)

    def letter(self, letter: DeadLetter) -> DeadLetter:
        """The dead letter with its coordinates by number."""
        return msgspec.structs.replace(letter, where=self.origin(letter.where))

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """An exported candidate with its records' coordinates by number."""
        records = [self.origin(Coordinates(**one)) for one in row["provenance"]["records"]]
        row["provenance"]["records"] = [
            {"source": one.source, "partition": one.partition, "offset": one.offset}
            for one in records
        ]
        return row
