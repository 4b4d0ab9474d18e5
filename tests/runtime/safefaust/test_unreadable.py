"""A batch that cannot be inflated is one record with a fault, and nothing else is lost."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.runtime.safefaust import inflating, unreadable
from ampelstream.runtime.safefaust.checksums import Batches
from ampelstream.runtime.safefaust.inbox import Chunk
from ampelstream.runtime.safefaust.inflating import UnreadableBatch
from ampelstream.runtime.safefaust.unreadable import (
    UnreadableRecord,
    fault_of,
    set_aside,
)
from tests.bombs import batch_of, record_of_zeros

SMALL, BOUND, BOMB = 100, 5000, 20_000


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "MAX_BATCH_BYTES", BOUND)
    monkeypatch.setattr(unreadable, "MAX_FETCH_BYTES", BOUND)


class Log:
    """A partition as a broker keeps it, and a fetcher of aiokafka that reads it.

    Parameters
    ----------
    batches
        Packing, number of records, and size of their values.
    """

    def __init__(self, name: str, batches: Sequence[tuple[str, int, int]]) -> None:
        self.place = TopicPartition(name, 3)
        self.position = 0
        self.ends: list[int] = []
        self.batches: list[bytes] = []
        self.sizes: list[int] = []
        for packing, count, size in batches:
            first = self.end
            records = (piece for number in range(count) for piece in record_of_zeros(size, number))
            self.batches.append(batch_of(packing, records, count=count, first=first))
            self.ends.append(first + count)
            self.sizes += [size] * count
        self.paused = False

    @property
    def end(self) -> int:
        return self.ends[-1] if self.ends else 0

    def consumed_to(self, position: int) -> None:
        self.position = position

    def answer(self) -> bytes:
        """What a broker sends: whole batches, from the one that holds the position on."""
        return b"".join(
            data for end, data in zip(self.ends, self.batches, strict=True) if end > self.position
        )


class Reader:
    """A consumer of these logs; its fetcher's own task is replaced by `request`."""

    def __init__(self, *logs: Log) -> None:
        self.logs = {log.place: log for log in logs}
        fetcher: Any = Fetcher.__new__(Fetcher)
        fetcher._records = {}
        fetcher._subscriptions = SimpleNamespace(reassignment_in_progress=False)
        fetcher._closed = False
        fetcher._wait_consume_future = None
        fetcher._fetch_waiters = set()
        self.fetcher = self._fetcher = fetcher
        self.assignment = SimpleNamespace(active=True, state_value=self.logs.get)

    def request(self) -> None:
        for place, log in self.logs.items():
            if place in self.fetcher._records or log.position == log.end:
                continue
            records = PartitionRecords(
                place,
                MemoryRecords(log.answer()),
                [],
                log.position,
                None,
                None,
                check_crcs=True,
                isolation_level=1,
            )
            self.fetcher._records[place] = FetchResult(
                place, assignment=self.assignment, partition_records=records, backoff=0
            )

    async def _take(self, most: int) -> dict[TopicPartition, list[Any]]:
        found: dict[TopicPartition, list[Any]] = await self.fetcher.fetched_records(
            None, 0, max_records=most
        )
        return found

    def read(self, most: int = 500) -> list[Any]:
        """All records, in the order in which they came; no fetch without progress."""
        found: list[Any] = []
        while any(log.position < log.end for log in self.logs.values()):
            self.request()
            taken = asyncio.run(self._take(most))
            assert taken
            for place, records in taken.items():
                chunk: Any = Chunk(place, records)
                assert chunk.behind == self.logs[place].position
                found += records
        return found


def spans(records: Sequence[Any], name: str) -> list[int]:
    """Offsets of a topic, each that was named."""
    chosen = [one for one in records if one.topic == name]
    return Chunk(TopicPartition(name, 3), chosen).offsets


def test_stock_aiokafka_stays_before_it_and_loses_what_it_took_of_others() -> None:
    stock = Reader(Log("good", [("zstd", 2, SMALL)]), Log("source", [("zstd", 3, BOMB)]))
    failed = 0
    for _ in range(10):
        stock.request()
        try:
            assert asyncio.run(stock._take(500)) == {}
        except UnreadableBatch:
            failed += 1
    assert failed >= 3
    assert {log.place.topic: log.position for log in stock.logs.values()} == {
        "good": 2,  # and these two records were given to nobody
        "source": 0,
    }


