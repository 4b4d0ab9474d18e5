"""Packets that name a schema which the registry does not know (yet): parked, tried again, kept.

A telescope may send its first packets before somebody has told the registry. Such a packet goes to
a topic of its own, where it is read again after a while, as often as it takes. The others go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from aiokafka.structs import ConsumerRecord

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.kafka.headers import decode_origin, encode_origin
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.sources.schemaregistry import SchemaRegistry

__all__ = ["DUE", "SINCE", "WireSchemas"]

DUE = "ampelstream-due"
"""Header of a parked record: when it is to be tried again, Unix time [s] as text."""
SINCE = "ampelstream-since"
"""Header of a parked record: when it came for the first time, Unix time [s] as text."""
_LONGEST_WAIT_SECONDS = 600.0
_PATIENCE_SECONDS = 90 * 86_400.0
_MAGIC = b"\x00"
_HEAD = 5


def _schema_id(value: bytes | None) -> int | None:
    """Number of the schema that a packet names; None where it is not in Confluent's format."""
    if value is None or len(value) < _HEAD or value[:1] != _MAGIC:
        return None
    return int.from_bytes(value[1:_HEAD], "big")


def _time(record: ConsumerRecord, header: str) -> float:
    for name, value in record.headers:
        if name == header:
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 0.0


class WireSchemas:
    """Sees to it that the schemas of a batch are at hand, and parks what has to wait.

    Parameters
    ----------
    registry
        Where they come from; without one nothing is parked, and such packets are dead letters.
    metrics
        Told how many wait; None for who only parks and does not read what is parked.
    retry_seconds
        How long a parked record is left alone [s].
    now
        Unix time [s].
    sleep
        Waits a number of seconds.
    """

    def __init__(
        self,
        registry: SchemaRegistry | None,
        metrics: Metrics | None,
        *,
        retry_seconds: float = 60.0,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.registry = registry
        self._metrics = metrics
        self._retry_seconds = retry_seconds
        self._now = now
        self._sleep = sleep
        self._waiting: dict[Coordinates, None] = {}

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Wait until parked records are due, and fetch the schemas that are not at hand."""
        if self.registry is None:
            return
        if self._metrics is not None:
            # counted before the wait, so that monitoring need not wait for them too
            origins = (decode_origin(record.headers) for record in records)
            self._waiting |= {origin[0]: None for origin in origins if origin is not None}
            self._tell()
        wait = max((_time(record, DUE) for record in records), default=0.0) - self._now()
        if wait > 0:
            await self._sleep(min(wait, _LONGEST_WAIT_SECONDS))
        wanted = {_schema_id(record.value) for record in records} - {None}
        for schema_id in sorted(one for one in wanted if one is not None):
            if self.registry.known(schema_id) is None:
                await self.registry.fetch(schema_id)

    def parked(
        self, record: SourceRecord, names: TopicNames, message: ConsumerRecord
    ) -> Outgoing | None:
        """Record to park instead of decoding; None where its schema is at hand.

        Each time it is left alone for twice as long, up to ten minutes. After 90 days without its
        schema it is decoded without, which makes it a dead letter.
        """
        value, where = record.value, record.where
        schema_id = _schema_id(value) if isinstance(value, bytes) else None
        if self.registry is None or schema_id is None or not isinstance(value, bytes):
            return None
        if self.registry.known(schema_id) is not None:
            if self._waiting.pop(where, 0) is None:
                self._tell()
            return None
        now = self._now()
        since = _time(message, SINCE) or now
        if now - since > _PATIENCE_SECONDS:
            return None
        if self._metrics is not None:
            self._waiting[where] = None
            self._tell()
        wait = min(max(self._retry_seconds, now - since), _LONGEST_WAIT_SECONDS)
        marks = (DUE, str(now + wait).encode()), (SINCE, str(since).encode())
        headers = (*encode_origin(where, record.member), *marks)
        return Outgoing(names.parked, str(where).encode(), value, headers=headers)

    def _tell(self) -> None:
        if self._metrics is not None:
            self._metrics.parked(len(self._waiting))
