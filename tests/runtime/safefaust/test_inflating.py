"""Batches of Kafka records are inflated as aiokafka would, up to a bound."""

import os
from typing import Any

import numpy as np
import pytest
from aiokafka import codec
from aiokafka.record import default_records
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.runtime.safefaust import inflating
from ampelstream.runtime.safefaust.inflating import UnreadableBatch, inflated, too_much
from tests.bombs import PACKERS, batch_of, record_of_zeros, run_alone, zeros

CODECS = ("gzip", "snappy", "lz4", "zstd")
BATCHES = [default_records.DefaultRecordBatch, default_records._DefaultRecordBatchPy]


def ours(name: str) -> Any:
    return inflating._BOUNDED[f"{name}_decode"]


def stock(name: str) -> Any:
    return inflating._STOCK[f"{name}_decode"]


@pytest.mark.parametrize("name", CODECS)
@given(data=st.data())
def test_what_is_inflated_is_the_same(name: str, data: st.DataObject) -> None:
    plain = data.draw(st.binary(min_size=1, max_size=3000)) * data.draw(st.integers(1, 40))
    packed = getattr(codec, f"{name}_encode")(plain)
    inflated.size = 0
    assert ours(name)(memoryview(packed)) == ours(name)(packed) == plain == stock(name)(packed)
    assert inflated.size == 2 * len(plain)


def test_other_spellings() -> None:
    plain = bytes(range(256)) * 100
    assert ours("snappy")(codec.snappy_encode(plain, xerial_compatible=False)) == plain
    assert ours("gzip")(codec.gzip_encode(plain) * 3) == plain * 3
    assert ours("zstd")(codec.zstd_encode(plain) * 2) == plain * 2


@pytest.mark.parametrize("name", CODECS)
def test_damage_is_an_error_of_ours(name: str) -> None:
    whole = bytearray(PACKERS[name][1](iter([os.urandom(2000), bytes(5000), os.urandom(2000)])))
    dice = np.random.default_rng(5)
    said: list[str] = []
    for _ in range(300):
        damaged = bytearray(whole)
        for at in dice.integers(len(damaged), size=dice.integers(1, 4)):
            damaged[at] = dice.integers(256)
        for data in (bytes(damaged), bytes(damaged[: dice.integers(len(damaged))])):
            try:
                ours(name)(data)
            except UnreadableBatch as error:
                said.append(str(error))
    assert len(said) > 100
    assert {one.partition(" (")[0] for one in said} <= {"it is damaged", too_much().args[0]}


@pytest.mark.parametrize("name", CODECS)
def test_nothing_is_inflated_beyond_the_bound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "MAX_BATCH_BYTES", 1 << 20)
    pack = PACKERS[name][1]
    assert ours(name)(pack(iter([bytes(1 << 20)]))) == bytes(1 << 20)
    with pytest.raises(UnreadableBatch, match="it inflates to more than 1 MiB"):
        ours(name)(pack(iter([bytes(1 << 20), b"x"])))
    assert ours(name)(pack(iter([b"afterwards"]))) == b"afterwards"


def test_a_length_that_is_not_there_takes_no_memory() -> None:
    with pytest.raises(UnreadableBatch, match="inflates to more than 64 MiB"):
        ours("snappy")(b"\xff\xff\xff\xff\x0f" + bytes(20))  # says that it is 4 GiB
    with pytest.raises(UnreadableBatch, match="negative length"):
        ours("snappy")(b"\x82SNAPPY\0\0\0\0\1\0\0\0\1\xff\xff\xff\xff")


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CODECS)
def test_aiokafka_calls_ours(batch: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = batch(batch_of(name, record_of_zeros(1000)))
    assert good.validate_crc()
    assert [len(one.value) for one in good] == [1000]
    monkeypatch.setattr(inflating, "MAX_BATCH_BYTES", 1 << 20)
    with pytest.raises(UnreadableBatch):
        list(batch(batch_of(name, record_of_zeros(2 << 20))))


@pytest.mark.slow
@pytest.mark.parametrize("name", CODECS)
def test_800_mb_in_one_record(name: str) -> None:
    code = """
import time
from aiokafka.record.default_records import DefaultRecordBatch
from ampelstream.runtime.safefaust.inflating import UnreadableBatch
began = time.perf_counter()
try:
    say(f"{len(list(DefaultRecordBatch(inputs[0])))} records")
except UnreadableBatch as error:
    say(f"{error}, after {time.perf_counter() - began:.2f} s")
"""
    said, before, after = run_alone(code, batch_of(name, record_of_zeros(800_000_000)), seconds=30)
    assert "it inflates to more than 64 MiB" in said
    # the batch twice, its bound, and a window of zstd
    assert after - before < 200, said


_ROOM = """
from ampelstream.runtime.safefaust import inflating
assert len(inflating._BOUNDED["zstd_decode"](inputs[0])) == 60 << 20
with open("/proc/self/smaps") as file:
    say(str(max(int(line.split()[1]) for line in file if line.startswith("Rss:"))))
"""


def test_the_room_is_given_back() -> None:
    pack = PACKERS["zstd"][1]
    largest, _, _ = run_alone(
        _ROOM, pack(zeros(60 << 20)), seconds=60
    )  # the heap of a test is large
    assert int(largest) < 60 << 10
