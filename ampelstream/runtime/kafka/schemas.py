"""Schemas of packets that only name theirs: asked for by their number, never for each packet."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aiokafka.structs import ConsumerRecord

from ampelstream.codecs.alerts import schema_id_of
from ampelstream.runtime.kafka.sources import RegistrySpec
from ampelstream.runtime.service.log import incident
from ampelstream.sources.schemaregistry import SchemaRegistry

__all__ = ["PatientRegistry", "Registry", "WireSchemas", "open_registry"]

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 5.0


def open_registry(spec: RegistrySpec, state: Path, retry_seconds: float) -> SchemaRegistry:
    """Make the client of a registry.

    Parameters
    ----------
    spec
        What the file of sources says of it.
    state
        Directory of the state: workers of one machine share the schemas that are kept there.
    retry_seconds
        After how long it is asked again for what it did not give [s].
    """
    user = None if spec.username is None else spec.username.read(f"username for {spec.url}")
    password = None if spec.password is None else spec.password.read(f"password for {spec.url}")
    return SchemaRegistry(
        *(spec.url, state / "schemas"),
        user=user,
        password=password,
        retry_seconds=retry_seconds,
    )


class Registry(Protocol):
    """Where schemas come from."""

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema that is at hand; None where it is not."""
        ...

    async def fetch(self, schema_id: int) -> bool:
        """Get a schema; whether it is at hand now."""
        ...


class PatientRegistry:
    """A registry for alerts that are read again: who asks waits while it is away.

    New alerts go on without a schema, since they are parked. Those that are read again would count
    as rejected: their schema was known when they were new.

    Parameters
    ----------
    registry
        The registry.
    """

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema that is at hand; None where it is not."""
        return self._registry.known(schema_id)

    async def fetch(self, schema_id: int) -> bool:
        """Get a schema, as soon as the registry gives it, or says that it does not have it."""
        said = False
        while not await self._registry.fetch(schema_id):
            if self._registry.refused(schema_id):
                return False
            if not said:
                text = "the backfill waits for a schema that the registry does not give now"
                incident(_LOG, logging.WARNING, "backfill_waits", text, schema=schema_id)
                said = True
            await asyncio.sleep(_LOOK_SECONDS)
        return True


class WireSchemas:
    """Sees to it that schemas are at hand.

    The registry itself knows for how long not to be asked again for one that it does not have.

    Parameters
    ----------
    registry
        Where they come from.
    """

    def __init__(self, registry: Registry) -> None:
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
