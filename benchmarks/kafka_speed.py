"""Alerts per second of one worker on Kafka, as a ratio to bare cached fastavro in the same run.

    python benchmarks/kafka_speed.py [--rounds 3] [--copies 6] [--profile]

One worker with all steps, state and changelog on, offsets committed; the packets are the real ZTF
mix of ``decode.py``, repeated under other names. The clock runs from the first packet to the last
committed offset of all steps. Bare: ``fastavro.schemaless_reader``, schema at hand, before and
after each round. ``--profile`` needs py-spy and prints where the worker's time goes.
"""

import argparse
import asyncio
import io
import json
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fastavro
from decode import Run, bare_reader, load_packets
from kafka_bench import (
    broker_in,
    create_topics,
    drained,
    environment,
    peak_mib,
    produce,
    wait_ready,
    worker,
)
from replay import three_events

from ampelstream.codecs.avro.container import metadata, read_header
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.shipped import topology_path

STEPS = ("ingest", "notices", "objects", "react")
NAMED = ("(ampelstream/core", "(ampelstream/codecs", "(ampelstream/runtime", "(aiokafka", "(faust")
"""Packages whose functions the profile names."""
COPY = 1_000_000_000_000_000_000


def renamed(packets: Sequence[bytes], copies: int) -> Iterator[bytes]:
    """The packets under other object names and identifiers, with their own schemas."""
    parsed = {}
    for copy in range(copies):
        for packet in packets:
            header = read_header(packet)
            if header.key not in parsed:
                schema = json.loads(metadata(header.key)["avro.schema"])
                parsed[header.key] = fastavro.parse_schema(schema)
            record: Any = next(iter(fastavro.reader(io.BytesIO(packet))))
            record["objectId"] = f"{record['objectId']}x{copy}"
            record["candid"] += copy * COPY
            record["candidate"]["candid"] = record["candid"]
            out = io.BytesIO()
            fastavro.writer(out, parsed[header.key], [record])
            yield out.getvalue()


def through_kafka(
    topology: Path,
    name: str,
    address: str,
    packets: Sequence[bytes],
    directory: Path,
    *,
    profile: bool,
) -> tuple[float, float]:
    """Seconds from the first packet to the last commit, and the worker's memory [MiB]."""
    names = TopicNames(name)
    with worker(topology, address, directory) as (process, port):
        wait_ready(port)
        produce(address, [Outgoing(names.notices, None, one) for one in three_events(2458450.0)])
        asyncio.run(drained(address, name, STEPS))
        process.send_signal(signal.SIGSTOP)  # shorter than the session: it stays in its groups
        produce(address, [Outgoing(names.alerts, None, one) for one in packets], part=300)
        process.send_signal(signal.SIGCONT)
        began = time.perf_counter()
        spy = _spy(process.pid, directory) if profile else None
        asyncio.run(drained(address, name, STEPS))
        seconds = time.perf_counter() - began
        if spy is not None:
            spy.send_signal(signal.SIGINT)
            spy.wait()
        return seconds, peak_mib(process)


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
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    originals, origin = load_packets()
    packets = list(renamed(originals, options.copies))
    bare = bare_reader(originals)
    print(f"{len(packets)} packets ({origin}), {environment()}")
    with tempfile.TemporaryDirectory() as scratch, broker_in(Path(scratch)) as address:
        for shipped in ("kilonova", "skymap-only"):
            rates, bares, memory = [], [], 0.0
            for number in range(options.rounds):
                name = f"{shipped}-{number}"
                topology = Path(scratch) / f"{name}.yml"
                text = topology_path(shipped).read_text()
                topology.write_text(text.replace(f"name: {shipped}", f"name: {name}", 1))
                create_topics(topology, address, 4)
                bares.append(_rate(bare, len(originals)))
                seconds, mib = through_kafka(
                    topology,
                    name,
                    address,
                    packets,
                    Path(scratch) / name,
                    profile=options.profile,
                )
                bares.append(_rate(bare, len(originals)))
                rates.append(len(packets) / seconds)
                memory = max(memory, mib)
            rate, reference = statistics.median(rates), statistics.median(bares)
            print(
                f"{shipped:12} {rate:8.0f} alerts/s   bare fastavro {reference:6.0f}/s   "
                f"ratio {rate / reference:5.2f}   peak {memory:.0f} MiB   rounds "
                + " ".join(f"{one:.0f}" for one in rates)
            )
            if options.profile:
                print(hot(Path(scratch) / "profile.txt"))


def _rate(bare: Callable[[], Run], count: int) -> float:
    run = bare()
    began = time.perf_counter()
    run()
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
