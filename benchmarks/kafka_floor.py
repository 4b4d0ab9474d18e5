"""What each part of reading a record takes, before anything looks into it.

    python benchmarks/kafka_floor.py [--rounds 3] [--quick]

66 KB ZTF packets and 139 KB Rubin messages, one record a batch as telescopes send them, from a
broker of its own. The first table is of whole processes, run in turn (``floor_child.py``): a plain
blocking socket, aiokafka's connection, its consumer, ours, and the ingest of a worker with a
processor that does nothing; with memory kept (``runtime/service/allocator.py``) and without, and on
uvloop where that is installed. The second is of single parts, on bytes in memory. All numbers are
processor time of the reader for each message [us], medians; the broker's is not in them.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from decode import load_packets, load_wire
from floor_child import PARTITIONS
from kafka_bench import broker_in, environment

from ampelstream.runtime.safefaust import inflating  # and aiokafka inflates with a bound
from ampelstream.runtime.safefaust.checksums import Batches

CHILD = Path(__file__).with_name("floor_child.py")
MEGABYTES = 280
"""Of each topic: some seconds of reading, and all of it in the system's cache."""
CODECS = {"none": 0, "lz4": 3, "zstd": 4}
"""Names, and numbers in the attributes of a batch."""
STOCK = ("blocking", "connection", "consumer-unchecked", "consumer", "consumer-ours", "ingest")
SAYS = {
    "blocking": "blocking socket, one buffer",
    "connection": "aiokafka's connection, responses decoded",
    "consumer-unchecked": "its consumer, checksums off",
    "consumer": "its consumer",
    "consumer-ours": "its consumer with our parts",
    "ingest": "ingest of a worker, nothing decoded",
}


async def fill(address: str, topics: Mapping[str, tuple[str, Sequence[bytes]]], size: int) -> None:
    """Make the topics, and fill each with so much [byte], a batch for each record."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in topics])
    await admin.close()
    for name, (codec, packets) in topics.items():
        producer = AIOKafkaProducer(
            bootstrap_servers=address,
            compression_type=None if codec == "none" else codec,
            max_request_size=16 << 20,
        )
        await producer.start()
        for begin in range(0, count_of(packets, size), 200):
            numbers = range(begin, min(begin + 200, count_of(packets, size)))
            sent = [
                await producer.send(
                    name, packets[number % len(packets)], partition=number % PARTITIONS
                )
                for number in numbers
            ]
            await asyncio.gather(*sent)
        await producer.stop()


def count_of(packets: Sequence[bytes], size: int) -> int:
    """How many of them make so much [byte]."""
    return size * len(packets) // sum(map(len, packets))


def child(kind: str, address: str, topic: str, count: int, *how: str) -> dict[str, float]:
    """Let one process read."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, str(CHILD), kind, address, topic, str(count), *how]
    done = subprocess.run(
        command, env=plain, check=True, capture_output=True, text=True, timeout=120
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def median(found: Sequence[dict[str, float]], what: str) -> float:
    """Of what several processes said."""
    return statistics.median(one[what] for one in found)


def whole(
    address: str, topics: Sequence[tuple[str, int]], rounds: int
) -> dict[str, dict[tuple[str, str], list[dict[str, float]]]]:
    """Each way of reading each topic, in turn; by topic, then by way and how."""
    hows = ["", "--keeps"] + (["--keeps --uvloop"] if find_spec("uvloop") else [])
    found: dict[str, dict[tuple[str, str], list[dict[str, float]]]] = {}
    for number in range(rounds):
        for topic, count in topics:
            for kind in STOCK:
                for how in hows:
                    if "uvloop" in how and kind not in {"connection", "consumer"}:
                        continue
                    ways = found.setdefault(topic, {}).setdefault((kind, how), [])
                    ways.append(child(kind, address, topic, count, *how.split()))
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def batch_of(packet: bytes, codec: int) -> bytes:
    """One record as a batch."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 24,
    )
    builder.append(0, timestamp=None, key=None, value=packet, headers=[])
    return bytes(builder.build())


def parsed(data: bytes) -> None:
    """Make records of batches, without their checksums."""
    batches = MemoryRecords(data)
    while batches.has_next():
        for record in batches.next_batch():
            _ = record.value


def checked(data: bytes) -> None:
    """Look at the checksums with aiokafka's extension."""
    batches = MemoryRecords(data)
    while batches.has_next():
        batches.next_batch().validate_crc()


def checked_quickly(data: bytes) -> None:
    """Look at the checksums in hardware."""
    batches = Batches(data)
    while batches.has_next():
        batches.next_checked()


def each(work: Callable[[bytes], Any], data: Sequence[bytes], rounds: int) -> float:
    """Processor time of one of them, median of rounds [us]."""
    times = []
    for _ in range(rounds + 1):  # the first makes things warm
        began = time.process_time()
        for one in data:
            inflating.inflated.size = 0
            work(one)
        times.append((time.process_time() - began) / len(data) * 1e6)
    return statistics.median(times[1:])


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a quarter of it")
    options = parser.parse_args()
    rounds, size = (1, MEGABYTES << 18) if options.quick else (options.rounds, MEGABYTES << 20)
    ztf, where = load_packets()
    wire, _ = load_wire()
    kinds = {"ztf": ztf} | ({"rubin": [max(wire, key=len)]} if wire else {})
    topics = {f"{name}-{codec}": (codec, some) for name, some in kinds.items() for codec in CODECS}
    sizes = ", ".join(f"{n} {sum(map(len, p)) / len(p) / 1000:.0f} KB" for n, p in kinds.items())
    print(f"{environment()}; {where}; {sizes}\n")
    with tempfile.TemporaryDirectory() as directory, broker_in(Path(directory)) as address:
        asyncio.run(fill(address, topics, size))
        plain = [(f"{name}-none", count_of(some, size)) for name, some in kinds.items()]
        found = whole(address, plain, rounds)
        print("| us of processor time for a message (page faults; MiB at most) | how | ", end="")
        print(" | ".join(found), "|\n|---|---|" + "---|" * len(found))
        for kind, how in next(iter(found.values())):
            cells = [
                f"{median(ways[kind, how], 'us'):.0f} ({median(ways[kind, how], 'faults'):.0f}; "
                f"{median(ways[kind, how], 'mib'):.0f})"
                for ways in found.values()
            ]
            print(f"| {SAYS[kind]} | {how.replace('--', '') or '-'} | {' | '.join(cells)} |")
        packed = [one for one in topics if not one.endswith("none")]
        print("\n| ingest of a worker, compressed | us |\n|---|---|")
        for topic in packed:
            count = count_of(topics[topic][1], size)
            ways = [child("ingest", address, topic, count, "--keeps") for _ in range(rounds)]
            print(f"| {topic} | {median(ways, 'us'):.0f} |")
    print(f"\n| single parts, us for a message | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    some = {name: list(packets[:200]) for name, packets in kinds.items()}
    made = {
        codec: {name: [batch_of(one, number) for one in data] for name, data in some.items()}
        for codec, number in CODECS.items()
    }
    parts: list[tuple[str, str, Callable[[bytes], object]]] = [
        ("records of a batch", "none", parsed),
        ("checksum, aiokafka's extension", "none", checked),
        ("checksum in hardware", "none", checked_quickly),
        ("records of a batch in lz4", "lz4", parsed),
        ("records of a batch in zstd", "zstd", parsed),
    ]
    for text, codec, work in parts:
        cells = [f"{each(work, data, 5 * rounds):.1f}" for data in made[codec].values()]
        print(f"| {text} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
