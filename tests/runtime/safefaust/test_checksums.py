"""Checksums in hardware accept and refuse the batches that aiokafka's own accept and refuse."""

import struct
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.runtime.safefaust import checksums
from ampelstream.runtime.safefaust.checksums import Batches
from tests.bombs import batch_of, record_of_zeros

FIRST = batch_of("none", record_of_zeros(100), count=1, first=0)
SECOND = batch_of("zstd", record_of_zeros(5000), count=1, first=1)
BOTH = FIRST + SECOND


@pytest.fixture(params=[True, False], ids=["hardware", "without"])
def hardware(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(checksums, "_crc32c", None)
    return bool(request.param)


def legacy() -> bytes:
    """A batch of the format before the last."""
    builder = LegacyRecordBatchBuilder(1, 0, 1000)
    builder.append(0, timestamp=None, key=None, value=b"old")
    return bytes(builder.build())


def values(data: bytes) -> list[bytes | None]:
    batches, found = Batches(data), []
    while batches.has_next():
        found += [record.value for record in batches.next_checked()]
    return found


def test_the_processor_computes_them_here() -> None:
    assert checksums._crc32c is not None
    assert checksums._crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def test_consumers_keep_the_bytes() -> None:
    assert fetcher.MemoryRecords is Batches


@pytest.mark.usefixtures("hardware")
def test_whole_batches_pass() -> None:
    assert values(BOTH) == [bytes(100), bytes(5000)]
    assert values(BOTH[:-1]) == [bytes(100)], "one that is cut off is asked for again"
    assert values(legacy()) == [b"old"]


@pytest.mark.usefixtures("hardware")
def test_the_second_is_checked_where_it_lies() -> None:
    batches = Batches(FIRST + SECOND[:-1] + bytes([SECOND[-1] ^ 1]))
    batches.next_checked()
    with pytest.raises(CorruptRecordException, match=f"at byte {len(FIRST)}"):
        batches.next_checked()


@pytest.mark.usefixtures("hardware")
def test_an_old_batch_is_checked_too() -> None:
    data = bytearray(legacy())
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException, match="CRC"):
        Batches(bytes(data)).next_checked()


@given(at=st.integers(17, len(FIRST) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_seen_as_aiokafka_sees_it(at: int, bit: int) -> None:
    data = bytearray(FIRST)
    data[at] ^= 1 << bit
    stock: Any = Batches(bytes(data)).next_batch()
    assert not stock.validate_crc()
    with pytest.raises(CorruptRecordException):
        Batches(bytes(data)).next_checked()


@given(st.binary(max_size=2000))
def test_values_are_those_of_aiokafka(data: bytes) -> None:
    batch = bytearray(FIRST[:21] + data)
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">I", batch, 17, checksums._crc32c(data) if checksums._crc32c else 0)
    if len(batch) < 61:  # the head of a batch
        return
    assert Batches(bytes(batch)).next_batch().validate_crc()