def test_such_a_batch_is_one_record() -> None:
    batches = [("zstd", 2, SMALL), ("zstd", 3, BOMB), ("none", 2, SMALL)]
    reader = Reader(Log("source", batches))
    set_aside(reader)
    records = reader.read()
    assert [type(one).__name__ for one in records] == [
        *["ConsumerRecord"] * 2,
        "UnreadableRecord",
        *["ConsumerRecord"] * 2,
    ]
    bad = records[2]
    assert isinstance(bad, UnreadableRecord)
    assert (bad.topic, bad.partition, bad.offset, bad.last_offset) == ("source", 3, 2, 4)
    assert (bad.key, bad.value, bad.headers) == (None, None, ())
    assert fault_of(bad) == (
        "source[3]: the batch of records with offsets 2 to 4 cannot be read: it inflates to more "
        "than 0 MiB. None of them is handled"
    )
    assert fault_of(records[0]) == ""
    assert spans(records, "source") == list(range(7))


def test_what_waited_before_is_read_that_way_too() -> None:
    reader = Reader(Log("source", [("gzip", 1, BOMB)]))
    reader.request()
    set_aside(reader)
    [record] = reader.read()
    assert "records with offset 0 cannot" in fault_of(record)


def test_reading_from_within_a_bad_batch_names_the_rest_of_it() -> None:
    log = Log("source", [("lz4", 5, BOMB)])
    log.position = 3
    reader = Reader(log)
    set_aside(reader)
    [record] = reader.read()
    assert (record.offset, record.last_offset) == (3, 4)


kinds = st.tuples(
    st.sampled_from(["none", "gzip", "snappy", "lz4", "zstd"]),
    st.integers(1, 4),
    st.sampled_from([0, SMALL, BOUND // 4, BOMB]),
)


@settings(deadline=None)
@given(st.lists(kinds, max_size=6), st.lists(kinds, max_size=6), st.integers(1, 9))
def test_every_offset_is_given_once_and_in_order(
    first: list[tuple[str, int, int]], second: list[tuple[str, int, int]], most: int
) -> None:
    logs = Log("a", first), Log("b", second)
    reader = Reader(*logs)
    set_aside(reader)
    records = reader.read(most)
    for log in logs:
        name = log.place.topic
        if log.end:
            assert spans(records, name) == list(range(log.end))
        for record in records:
            if record.topic == name and not fault_of(record):
                assert record.value == bytes(log.sizes[record.offset])
            elif record.topic == name:
                size = sum(log.sizes[record.offset : record.last_offset + 1])
                assert size + 20 * 4 > BOUND


def test_what_one_fetch_inflates_is_bounded() -> None:
    logs = [Log(name, [("zstd", 1, BOUND // 2)] * 10) for name in "abcdef"]
    reader = Reader(*logs)
    set_aside(reader)
    most = 0
    while any(log.position < log.end for log in logs):
        reader.request()
        taken = asyncio.run(reader._take(500))
        most = max(most, sum(len(one.value) for records in taken.values() for one in records))
    assert most <= 2 * BOUND


def test_what_was_fetched_is_freed_without_the_collector() -> None:
    plain = PartitionRecords(
        tp=TopicPartition("freed", 0),
        records=Batches(batch_of("none", record_of_zeros(SMALL), count=1, first=0)),
        aborted_transactions=None,
        fetch_offset=0,
        key_deserializer=None,
        value_deserializer=None,
        check_crcs=True,
        isolation_level=0,
    )
    batches = weakref.ref(plain._records)
    inflating.inflated.size = 0
    gc.disable()
    try:
        records = unreadable._Records(plain)
        assert [record.offset for record in records] == [0]
        assert batches() is not None
        del plain, records
        assert batches() is None
    finally:
        gc.enable()


def test_a_wrong_checksum_is_an_error_as_in_stock() -> None:
    log = Log("wrong", [("none", 1, SMALL)])
    log.batches[0] = log.batches[0][:-1] + bytes([log.batches[0][-1] ^ 1])
    reader = Reader(log)
    set_aside(reader)
    reader.request()
    with pytest.raises(CorruptRecordException, match="CRC"):
        asyncio.run(reader._take(10))
