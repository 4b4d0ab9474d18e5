"""Restoring a large state, and a new sky map against it, on Kafka.

    python benchmarks/kafka_state.py [--objects 200000] [--stored 100000]

Restore: a worker with an empty disk reads the changelog of so many objects (ten datapoints each);
time until it is ready, objects per second, and the largest memory of the process. Sweep: with
``--stored`` objects, evenly over the sky, a notice arrives; time until the last of its candidates
is acknowledged, and how long alerts take meanwhile (from produced to merged and committed).
"""

import argparse
import asyncio
import itertools
import math
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from kafka_bench import (
    broker_in,
    create_topics,
    drained,
    environment,
    peak_mib,
    processor_seconds,
    produce,
    wait_ready,
    worker,
)

from ampelstream.codecs import own
from ampelstream.core.events import CELL_BITS
from ampelstream.core.objectstore import merge_detection
from ampelstream.core.state import encode, keys
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.lightcurve import Datapoint
from ampelstream.runtime.kafka.names import OBJECTS, TopicNames
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.shipped import topology_path
from ampelstream.simulate import simulate_notice
from ampelstream.sky.healpix import pixel29

PARTITIONS = 4
T0 = 2_460_300.0
POINTS = 10
WINDOW_DAYS = 5.0
partition_of = DefaultPartitioner()


def detection(number: int, rng: random.Random) -> Detection:
    """An object somewhere on the sky, with ten datapoints of the last days."""
    ra, dec = rng.uniform(0, 360), math.degrees(math.asin(rng.uniform(-1, 1)))
    last = T0 + rng.uniform(0, WINDOW_DAYS)
    points = tuple(
        Datapoint(
            id=number * 100 + k,
            jd=last - k * 0.4,
            fid=1 + k % 2,
            mag=19.0 + 0.1 * k,
            magerr=0.1,
            limmag=20.5,
            ra=ra,
            dec=dec,
            positive=True,
            rb=0.9,
            own=k == 0,
        )
        for k in range(POINTS)
    )
    where = Coordinates("benchmark", 0, number)
    name = f"ZTF24{number:07d}"
    return Detection(name, "ztf", number * 100, last, ra, dec, ("sky",), where, points)


def stored(one: Detection) -> dict[bytes, bytes]:
    """What the state holds of an object that was seen once."""
    state, _ = merge_detection(None, one)
    state.pixel = pixel29(one.ra, one.dec)
    cell = state.pixel >> CELL_BITS
    return {
        keys.cell(cell, one.object_id): keys.span(one.jd, one.jd),
        keys.day(math.floor(one.jd), one.object_id): b"",
        keys.object(one.object_id): encode(state),
    }


def changelog(names: TopicNames, count: int) -> Iterator[Outgoing]:
    """The records that a worker would have written for so many objects."""
    rng = random.Random(1)  # noqa: S311  (made-up objects, not a secret)
    every = list(range(PARTITIONS))
    topic = names.changelog(OBJECTS)
    for number in range(count):
        one = detection(number, rng)
        partition = partition_of(one.object_id.encode(), every, every)
        for key, value in stored(one).items():
            yield Outgoing(topic, key, value, partition)


def topology_in(scratch: Path, name: str) -> Path:
    """``skymap-only`` under another name."""
    path = scratch / f"{name}.yml"
    text = topology_path("skymap-only").read_text()
    path.write_text(text.replace("name: skymap-only", f"name: {name}", 1))
    return path


def restore(scratch: Path, address: str, count: int) -> None:
    """Measure the restore."""
    topology = topology_in(scratch, "restore")
    create_topics(topology, address, PARTITIONS)
    produce(address, changelog(TopicNames("restore"), count))
    with worker(topology, address, scratch / "warm", steps="react") as (_, port):
        started = wait_ready(port)  # what a worker takes that has nothing to restore
    with worker(topology, address, scratch / "restored", steps="objects") as (process, port):
        seconds = wait_ready(port)
        memory = peak_mib(process)
        disk = sum(one.stat().st_size for one in (scratch / "restored").rglob("*") if one.is_file())
    print(
        f"restore: {count} objects ({3 * count} records): ready after {seconds:.1f} s, where a "
        f"worker without state takes {started:.1f} s; {count / seconds:.0f} objects/s over the "
        f"whole start; peak memory {memory:.0f} MiB, on disk {disk / 2**20:.0f} MiB"
    )


