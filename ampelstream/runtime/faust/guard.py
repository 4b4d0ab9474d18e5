"""Looking, about once a second, whether anybody wrote where only the owner of a partition may.

A worker that was frozen and thaws may send what it had in hand (see ``foreign.py``). The owner
would notice when it next writes; but it may have nothing more to write, and the stale values would
stay the last ones of their keys. So it looks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiokafka.errors import KafkaError
from faust.types import TP

from ampelstream.runtime.faust.foreign import foreign_keys
from ampelstream.runtime.faust.table import StateTable
from ampelstream.runtime.kafka.outbox import Outbox, Outgoing

__all__ = ["OwnershipGuard"]

_ASK_SECONDS = 3.0
Again = Callable[[int, Iterable[bytes]], Awaitable[list[Outgoing]]]


class OwnershipGuard:
    """Compares the ends of what only we write with what we wrote.

    Parameters
    ----------
    table
        Its changelog is ours.
    topic
        A topic of which the partition with the same number is ours, too; None without one.
    ends
        Asks the brokers for the offsets behind the last records.
    again
        Makes the records of these keys of a partition of ``topic`` anew.
    """

    def __init__(
        self,
        table: StateTable,
        topic: str | None,
        ends: Callable[[set[TP]], Awaitable[Mapping[TP, int | None]]],
        again: Again,
        outbox: Outbox,
    ) -> None:
        self._table = table
        self._topic = topic
        self._ends = ends
        self._again = again
        self._outbox = outbox
        self._next: dict[int, int] = {}

    def sent(self, records: Iterable[Outgoing], acknowledged: Iterable[Any]) -> None:
        """Take note of what we wrote, if nothing foreign came between."""
        for record, place in zip(records, acknowledged, strict=True):
            if record.topic == self._topic and self._next.get(place.partition) == place.offset:
                self._next[place.partition] = place.offset + 1

    async def ask(self, partitions: Iterable[int]) -> Mapping[TP, int | None]:
        """Ask where what is ours ends now; nothing where the brokers do not answer.

        Takes up to a second when the client is waiting for records: not to be awaited while work
        stands still for it. An answer that is older than our last writes does no harm.
        """
        topics = [self._table.changelog_topic_name, *([self._topic] if self._topic else [])]
        places = {TP(topic, number) for number in partitions for topic in topics}
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                return await self._ends(places)
        except (KafkaError, TimeoutError):
            return {}

    async def begin(self, partitions: Iterable[int]) -> None:
        """Take note of where our outputs begin, before we write any."""
        self._next = {
            tp.partition: end
            for tp, end in (await self.ask(partitions)).items()
            if tp.topic == self._topic and end is not None
        }

    async def look(self, ends: Mapping[TP, int | None]) -> None:
        """Write over what is foreign, up to these ends."""
        for tp, end in ends.items():
            if tp.topic == self._topic:
                await self._outputs(tp.partition, end or 0)
            else:
                await self._table.mend(tp.partition, end or 0, self._outbox)

    async def _outputs(self, number: int, end: int) -> None:
        known = self._next.setdefault(number, end)
        if end <= known or self._topic is None:
            return
        options = self._table.client_options()
        keys = await foreign_keys(options, self._topic, number, range(known, end))
        sent = await self._outbox.send(await self._again(number, keys))
        self._next[number] = max((one.offset + 1 for one in sent), default=end)
