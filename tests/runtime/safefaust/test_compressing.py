"""Batches of the outbox are compressed quickly, and read by everybody."""

import random

import pytest
from aiokafka.codec import lz4_encode
from aiokafka.record import default_records
from aiokafka.record.memory_records import MemoryRecords

from ampelstream.runtime.safefaust.compressing import LEVEL, compress_quickly

WORDS = [b"%d" % n for n in range(300)]


def built(builder: type, values: list[bytes]) -> bytes:
    batch = builder(2, 3, 0, -1, -1, -1, 1 << 20)
    for offset, value in enumerate(values):
        batch.append(offset, timestamp=1, key=None, value=value, headers=[])
    return bytes(batch.build())


@pytest.mark.parametrize("name", ["DefaultRecordBatchBuilder", "_DefaultRecordBatchBuilderPy"])
def test_it_is_used_where_batches_are_built(name: str) -> None:
    compress_quickly()
    dice = random.Random(1)  # noqa: S311  (a reproducible test, not a secret)
    values = [b" ".join(dice.choices(WORDS, k=400)) for _ in range(50)]
    batch = built(getattr(default_records, name), values)
    found = MemoryRecords(batch).next_batch()
    assert [one.value for one in found] == values
    whole = b"".join(values)
    quick, small = (len(lz4_encode(whole, level=level)) for level in (LEVEL, 9))
    assert quick > 1.1 * small
    assert abs(len(batch) - quick) < abs(len(batch) - small)
