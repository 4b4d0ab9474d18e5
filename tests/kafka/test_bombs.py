"""Records that stand for far more than they are, on a real broker: set aside, and nothing stops."""

import asyncio
import base64
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.kafka.clients import open_producer
from ampelstream.runtime.kafka.sources import InputSpec
from ampelstream.runtime.kafka.topicsource import TopicSource
from ampelstream.simulate import simulate_notice
from tests.bombs import (
    batch_of,
    empty,
    flat_map,
    gzipped,
    noisy,
    peak_mib,
    record_of_zeros,
    zeros,
)

from .looking import answer, dead, incidents, metrics, where
from .small import EVENT, IN_REGION, Small
from .soak.packets import T0
from .workers import Running, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIMIT_MIB = 1024


@pytest.fixture
def small(broker_address: str, unique: str, tmp_path: Path) -> Small:
    return Small(broker_address, unique, tmp_path)


@contextmanager
def at_work(small: Small, log: str) -> Iterator[Running]:
    worker = small.worker(log=log)
    try:
        wait_until(lambda: answer(f"{where(worker)}/ready")[0] == 200, 60, "ready")
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


class _Raw(BatchBuilder):  # type: ignore[misc]  # (aiokafka ships no types)
    """A batch that is sent as it is."""

    def __init__(self, data: bytes, count: int) -> None:
        super().__init__(1 << 20, 0)
        self.close()
        self._buffer, self._relative_offset = data, count


async def _send(small: Small, value: bytes | None, batch: bytes | None, count: int) -> None:
    async with open_producer(small.connection, max_request_size=16 << 20) as producer:
        topic = small.names.notices
        if batch is None:
            await (await producer.send(topic, value))
        else:
            await (await producer.send_batch(_Raw(batch, count), topic, partition=0))


def send(small: Small, value: bytes) -> None:
    asyncio.run(_send(small, value, None, 1))


def notice(skymap: bytes, event_id: str = "SIM230101x") -> bytes:
    """A notice with that sky map."""
    said = json.loads(
        simulate_notice(
            event_id=event_id,
            alert_type="PRELIMINARY",
            time_created="2023-02-25T00:05:00Z",
            t0_jd=T0,
            ra=40.0,
            dec=0.0,
            width_deg=6.0,
            order=1,
        )
    )
    said["event"]["skymap"] = base64.b64encode(skymap).decode()
    return json.dumps(said).encode()


def test_three_bombs(small: Small) -> None:
    """Each is a dead letter within ten seconds, and what is behind it is handled."""
    fine = gzipped(flat_map(4096, empty, columns=["PROB"]), level=9)
    values = {
        "NSIDE = 4096": notice(fine),
        "which is not FITS": notice(gzipped(zeros(1 << 30))),
        "sky map made by hand": gzipped(zeros(1 << 30)),
    }
    batch = batch_of("zstd", record_of_zeros(800_000_000))

    def letters() -> list[DeadLetter]:
        return dead(small.address, small.names)

    with at_work(small, "bombs") as worker:
        took: dict[str, float] = {}
        for number, (name, value) in enumerate(values.items()):
            began = time.monotonic()
            send(small, value)
            wait_until(lambda number=number: len(letters()) > number, 15, name)  # type: ignore[misc]  # (a default that binds)
            took[name] = time.monotonic() - began
        began = time.monotonic()
        asyncio.run(_send(small, None, batch, 1))
        wait_until(lambda: len(letters()) > len(values), 15, "the record of 800 MB")
        took["800 MB in a record"] = time.monotonic() - began
        small.announce()
        small.feed(range(1, 21))
        wait_for_work(small.address, small.names.topology)
        peak = peak_mib(worker.process.pid)
        print(f"three bombs: {took}, peak of the worker {peak} MiB")  # noqa: T201  (what was measured)
        assert worker.stop() == 0
    assert max(took.values()) < 10
    assert peak < LIMIT_MIB
    assert len(incidents(worker, "started")) == 1
    found = {one.where.offset: one for one in letters()}
    assert sorted(found) == [0, 1, 2, 3]
    assert {one.where.source for one in found.values()} == {small.names.notices}
    assert "NSIDE = 4096; a flat map is read up to 2048" in found[0].reason
    assert "which is not FITS" in found[1].reason
    assert "is truncated or damaged (OSError: it inflates to" in found[2].reason
    assert found[3].reason == (
        f"{small.names.notices}[0]: the batch of records with offset 3 cannot be read: it inflates "
        "to more than 64 MiB. None of them is handled"
    )
    assert small.export("out.ndjson").count(b"\n") == IN_REGION


def test_the_embedded_runtime_reads_past_them_too(small: Small) -> None:
    batch = batch_of("lz4", (p for n in range(3) for p in record_of_zeros(80 << 20, n)), count=3)
    send(small, b"before")
    asyncio.run(_send(small, None, batch, 3))
    send(small, b"behind")
    source = TopicSource(small.connection, InputSpec(topics=(small.names.notices,)), "notices")
    before, bad, behind = source.read({})
    assert (before.value, behind.value) == (b"before", b"behind")
    assert (bad.where.offset, bad.read_at.offset) == (1, 3)
    assert "the batch of records with offsets 1 to 3 cannot be read" in bad.fault
    # whoever goes on behind it does not meet it again
    after = {(one.read_at.source, 0): one.read_at.offset for one in (before, bad)}
    assert [one.value for one in source.read(after)] == [b"behind"]
    source.close()


@pytest.mark.full
def test_a_map_of_three_million_tiles_is_taken_in_parts(small: Small) -> None:
    """NSIDE 512, flat, no two pixels alike: a notice of 15 MB, which announces 20 MB and more."""
    skymap = gzipped(flat_map(512, noisy(512, 40.0, 0.0, 6.0), kind="E"))
    value = notice(skymap, EVENT)
    assert 13e6 < len(value) < 16e6
    small.feed(range(1, 21))
    with at_work(small, "first") as worker:
        began = time.monotonic()
        send(small, value)
        wait_for_work(small.address, small.names.topology)
        wait_until(
            lambda: metrics(where(worker)).get("ampelstream_sweeps_pending", 1.0) == 0, 60, "swept"
        )
        took = time.monotonic() - began
        first = peak_mib(worker.process.pid)
        assert worker.stop() == 0
    assert dead(small.address, small.names) == []
    candidates = small.export("first.ndjson")
    assert candidates.count(b"\n") >= IN_REGION
    # the map comes back from the changelog, part by part
    shutil.rmtree(small.state / small.names.topology / "worker-0")
    with at_work(small, "second") as worker:
        small.feed(range(21, 41))
        wait_for_work(small.address, small.names.topology)
        second = peak_mib(worker.process.pid)
        assert worker.stop() == 0
    assert dead(small.address, small.names) == []
    assert small.export("second.ndjson") != candidates  # more detections of the same objects
    print(  # noqa: T201  (what was measured)
        f"a notice of {len(value)} bytes: {took:.1f} s, peaks {first} and {second} MiB"
    )
    assert max(first, second) < LIMIT_MIB
