"""Reading single records of a partition again, by their offsets."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from ampelstream.errors import SourceError

__all__ = ["RecordPicker"]

_POLL_MS = 500
_AT_ONCE = 100
_FETCH_BYTES = 1 << 20
"""A fetch gives at least one record, however large, and not many that nobody asked for."""
_PATIENCE_SECONDS = 15.0


class RecordPicker:
    """Fetches records that were read before, over a connection of its own.

    As an asynchronous context manager it disconnects at its end.

    Parameters
    ----------
    options
        Gives the connection, as keyword arguments of aiokafka.
    max_bytes
        When so much was fetched, the rest is left for the next time [byte].
    """

    def __init__(self, options: Callable[[], dict[str, Any]], *, max_bytes: int = 16 << 20) -> None:
        self._options = options
        self._max_bytes = max_bytes
        self._client: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._client is not None:
            await self._client.stop()

    async def pick(
        self, topic: str, partition: int, offsets: Sequence[int]
    ) -> dict[int, ConsumerRecord | None]:
        """Give records by their offsets, None for what the topic has no longer.

        Parameters
        ----------
        topic, partition
            Where they are.
        offsets
            Which; in the answer are the lowest of them, and not all where that were too much.

        Raises
        ------
        SourceError
            The brokers do not give them.
        """
        place = TopicPartition(topic, partition)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await self._pick(place, sorted(offsets))
        except (KafkaError, TimeoutError) as error:
            raise SourceError(
                f"{topic}[{partition}] cannot be read at offset {min(offsets)}: "
                f"{type(error).__name__}: {error or 'no answer in time'}; see that brokers are up"
            ) from error

    async def _pick(
        self, place: TopicPartition, wanted: list[int]
    ) -> dict[int, ConsumerRecord | None]:
        client = await self._connected()
        client.assign([place])
        end = (await client.end_offsets([place]))[place]
        found: dict[int, ConsumerRecord | None] = {one: None for one in wanted if one >= end}
        wanted = [one for one in wanted if one < end]
        size, position = 0, -1
        while wanted and size < self._max_bytes:
            if wanted[0] != position:
                client.seek(place, wanted[0])
            fetched = await client.getmany(place, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            position = await client.position(place)
            records = {one.offset: one for one in fetched.get(place, ())}
            for offset in [one for one in wanted if one < position]:
                found[offset] = records.get(offset)
                size += len(records[offset].value or b"") if offset in records else 0
            wanted = [one for one in wanted if one >= position]
        return found

    async def _connected(self) -> AIOKafkaConsumer:
        if self._client is None:
            client = AIOKafkaConsumer(
                **self._options(),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                max_partition_fetch_bytes=_FETCH_BYTES,
            )
            await client.start()
            self._client = client
        return self._client
