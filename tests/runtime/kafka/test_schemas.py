"""Packets that only name their schema: it is fetched, once for each number."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ampelstream.runtime.kafka.schemas import PatientRegistry, WireSchemas
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


@pytest.mark.parametrize("there", [True, False])
def test_what_is_read_again_waits_for_a_registry_that_is_away(
    monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """Until it gives the schema, or says that it has none."""
    told: list[str] = []
    answers = iter([False, False, False, there])
    known: set[int] = set()

    async def fetch(schema_id: int) -> bool:
        told.append("asked")
        if not (found := next(answers)):
            return False
        known.add(schema_id)
        return found

    async def sleep(_seconds: float) -> None:
        told.append("waited")

    registry: Any = SimpleNamespace(
        fetch=fetch,
        known=lambda one: {} if one in known else None,
        refused=lambda _one: len(told) == 7,
    )
    monkeypatch.setattr("ampelstream.runtime.kafka.schemas.asyncio.sleep", sleep)
    patient = PatientRegistry(registry)
    records: list[Any] = [SimpleNamespace(value=packet(7), headers=())]
    asyncio.run(WireSchemas(patient).prepare(records))
    assert told == ["asked", "waited"] * 3 + ["asked"]
    assert (patient.known(7) is not None) is there
