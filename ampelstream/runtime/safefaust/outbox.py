"""Producing, and knowing that it is done: what is returned is acknowledged by all replicas."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from ampelstream.runtime.safefaust.failures import ProduceError

__all__ = ["MAX_MESSAGE_BYTES", "Outbox", "Outgoing", "Sent"]

MAX_MESSAGE_BYTES = 16 << 20
"""Largest record with its batch [byte]: ``max.message.bytes`` of the topics must allow it."""
_AT_ONCE_BYTES = 32 << 20
"""How much may be on its way at once [byte]: one request holds a batch of every partition, and a
broker closes the connection on a request of more than 100 MiB."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to produce.

    Attributes
    ----------
    topic, partition
        Where to; without a partition, the key decides (as Kafka's own clients do).
    key, value
        A value of None deletes the key from a compacted topic.
    headers
        Names and values.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Of key and value [byte]."""
        return len(self.value or b"") + len(self.key or b"")


class Sent(NamedTuple):
    """Where an acknowledged record is."""

    topic: str
    partition: int
    offset: int


_Pile = tuple[Any, list[int]]
"""A batch of aiokafka, and which records are in it."""
_partition_of = DefaultPartitioner()


class Outbox:
    """A producer that either has everything acknowledged or raises.

    Parameters
    ----------
    options
        Connection of the client, as keyword arguments of aiokafka.
    request_timeout_seconds
        After how long a record that no broker took is given up [s].
    """

    def __init__(
        self,
        options: dict[str, Any],
        *,
        request_timeout_seconds: float = 30.0,
    ) -> None:
        self._producer = AIOKafkaProducer(
            **options,
            acks="all",
            compression_type="lz4",
            max_batch_size=1 << 19,
            max_request_size=MAX_MESSAGE_BYTES,
            request_timeout_ms=int(request_timeout_seconds * 1000),
        )

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        ProduceError
            No broker answers.
        """
        try:
            await self._producer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await self._producer.stop()
            raise ProduceError(f"no broker to produce to: {error!r}; are they up?") from error

    async def stop(self) -> None:
        """Send what is open, and disconnect."""
        await self._producer.stop()

    async def send(self, records: Sequence[Outgoing]) -> list[Sent]:
        """Produce, in the order given within each partition.

        Returns
        -------
        list of Sent
            Where each record is, in the same order.

        Raises
        ------
        ProduceError
            At least one was not acknowledged. Others may have been.
        """
        results: list[Sent] = []
        for part in _parts(records):
            results.extend(await self._send(part))
        return results

    async def _send(self, records: Sequence[Outgoing]) -> list[Sent]:
        try:
            piles = await self._piles(records)
        except (KafkaError, TypeError, AssertionError) as error:  # a topic that is not there
            raise ProduceError(f"cannot produce to {records[0].topic}: {error!r}") from error
        done = await asyncio.gather(
            *(self._deliver(topic, number, pile) for (topic, number), pile in piles.items()),
            return_exceptions=True,
        )
        places: dict[int, Sent] = {}
        for ((topic, number), pile), first in zip(piles.items(), done, strict=True):
            if isinstance(first, BaseException):
                raise ProduceError(
                    f"a record for {topic} was not acknowledged: {first!r}. Nothing that it "
                    "belongs to is committed; it is done again after the next start."
                ) from first
            for (_, members), offset in zip(pile, first, strict=True):
                for behind, at in enumerate(members):
                    places[at] = Sent(topic, number, offset + behind)
        return [places[at] for at in range(len(records))]

    async def _piles(self, records: Sequence[Outgoing]) -> dict[tuple[str, int], list[_Pile]]:
        """Batches of each partition, with the places of their records among all.

        A batch is filled here, and not record by record in the producer: that makes a future for
        each, which costs more than the record.
        """
        partitions: dict[str, list[int]] = {}
        piles: dict[tuple[str, int], list[_Pile]] = {}
        for at, one in enumerate(records):
            numbers = partitions.get(one.topic)
            if numbers is None:
                numbers = sorted(await self._producer.partitions_for(one.topic))
                partitions[one.topic] = numbers
            number = one.partition
            if number is None:
                number = int(_partition_of(one.key, numbers, numbers))
            pile = piles.setdefault((one.topic, number), [])
            if not pile or not _added(pile[-1], at, one):
                pile.append((self._producer.create_batch(), []))
                _added(pile[-1], at, one)
        return piles

    async def _deliver(self, topic: str, number: int, pile: Sequence[_Pile]) -> list[int]:
        """Produce batches of a partition one behind the other; give their first offsets."""
        futures: list[asyncio.Future[Any]] = []
        with ExitStack() as undo:
            for batch, _ in pile:
                batch.close()  # full, or all that there is: it need not wait for more
                future = await self._producer.send_batch(batch, topic, partition=number)
                undo.callback(future.cancel)  # nobody asks for it any longer
                futures.append(future)
            done = await asyncio.gather(*futures, return_exceptions=True)
        offsets: list[int] = []
        for one in done:
            if isinstance(one, BaseException):
                raise one
            offsets.append(one.offset)
        return offsets


def _added(pile: _Pile, at: int, record: Outgoing) -> bool:
    """Whether a batch took a record."""
    batch, members = pile
    headers = list(record.headers)
    taken = batch.append(timestamp=None, key=record.key, value=record.value, headers=headers)
    if taken is None:
        return False
    members.append(at)
    return True


def _parts(records: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """Records in parts of bounded size, in order."""
    begin = size = 0
    for at, record in enumerate(records):
        if at > begin and size + record.size > _AT_ONCE_BYTES:
            yield records[begin:at]
            begin, size = at, 0
        size += record.size
    if begin < len(records):
        yield records[begin:]
