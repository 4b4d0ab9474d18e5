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

    def forget(self) -> None:
        """Partitions were assigned anew."""
        self._next.clear()

    def sent(self, records: Iterable[Outgoing], acknowledged: Iterable[Any]) -> None:
        """Take note of what we wrote, if nothing foreign came between."""
        for record, place in zip(records, acknowledged, strict=True):
            if record.topic == self._topic and self._next.get(place.partition) == place.offset:
                self._next[place.partition] = place.offset + 1

    async def look(self, partitions: Iterable[int]) -> None:
        """Look, and write over what is foreign; brokers that do not answer are asked later."""
        numbers = list(partitions)
        logs = {TP(self._table.changelog_topic_name, number): number for number in numbers}
        outs = {TP(self._topic, number): number for number in numbers if self._topic}
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                ends = await self._ends({*logs, *outs})
        except (KafkaError, TimeoutError):
            return
        for tp, number in logs.items():
            await self._table.mend(number, ends.get(tp) or 0, self._outbox)
        for tp, number in outs.items():
            await self._outputs(number, ends.get(tp) or 0)

    async def _outputs(self, number: int, end: int) -> None:
        known = self._next.setdefault(number, end)
        if end <= known or self._topic is None:
            return
        options = self._table.client_options()
        keys = await foreign_keys(options, self._topic, number, range(known, end))
        sent = await self._outbox.send(await self._again(number, keys))
        self._next[number] = max((one.offset + 1 for one in sent), default=end)
