"""Schemas of packets that only name theirs, and packets that wait until theirs is known.

A telescope may send its first packets before their schema is in the registry. Such a packet goes to
a topic of its own (see ``core/ingest.py``), where it is read again after a while, as often as it
takes. The others go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from aiokafka.structs import ConsumerRecord

from ampelstream.runtime.kafka.headers import DUE, decode_time
from ampelstream.runtime.kafka.records import LONGEST_WAIT_SECONDS
from ampelstream.sources.schemaregistry import SchemaRegistry

__all__ = ["WireSchemas"]

_MAGIC = b"\x00"
_HEAD = 5


def _schema_id(value: bytes | None) -> int | None:
    """Number of the schema that a packet names; None where it is not in Confluent's format."""
    if value is None or len(value) < _HEAD or value[:1] != _MAGIC:
        return None
    return int.from_bytes(value[1:_HEAD], "big")


class WireSchemas:
    """Sees to it that the schemas of a batch are at hand.

    Parameters
    ----------
    registry
        Where they come from.
    parked
        Whether the records are parked ones, which say when they are due.
    now
        Unix time [s].
    sleep
        Waits a number of seconds.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        *,
        parked: bool = False,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._registry = registry
        self._parked = parked
        self._now = now
        self._sleep = sleep

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Wait until parked records are due, and fetch the schemas that are not at hand."""
        if self._parked:
            due = max((decode_time(record.headers, DUE) for record in records), default=0.0)
            if due > self._now():
                await self._sleep(min(due - self._now(), LONGEST_WAIT_SECONDS))
        wanted = {_schema_id(record.value) for record in records} - {None}
        for schema_id in sorted(one for one in wanted if one is not None):
            if self._registry.known(schema_id) is None:
                await self._registry.fetch(schema_id)
