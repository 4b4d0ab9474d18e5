"""Packets that only name their schema: it is fetched, and those that wait are left until due."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ampelstream.runtime.kafka.headers import DUE
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


class Bench:
    def __init__(self, known: set[int], there: set[int], *, parked: bool = False) -> None:
        self.registry = Registry(known, there)
        self.slept: list[float] = []
        self.schemas = WireSchemas(
            cast("SchemaRegistry", self.registry),
            parked=parked,
            now=lambda: 1000.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def prepare(self, *records: Any) -> None:
        asyncio.run(self.schemas.prepare(records))


def packet(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + b"payload"


def kafka_record(value: bytes | None, *headers: tuple[str, bytes]) -> Any:
    return SimpleNamespace(value=value, headers=headers)


def test_each_schema_that_is_not_at_hand_is_fetched_once() -> None:
    bench = Bench({1}, {2})
    values = [packet(2), packet(1), packet(3), packet(2), None, b"", b"\x00\x00", b"Obj\x01..."]
    bench.prepare(*map(kafka_record, values))
    assert bench.registry.asked == [2, 3]


@pytest.mark.parametrize(
    ("due", "slept"),
    [(b"1010.0", [10.0]), (b"990.0", []), (b"9999999", [600.0]), (b"soon", [])],
)
def test_parked_records_wait_until_they_are_due_but_not_longer_than_once(
    due: bytes, slept: list[float]
) -> None:
    bench = Bench(set(), set(), parked=True)
    bench.prepare(kafka_record(packet(7), (DUE, due)), kafka_record(packet(8)))
    assert bench.slept == slept
    assert bench.registry.asked == [7, 8]


def test_a_header_of_strangers_holds_up_nothing() -> None:
    bench = Bench(set(), set())
    bench.prepare(kafka_record(packet(7), (DUE, b"9999999")))
    assert bench.slept == []
