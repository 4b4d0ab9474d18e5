"""What somebody else wrote into a partition that is ours, and how it is written over.

Neither Faust nor Kafka fences a worker that was thrown out of its group and does not know it yet:
Kafka refuses the writes of old members only in transactions, and Faust's do not work
(``transport/consumer.py:297-309``). Such a worker, frozen and thawed, may send what it had in hand.
But only the owner of a partition writes its changelog, so the owner sees it: its own next offset
does not follow its last one. Its database never took the foreign records, so it knows the right
values of their keys, and writes them again, behind. So it is with a topic of outputs of which only
the owner of a partition writes to the one of the same number.

The owner would notice when it next writes; but it may have nothing more to write, and the stale
values would stay the last ones of their keys. So it looks, about once a second.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from ampelstream.runtime.safefaust.failures import RecoveryError
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing

__all__ = ["OwnershipGuard", "foreign_keys", "foreign_offsets"]

_LOG = logging.getLogger(__name__)
_POLL_MS = 500
_ASK_SECONDS = 3.0
Again = Callable[[int, Iterable[bytes]], Awaitable[list[Outgoing]]]


def foreign_offsets(before: int, ours: Collection[int]) -> list[int]:
    """Offsets behind ``before``, up to our last one, that are not ours.

    Parameters
    ----------
    before
        Last offset that our database holds.
    ours
        Offsets of what we wrote now; at least one.
    """
    first, last = before + 1, max(ours)
    if last - before == len(ours):
        return []
    mine = set(ours)
    return [offset for offset in range(first, last) if offset not in mine]


async def foreign_keys(
    options: Mapping[str, Any], topic: str, partition: int, offsets: Collection[int]
) -> set[bytes]:
    """Keys of these records; those that compaction has removed are missing, and do no harm.

    Raises
    ------
    RecoveryError
        The brokers do not answer.
    """
    place = TopicPartition(topic, partition)
    wanted, last = set(offsets), max(offsets)
    keys: set[bytes] = set()
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, min(offsets))
        while await consumer.position(place) <= last:
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                keys.update(one.key for one in records if one.offset in wanted and one.key)
    except KafkaError as error:
        raise RecoveryError(f"{topic} cannot be read: {error!r}; are the brokers up?") from error
    finally:
        await consumer.stop()
    _LOG.error(
        "%d records that we know nothing of stand in %s[%d], where only we write: from another "
        "worker, or a request that was repeated; their %d keys are written again",
        len(wanted),
        topic,
        partition,
        len(keys),
    )
    return keys


class Owned(Protocol):
    """A table whose changelog is ours."""

    @property
    def changelog_topic_name(self) -> str:
        """Its changelog."""
        ...

    @property
    def client_options(self) -> Callable[[], dict[str, Any]]:
        """Gives the connection, as keyword arguments of aiokafka."""
        ...

    async def overwrite_foreign(self, partition: int, end: int, outbox: Outbox) -> None:
        """Write over what others wrote up to ``end``, the offset behind the last record."""
        ...


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
        table: Owned,
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
                await self._table.overwrite_foreign(tp.partition, end or 0, self._outbox)

    async def _outputs(self, number: int, end: int) -> None:
        known = self._next.setdefault(number, end)
        if end <= known or self._topic is None:
            return
        options = self._table.client_options()
        keys = await foreign_keys(options, self._topic, number, range(known, end))
        sent = await self._outbox.send(await self._again(number, keys))
        self._next[number] = max((one.offset + 1 for one in sent), default=end)
