"""Alerts per second of one worker on Kafka, as a ratio to bare cached fastavro in the same run.

    python benchmarks/kafka_speed.py [--rounds 3] [--copies 64] [--workers 2] [--profile] [--quick]

One worker with all steps, state and changelog on, offsets committed; the packets are the real ZTF
mix of ``decode.py``, repeated under other names so often that the start and the last commits do not
count: that takes 5 GB of memory. The clock runs from the first packet to the last committed offset
of all steps. Bare: ``fastavro.schemaless_reader``, schema at hand, before and after each round.
``--workers`` measures so many beside the one, in turn, and how much faster they are. ``--profile``
needs py-spy and prints where the worker's time goes.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from decode import Run, bare_reader, load_packets
from kafka_bench import (
    create_topics,
    drained,
    environment,
    peak_mib,
    processor_seconds,
    produce,
    running_broker,
    wait_ready,
    worker,
)
from replay import renamed, three_events

from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.shipped import topology_path
from ampelstream.testing.broker.broker import Broker

STEPS = ("ingest", "notices", "objects", "react")
NAMED = ("(ampelstream/core", "(ampelstream/codecs", "(ampelstream/runtime", "(aiokafka", "(faust")
"""Packages whose functions the profile names."""


@dataclass(frozen=True, slots=True)
class Passage:
    """How packets went through the workers.

    Attributes
    ----------
    seconds
        From the first packet to the last commit [s].
    mib
        Largest memory of a worker [MiB].
    worker, broker
        Processor time meanwhile, of all workers and of the broker [s].
    """

    seconds: float
    mib: float
    worker: float
    broker: float


def through_kafka(
    topology: Path,
    name: str,
    broker: Broker,
    packets: Sequence[bytes],
    directory: Path,
    *,
    workers: int,
    profile: bool,
) -> Passage:
    """Let workers read packets that wait for them."""
    names, address = TopicNames(name), broker.address
    with ExitStack() as stack:
        places = [directory.with_name(f"{directory.name}-{number}") for number in range(workers)]
        started = [
            stack.enter_context(worker(topology, address, place, "--session", "120"))
            for place in places
        ]
        for _, port in started:
            wait_ready(port)
        produce(address, [Outgoing(names.notices, None, one) for one in three_events(2458450.0)])
        asyncio.run(drained(address, name, STEPS))
        pids = [process.pid for process, _ in started]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # for less than the session: it stays in its groups
        produce(address, [Outgoing(names.alerts, None, one) for one in packets], part=300)
        before = sum(map(processor_seconds, pids)), processor_seconds(broker.pid or 0)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        spy = _spy(pids[0], directory) if profile else None
        seconds = asyncio.run(drained(address, name, STEPS))  # to the last commit that it saw
        after = sum(map(processor_seconds, pids)), processor_seconds(broker.pid or 0)
        if spy is not None:
            spy.send_signal(signal.SIGINT)
            spy.wait()
        mib = max(peak_mib(process) for process, _ in started)
        return Passage(seconds, mib, after[0] - before[0], after[1] - before[1])


def _spy(pid: int, directory: Path) -> "subprocess.Popen[bytes]":
    out = directory.parent / "profile.txt"
    command = [
        "py-spy",
        "record",
        "-p",
        str(pid),
        "-f",
        "raw",
        "-o",
        str(out),
        "-r",
        "200",
        "--gil",  # who holds the interpreter, not who waits
        "-d",
        "600",
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def hot(path: Path, count: int = 30) -> str:
    """Functions of ours and of libraries by the share of samples in them or below."""
    below: Counter[str] = Counter()
    total = 0
    for line in path.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        total += int(samples)
        frames = {frame for frame in stack.split(";") if any(one in frame for one in NAMED)}
        below.update(dict.fromkeys(frames, int(samples)))
    return "\n".join(f"{n / total:6.1%}  {frame}" for frame, n in below.most_common(count))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1, help="measured beside one worker")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one round of three copies")
    options = parser.parse_args()
    rounds, copies = (1, 3) if options.quick else (options.rounds, options.copies)
    originals, origin = load_packets()
    packets = list(renamed(originals, copies))
    bare = bare_reader(originals)
    print(f"{len(packets)} packets ({origin}), {environment()}")
    with tempfile.TemporaryDirectory() as scratch, running_broker(Path(scratch)) as broker:
        for shipped in ("kilonova", "skymap-only"):
            found: dict[int, list[Passage]] = {}
            bares = []
            for number, workers in product(range(rounds), sorted({1, options.workers})):
                name = f"{shipped}-{number}-{workers}"
                topology = Path(scratch) / f"{name}.yml"
                text = topology_path(shipped).read_text()
                topology.write_text(text.replace(f"name: {shipped}", f"name: {name}", 1))
                create_topics(topology, broker.address, 4)
                bares.append(_rate(bare, len(originals)))
                passage = through_kafka(
                    topology,
                    name,
                    broker,
                    packets,
                    Path(scratch) / name,
                    workers=workers,
                    profile=options.profile,
                )
                bares.append(_rate(bare, len(originals)))
                found.setdefault(workers, []).append(passage)
            _tell(shipped, found, len(packets), statistics.median(bares))
            if options.profile:
                print(hot(Path(scratch) / "profile.txt"))


def _tell(shipped: str, found: Mapping[int, Sequence[Passage]], count: int, bare: float) -> None:
    for workers, passages in found.items():
        rates = [count / one.seconds for one in passages]
        rate = statistics.median(rates)
        worker = statistics.median(one.worker for one in passages) / count
        broker = statistics.median(one.broker for one in passages) / count
        print(
            f"{shipped:12} {workers} worker{'s' if workers > 1 else ' '} {rate:6.0f} alerts/s   "
            f"bare fastavro {bare:6.0f}/s   ratio {rate / bare:5.2f}   us of processor time an "
            f"alert: worker {worker * 1e6:.0f}, broker {broker * 1e6:.0f}   peak "
            f"{max(one.mib for one in passages):.0f} MiB   rounds "
            + " ".join(f"{one:.0f}" for one in rates)
        )
        if workers > 1:
            pairs = zip(found[1], passages, strict=True)
            gain = statistics.median(one.seconds / several.seconds for one, several in pairs)
            print(f"{shipped:12} {workers} workers are {gain:.2f} times as fast as one")


def _rate(bare: Callable[[], Run], count: int) -> float:
    run = bare()
    began = time.perf_counter()
    run()
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
