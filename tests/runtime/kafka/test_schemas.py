"""Packets that only name their schema: it is fetched, once for each number."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.sources.schemaregistry import SchemaRegistry


class Registry:
    """Knows some schemas, and learns others when asked."""

    def __init__(self, known: set[int], there: set[int]) -> None:
        self._known, self._there = known, there
        self.asked: list[int] = []

    def known(self, schema_id: int) -> dict[str, str] | None:
        return {"type": "record"} if schema_id in self._known else None

    async def fetch(self, schema_id: int) -> bool:
        self.asked.append(schema_id)
        self._known |= self._there & {schema_id}
        return schema_id in self._known


def wire(registry: Registry) -> WireSchemas:
    return WireSchemas(cast("SchemaRegistry", registry))


def packet(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + b"payload"


def test_each_schema_that_is_not_at_hand_is_fetched_once() -> None:
    registry = Registry({1}, {2})
    values = [packet(2), packet(1), packet(3), packet(2), None, b"", b"\x00\x00", b"Obj\x01..."]
    records: list[Any] = [SimpleNamespace(value=value, headers=()) for value in values]
    asyncio.run(wire(registry).prepare(records))
    assert registry.asked == [2, 3]


def test_what_is_waited_for_is_asked_for_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(set(), {8})
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("ampelstream.runtime.kafka.schemas.asyncio.sleep", sleep)

    def wanted() -> Iterable[int]:
        return [8, 7]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(wire(registry).watch(wanted, retry_seconds=60.0))
    assert registry.asked == [7, 8, 7, 7]  # for how long not to, the registry itself knows
    assert slept == [5.0, 5.0, 5.0]
