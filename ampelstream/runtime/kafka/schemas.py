"""Schemas of packets that only name theirs: asked for by their number, never for each packet."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from aiokafka.structs import ConsumerRecord

from ampelstream.codecs.alerts import schema_id_of
from ampelstream.sources.schemaregistry import SchemaRegistry

__all__ = ["WireSchemas"]

_LOOK_SECONDS = 5.0


class WireSchemas:
    """Sees to it that schemas are at hand.

    The registry itself knows for how long not to be asked again for one that it does not have.

    Parameters
    ----------
    registry
        Where they come from.
    """

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Fetch the schemas of a batch that are not at hand."""
        await self._fetch(schema_id_of(record.value) for record in records)

    async def watch(self, wanted: Callable[[], Iterable[int]], retry_seconds: float) -> None:
        """Fetch schemas that are waited for, as soon as the registry has them; without end.

        Parameters
        ----------
        wanted
            Gives their numbers.
        retry_seconds
            After how long the registry is asked again at first [s].
        """
        while True:
            await self._fetch(wanted())
            await asyncio.sleep(min(_LOOK_SECONDS, retry_seconds))

    async def _fetch(self, schema_ids: Iterable[int | None]) -> None:
        for schema_id in sorted({one for one in schema_ids if one is not None}):
            if self._registry.known(schema_id) is None:
                await self._registry.fetch(schema_id)
