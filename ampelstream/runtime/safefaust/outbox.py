"""Producing, and knowing that it is done: what is returned is acknowledged by all replicas."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata, TopicPartition

from ampelstream.runtime.safefaust.failures import ProduceError

__all__ = ["MAX_MESSAGE_BYTES", "Outbox", "Outgoing"]

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


class Outbox:
    """A producer that either has everything acknowledged or raises.

    Parameters
    ----------
    options
        Connection of the client, as keyword arguments of aiokafka.
    request_timeout_seconds
        After how long a record that no broker took is given up [s].
    linger_seconds
        How long a record may wait for others to share its request [s].
    """

    def __init__(
        self,
        options: dict[str, Any],
        *,
        request_timeout_seconds: float = 30.0,
        linger_seconds: float = 0.002,
    ) -> None:
        self._producer = AIOKafkaProducer(
            **options,
            acks="all",
            compression_type="lz4",
            linger_ms=int(linger_seconds * 1000),
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

    async def send(self, records: Sequence[Outgoing]) -> list[RecordMetadata]:
        """Produce, in the order given within each partition.

        Returns
        -------
        list of RecordMetadata
            Topic, partition and offset of each record, in the same order.

        Raises
        ------
        ProduceError
            At least one was not acknowledged. Others may have been.
        """
        results: list[RecordMetadata] = []
        for part in _parts(records):
            results.extend(await self._send(part))
        return results

    async def _send(self, records: Sequence[Outgoing]) -> list[RecordMetadata]:
        """Each partition's records in batches of our own making.

        aiokafka's ``send`` takes them one by one, with a future for each, in ten times the time.
        """
        places: dict[TopicPartition, list[int]] = {}
        for number, record in enumerate(records):
            places.setdefault(await self._place(record), []).append(number)
        sent = await asyncio.gather(
            *(
                self._send_to(place, [records[number] for number in numbers])
                for place, numbers in places.items()
            ),
            return_exceptions=True,  # nothing of it is left alone, whatever fails
        )
        results: list[RecordMetadata | None] = [None] * len(records)
        for numbers, done in zip(places.values(), sent, strict=True):
            if isinstance(done, BaseException):
                raise done
            for number, one in zip(numbers, done, strict=True):
                results[number] = one
        return [one for one in results if one is not None]

    async def _place(self, record: Outgoing) -> TopicPartition:
        """Where a record goes."""
        producer, topic, key, value = self._producer, record.topic, record.key, record.value
        with _refused(topic):
            if key is None and value is None:
                raise TypeError("a record without key and value")
            await producer.client._wait_on_metadata(topic)  # noqa: SLF001  (as `send` does)
            producer._serialize(key, value, list(record.headers))  # noqa: SLF001  (refuses what is too large)
            number = producer._partition(topic, record.partition, key, value, key, value)  # noqa: SLF001  (as above)
        return TopicPartition(topic, number)

    async def _send_to(
        self, place: TopicPartition, records: Sequence[Outgoing]
    ) -> list[RecordMetadata]:
        """Send records of one partition, and wait until they are acknowledged."""
        waiting, done = [], []
        try:
            with _refused(place.topic):
                for batch in self._batches(records):
                    to = {"topic": place.topic, "partition": place.partition}
                    waiting.append(
                        (batch.record_count(), await self._producer.send_batch(batch, **to))
                    )
        finally:
            done = await asyncio.gather(*(one for _, one in waiting), return_exceptions=True)
        results: list[RecordMetadata] = []
        for (count, _), first in zip(waiting, done, strict=True):
            if isinstance(first, BaseException):
                raise ProduceError(
                    f"a record for {place.topic} was not acknowledged: {first!r}. Nothing that "
                    "it belongs to is committed; it is done again after the next start."
                ) from first
            results += [first._replace(offset=first.offset + number) for number in range(count)]
        return results

    def _batches(self, records: Sequence[Outgoing]) -> Iterator[Any]:
        """Records in batches, as full as they may be; one that is larger is alone in its own."""
        batch = self._producer.create_batch()
        for one in records:
            said = {"timestamp": None, "key": one.key, "value": one.value}
            if batch.append(**said, headers=list(one.headers)) is None:  # it is full, and closed
                yield batch
                batch = self._producer.create_batch()
                batch.append(**said, headers=list(one.headers))
        batch.close()
        yield batch


@contextmanager
def _refused(topic: str) -> Iterator[None]:
    """Turn what the client does not take into our error.

    Raises
    ------
    ProduceError
        The topic is not there, or the record is none.
    """
    try:
        yield
    except (KafkaError, TypeError, AssertionError) as error:
        raise ProduceError(f"cannot produce to {topic}: {error!r}") from error


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