class Alerts(threading.Thread):
    """Produces a detection again and again, and notes how long it takes to be done."""

    def __init__(self, address: str, names: TopicNames, done: threading.Event) -> None:
        super().__init__()
        self.address, self.names, self.done = address, names, done
        self.latencies: list[float] = []

    def run(self) -> None:
        """Until stopped."""
        rng = random.Random(2)  # noqa: S311  (made-up objects, not a secret)
        for number in itertools.count(5_000_000):
            if self.done.is_set():
                return
            one = detection(number, rng)
            began = time.perf_counter()
            produce(
                self.address,
                [
                    Outgoing(
                        self.names.detections, one.object_id.encode(), own.encode_detection(one)
                    )
                ],
            )
            asyncio.run(drained(self.address, self.names.topology, ["objects"]))
            self.latencies.append(time.perf_counter() - began)


def sweep(scratch: Path, address: str, count: int, width_deg: float) -> None:
    """Measure a new sky map."""
    name = f"sweep-{width_deg:g}"
    names = TopicNames(name)
    topology = topology_in(scratch, name)
    create_topics(topology, address, PARTITIONS)
    produce(address, changelog(names, count))
    with worker(topology, address, scratch / name) as (process, port):
        wait_ready(port)
        asyncio.run(drained(address, name, ["ingest"]))
        done = threading.Event()
        alerts = Alerts(address, names, done)
        alerts.start()
        time.sleep(4.0)
        quiet = len(alerts.latencies)
        notice = simulate_notice(
            event_id="SIM240101a",
            alert_type="PRELIMINARY",
            time_created="2023-12-20T00:00:00Z",
            t0_jd=T0,
            ra=150.0,
            dec=20.0,
            width_deg=width_deg,
            order=7,
        )
        began, used = time.perf_counter(), processor_seconds(process.pid)
        produce(address, [Outgoing(names.notices, None, notice)])
        found, last = asyncio.run(_candidates(address, names, began))
        used = processor_seconds(process.pid) - used
        done.set()
        alerts.join()
    before, during = alerts.latencies[:quiet], alerts.latencies[quiet:]
    print(
        f"sweep: {count} objects stored, map of {width_deg:g} deg: {found} candidates, the last "
        f"after {last:.2f} s, CPU of the worker {used:.2f} s until 5 s of quiet; one alert from "
        f"produced to committed: median "
        f"{statistics.median(before):.2f} s before, {statistics.median(during):.2f} s during "
        f"(worst {max(during):.2f} s)"
    )


async def _candidates(address: str, names: TopicNames, began: float) -> tuple[int, float]:
    """Distinct candidates of the event, and when the last came; until none has come for 5 s."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(names.candidates, n) for n in range(PARTITIONS)])
    found: set[bytes] = set()
    last = 0.0
    quiet_since = time.perf_counter()
    while time.perf_counter() - quiet_since < 5.0:  # noqa: PLR2004  (see above)
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                candidate = own.decode_candidate(record.value or b"")
                number = int(msgspec.to_builtins(candidate)["object_id"].removeprefix("ZTF24"))
                if number < 5_000_000:  # noqa: PLR2004  (stored before the event came)
                    found.add(record.key or b"")
                    last = time.perf_counter() - began
                    quiet_since = time.perf_counter()
    await consumer.stop()
    return len(found), last


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="a tenth of the objects")
    options = parser.parse_args()
    if options.quick:
        options.objects, options.stored = options.objects // 10, options.stored // 10
    print(environment())
    with tempfile.TemporaryDirectory() as scratch, broker_in(Path(scratch)) as address:
        if options.objects:
            restore(Path(scratch), address, options.objects)
        for width in (5.0, 10.0, 20.0):
            if options.stored:
                sweep(Path(scratch), address, options.stored, width)


if __name__ == "__main__":
    main()
