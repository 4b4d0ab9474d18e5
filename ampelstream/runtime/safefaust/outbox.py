"""Producing, and knowing that it is done: what is returned is acknowledged by all replicas."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from ampelstream.runtime.safefaust.compressing import compress_quickly
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
        compress_quickly()
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
        try:
            futures = [
                await self._producer.send(
                    one.topic,
                    value=one.value,
                    key=one.key,
                    partition=one.partition,
                    headers=list(one.headers),
                )
                for one in records
            ]
            done = await asyncio.gather(*futures, return_exceptions=True)
        except (KafkaError, TypeError, AssertionError) as error:  # a topic that is not there
            raise ProduceError(f"cannot produce to {records[0].topic}: {error!r}") from error
        results: list[RecordMetadata] = []
        for record, result in zip(records, done, strict=True):
            if isinstance(result, BaseException):
                raise ProduceError(
                    f"a record for {record.topic} was not acknowledged: {result!r}. Nothing that "
                    "it belongs to is committed; it is done again after the next start."
                ) from result
            results.append(result)
        return results


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
