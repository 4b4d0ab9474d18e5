"""Packets whose schema is not known: parked, tried again when due, let through when it is."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.kafka.headers import decode_origin
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.schemas import DUE, SINCE, WireSchemas
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.sources.schemaregistry import SchemaRegistry

NAMES = TopicNames("t")
WHERE = Coordinates("lsst-alerts", 2, 40)


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
    def __init__(self, *, known: set[int] | None = None, there: set[int] | None = None) -> None:
        self.registry = Registry(known or set(), there or set())
        self.metrics, self.slept = Metrics(), cast("list[float]", [])
        self.schemas = WireSchemas(
            cast("SchemaRegistry", self.registry),
            self.metrics,
            retry_seconds=60.0,
            now=lambda: 1000.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def prepare(self, *records: Any) -> None:
        asyncio.run(self.schemas.prepare(records))

    def parked_gauge(self) -> float:
        line = next(
            one
            for one in self.metrics.render().splitlines()
            if one.startswith(b"ampelstream_parked")
        )
        return float(line.split()[-1])


def packet(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + b"payload"


def source(value: Any, where: Coordinates = WHERE) -> SourceRecord:
    return SourceRecord(where, "alerts", value, "member")


def kafka_record(value: bytes | None, *headers: tuple[str, bytes]) -> Any:
    return SimpleNamespace(value=value, headers=headers)


def test_unknown_schema_is_parked_with_its_origin_and_when_it_is_due() -> None:
    bench = Bench()
    out = bench.schemas.parked(source(packet(7)), NAMES, kafka_record(packet(7)))
    assert out is not None
    assert (out.topic, out.value) == (NAMES.parked, packet(7))
    assert dict(out.headers)[DUE] == b"1060.0"
    assert decode_origin(out.headers) == (WHERE, "member")
    assert bench.parked_gauge() == 1


def test_parked_again_counts_once_and_known_at_last_not_at_all() -> None:
    bench = Bench(there={7})
    for _ in range(2):
        assert bench.schemas.parked(source(packet(7)), NAMES, kafka_record(packet(7))) is not None
    assert bench.parked_gauge() == 1
    bench.prepare(kafka_record(packet(7)))
    assert bench.schemas.parked(source(packet(7)), NAMES, kafka_record(packet(7))) is None
    assert bench.parked_gauge() == 0


@pytest.mark.parametrize("value", [b"", b"\x00\x00", b"Obj\x01...", {"row": 1}])
def test_what_names_no_schema_is_not_parked(value: Any) -> None:
    assert Bench().schemas.parked(source(value), NAMES, kafka_record(None)) is None


def test_without_a_registry_nothing_is_parked_nor_waited_for() -> None:
    schemas = WireSchemas(None, Metrics(), sleep=Bench()._sleep)
    asyncio.run(schemas.prepare([kafka_record(packet(7), (DUE, b"1e12"))]))
    assert schemas.parked(source(packet(7)), NAMES, kafka_record(packet(7))) is None


def test_each_schema_that_is_not_at_hand_is_fetched_once() -> None:
    bench = Bench(known={1}, there={2})
    bench.prepare(*[kafka_record(packet(one)) for one in (2, 1, 3, 2)], kafka_record(None))
    assert bench.registry.asked == [2, 3]


@pytest.mark.parametrize(
    ("due", "slept"),
    [(b"1010.0", [10.0]), (b"990.0", []), (b"9999999", [600.0]), (b"soon", [])],
)
def test_waits_until_records_are_due_but_not_longer_than_once(
    due: bytes, slept: list[float]
) -> None:
    bench = Bench()
    bench.prepare(kafka_record(packet(7), (DUE, due)), kafka_record(packet(8)))
    assert bench.slept == slept


def test_each_time_it_is_left_alone_for_longer_and_not_for_ever() -> None:
    bench = Bench()

    def due(since: float) -> bytes | None:
        message = kafka_record(packet(7), (SINCE, str(since).encode()))
        out = bench.schemas.parked(source(packet(7)), NAMES, message)
        return None if out is None else dict(out.headers)[DUE]

    assert due(1000.0 - 10.0) == b"1060.0"
    assert due(1000.0 - 500.0) == b"1500.0"
    assert due(1000.0 - 5 * 86_400.0) == b"1600.0"
    assert due(1000.0 - 91 * 86_400.0) is None
