"""One process that reads a topic in one way, and says what that took; for ``kafka_floor.py``.

    python benchmarks/floor_child.py KIND ADDRESS TOPIC COUNT [--keeps] [--uvloop]

A process for each way, since what is measured is a property of a process: its allocator, its event
loop, and whether it holds our parts of the client. It prints one line of JSON, without what came
before the first fetch: processor time of the process for each message [us], page faults for each
message, messages per second, and its largest memory [MiB].
"""

import argparse
import asyncio
import json
import math
import resource
import socket
import struct
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest

from ampelstream.runtime.service.allocator import keep_memory

PARTITIONS = 4
PART_BYTES, FETCH_BYTES = 16 << 20, 50 << 20
HEADER = struct.Struct(">qi")
"""Of a batch of records: its first offset, and how many bytes follow."""
RECORD_COUNT_AT = 57
"""Where a batch says how many records it holds [byte]."""
FETCH_VERSION = 11


class Clock:
    """Processor time and page faults, from the first message on."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = self._skipped = 0
        self._cpu = self._wall = 0.0
        self._faults = 0

    def add(self, messages: int) -> bool:
        """Messages have come; whether they are all there."""
        if not self._done:  # the first fetch joins, connects, and makes things warm
            self._cpu, self._wall, self._faults = (
                time.process_time(),
                time.perf_counter(),
                _faults(),
            )
            self._skipped = messages
        self._done += messages
        return self._done >= self._count

    def result(self) -> dict[str, float]:
        """What it took."""
        counted = self._done - self._skipped
        return {
            "mib": _peak_mib(),
            "us": (time.process_time() - self._cpu) / counted * 1e6,
            "faults": (_faults() - self._faults) / counted,
            "rate": counted / (time.perf_counter() - self._wall),
        }


def _peak_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(
            "VmHWM"
        ):  # the call of the system counts the parent before the fork, too
            return int(line.split()[1]) / 1024
    return math.nan


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def request(topic: str, positions: dict[int, int]) -> FetchRequest:
    """Make the request of the next fetch."""
    parts = [(number, at, PART_BYTES) for number, at in positions.items()]
    return FetchRequest(500, 1, FETCH_BYTES, 1, [(topic, parts)])


def walk(data: Any) -> tuple[int, int]:
    """Number of messages in a message set, and the offset behind them."""
    at = messages = behind = 0
    while at + HEADER.size <= len(data):
        base, size = HEADER.unpack_from(data, at)
        if at + HEADER.size + size > len(data):
            break  # the broker cuts the last batch off
        (count,) = struct.unpack_from(">i", data, at + RECORD_COUNT_AT)
        messages += count
        behind = base + count
        at += HEADER.size + size
    return messages, behind


def taken(response: Any, positions: dict[int, int]) -> int:
    """Messages of a response; moves the positions behind them."""
    total = 0
    for _topic, parts in response.topics:
        for number, _error, _high, *rest in parts:
            messages, behind = walk(rest[-1] or b"")
            total += messages
            if messages:
                positions[number] = behind
    return total


def blocking(address: str, topic: str, clock: Clock) -> None:
    """A plain socket, and one buffer for all responses: what the system's part takes."""
    host, _, port = address.rpartition(":")
    positions = dict.fromkeys(range(PARTITIONS), 0)
    buffer = bytearray(FETCH_BYTES + (PARTITIONS * PART_BYTES))
    view = memoryview(buffer)
    with socket.create_connection((host, int(port))) as connection:

        def fill(size: int) -> None:
            at = 0
            while at < size:
                at += connection.recv_into(view[at:size])

        done = False
        while not done:
            made = request(topic, positions).prepare({1: (0, FETCH_VERSION)})
            header = made.build_request_header(correlation_id=1, client_id="floor")
            message = header.encode() + made.encode()
            connection.sendall(struct.pack(">i", len(message)) + message)
            fill(4)
            (size,) = struct.unpack_from(">i", buffer)
            fill(size)
            # where the message sets lie is not asked for: the topic has one batch for each message
            done = clock.add(_advance(view[:size], positions))


def _advance(frame: memoryview, positions: dict[int, int]) -> int:
    """Move on behind what a whole response holds, without decoding it by copying."""
    at = 4 + 4 + 2 + 4 + 4  # correlation, throttle, error, session, topics
    (name,) = struct.unpack_from(">h", frame, at)
    at += 2 + name
    (parts,) = struct.unpack_from(">i", frame, at)
    at += 4
    total = 0
    for _ in range(parts):
        number, _error, _high, _stable, _start, aborted = struct.unpack_from(">ihqqqi", frame, at)
        at += 34 + 16 * max(aborted, 0) + 4
        (size,) = struct.unpack_from(">i", frame, at)
        at += 4
        messages, behind = walk(frame[at : at + max(size, 0)])
        at += max(size, 0)
        total += messages
        if messages:
            positions[number] = behind
    return total


async def connection(address: str, topic: str, clock: Clock) -> None:
    """Responses as aiokafka's connection gives them, not unpacked."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    await client.set_topics([topic])
    await client.force_metadata_update()
    node = client.cluster.leader_for_partition(TopicPartition(topic, 0))
    positions = dict.fromkeys(range(PARTITIONS), 0)
    done = False
    while not done:
        done = clock.add(taken(await client.send(node, request(topic, positions)), positions))
    await client.close()


async def consumer(
    address: str,
    topic: str,
    clock: Clock,
    *,
    prepare: Callable[[Any], object] = lambda _: None,
    crc: bool = True,
    fetch: int = FETCH_BYTES,
) -> None:
    """Records as aiokafka's consumer gives them."""
    client = AIOKafkaConsumer(
        bootstrap_servers=address,
        check_crcs=crc,
        isolation_level="read_committed",
        max_partition_fetch_bytes=PART_BYTES,
        fetch_max_bytes=fetch,
        fetch_max_wait_ms=1500,
    )
    await client.start()
    prepare(client)
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    client.assign(places)
    await client.seek_to_beginning(*places)
    done = False
    while not done:
        found = await client.getmany(timeout_ms=250, max_records=500)
        if found:
            done = clock.add(sum(map(len, found.values())))
    await client.stop()


def main() -> None:
    """Read, and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("address")
    parser.add_argument("topic")
    parser.add_argument("count", type=int)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--keeps", action="store_true", help="memory is kept, as in a worker")
    options = parser.parse_args()
    if options.keeps and not keep_memory():
        raise SystemExit("the allocator of this system cannot be told to keep memory")
    if options.uvloop:
        asyncio.set_event_loop_policy(import_module("uvloop").EventLoopPolicy())
    clock = Clock(options.count)
    given = options.address, options.topic, clock
    match options.kind:
        case "blocking":
            blocking(*given)
        case "connection":
            asyncio.run(connection(*given))
        case "consumer":
            asyncio.run(consumer(*given))
        case "consumer-unchecked":
            asyncio.run(consumer(*given, crc=False))
        case "consumer-ours":  # its import changes aiokafka
            ours = import_module("floor_ours")
            asyncio.run(consumer(*given, prepare=ours.set_aside, fetch=ours.FETCH_BYTES))
        case "ingest":
            asyncio.run(import_module("floor_ours").ingest(*given))
    print(json.dumps(clock.result()))


if __name__ == "__main__":
    main()
