"""A unit that takes a second for each object: the worker lives, commits, and serves the others."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner

from ampelstream.model.streams import KEY_SEPARATOR
from ampelstream.runtime.kafka.clients import open_consumer
from ampelstream.runtime.kafka.connection import Connection

from .looking import incidents, metrics, produce, where
from .small import Small
from .soak.packets import T0
from .test_stuck import REPOSITORY
from .workers import Running, wait_for_work, wait_until

pytestmark = [pytest.mark.slow]

STUCK, NO_COMMIT = 4, 10
"""Limits of the worker [s], which a second for each object in one batch would exceed at once."""
CANDIDATES = "ampelstream_candidates_total"
COMMIT_AGE = 'ampelstream_commit_age_seconds{step="objects"}'


def names(prefix: str, partition: int) -> Iterator[str]:
    """Names of objects that lie in one of two partitions."""
    partitioner = DefaultPartitioner()
    for number in count():
        name = f"{prefix}{number:05d}"
        if partitioner(name.encode(), [0, 1], [0, 1]) == partition:
            yield name


def alert(name: str, candid: int, days: float) -> bytes:
    """An alert of an object in the region of the event."""
    point = {"jd": T0 + days, "fid": 1, "pid": candid, "candid": candid, "isdiffpos": "t"}
    point |= {"ra": 40.0 + candid % 100 * 0.01, "dec": 0.0, "magpsf": 19.0, "sigmapsf": 0.1}
    point |= {"diffmaglim": 20.5, "rb": 0.9, "drb": 0.999, "rcid": 1, "xpos": 1.0, "ypos": 1.0}
    row = {"objectId": name, "candid": candid, "schemavsn": "3.3", "prv_candidates": []}
    return msgspec.json.encode(row | {"candidate": point | {"programid": 1}})


class Slow:
    """Slow objects in one partition, quick ones in the other, and a worker of both."""

    def __init__(self, small: Small, worker: Running, objects: int) -> None:
        self.small, self.worker = small, worker
        self.slow = [name for name, _ in zip(names("slow", 0), range(objects), strict=False)]
        self.quick = names("quick", 1)
        self.fed: list[str] = []
        self.ages: list[float] = []

    def feed(self, alerts: list[bytes]) -> None:
        produce(self.small.connection, self.small.names.alerts, alerts)

    def value(self, metric: str) -> float:
        return metrics(where(self.worker)).get(metric, 0.0)

    def go_on_until(self, candidates: int, seconds: float) -> float:
        """A quick alert each second, until the slow ones are done; gives how long that took [s]."""
        began = time.monotonic()
        while self.value(CANDIDATES) < candidates + len(self.fed):
            assert time.monotonic() < began + seconds
            assert self.worker.process.poll() is None, self.worker.log.read_text()[-3000:]
            self.fed.append(next(self.quick))
            self.feed([alert(self.fed[-1], 10**6 + len(self.fed), 1.0)])
            time.sleep(1.0)
            self.ages.append(self.value(COMMIT_AGE))
        return time.monotonic() - began

    def delays(self) -> list[float]:
        """From each quick alert to its candidate [s]."""
        name = self.small.names
        alerts = self._times(name.alerts, lambda one: msgspec.json.decode(one.value)["objectId"])
        found = self._times(name.candidates, lambda one: one.key.decode().split(KEY_SEPARATOR)[1])
        return [(found[one] - alerts[one]) / 1000 for one in self.fed]

    def _times(self, topic: str, named: Callable[[Any], str]) -> dict[str, int]:
        """When the first record of each object was written [ms]."""

        async def read() -> dict[str, int]:
            times: dict[str, int] = {}
            connection = Connection(bootstrap=(self.small.address,))
            async with open_consumer(connection, auto_offset_reset="earliest") as consumer:
                consumer.subscribe([topic])
                while records := await consumer.getmany(timeout_ms=2000):
                    for one in (one for part in records.values() for one in part):
                        times.setdefault(named(one), one.timestamp)
            return times

        return asyncio.run(read())


@pytest.mark.parametrize(
    ("unit", "processes", "objects", "again"),
    [
        pytest.param("Slow", 1, 12, 12, id="short", marks=pytest.mark.timeout(240)),
        pytest.param(
            "SlowHeavy", 4, 1000, 40, id="long", marks=[pytest.mark.full, pytest.mark.timeout(900)]
        ),
    ],
)
def test_a_second_for_each_object(
    unit: str,
    processes: int,
    objects: int,
    again: int,
    broker_address: str,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    entry = {"unit": f"tests.kafka.units:{unit}", "config": {"seconds": 1.0, "prefix": "slow"}}
    small = Small(broker_address, unique, tmp_path, units=[entry])
    limits = ["--stuck-after", str(STUCK), "--no-commit-after", str(NO_COMMIT)]
    worker = small.worker(*limits, "--pool-processes", str(processes))
    try:
        slow = Slow(small, worker, objects)
        slow.feed([alert(name, number, 1.0) for number, name in enumerate(slow.slow, 1)])
        wait_for_work(broker_address, unique)
        small.announce()
        wait_until(lambda: slow.value("ampelstream_sweeps_pending") > 0, 40, "the sweep has begun")
        swept = slow.go_on_until(objects, 2.0 * objects + 60)
        # and the same when it is an alert of each object that asks for a second
        slow.feed([alert(name, 5000 + n, 2.0) for n, name in enumerate(slow.slow[:again], 1)])
        slow.go_on_until(objects + again, 2.0 * again + 60)
        assert worker.stop() == 0
    finally:
        worker.process.kill()
        worker.process.wait()
    assert incidents(worker, "hung") == []
    delays = slow.delays()
    figures = f"swept in {swept:.1f} s; delays {delays}; commit ages {slow.ages}"
    assert swept < 1.3 * objects / processes + 10, figures
    assert statistics.median(delays) < 3, figures
    assert max(slow.ages) < 10, figures
