"""What the Kafka benchmarks share: a broker, a worker, its clock and its memory."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.ports import free_port

__all__ = [
    "broker_in",
    "create_topics",
    "drained",
    "environment",
    "peak_mib",
    "processor_seconds",
    "produce",
    "running_broker",
    "wait_ready",
    "worker",
]


@contextmanager
def running_broker(directory: Path) -> Iterator[Broker]:
    """A broker of its own, with the heap of a small real one."""
    broker = Broker(directory / "kafka", java_options=("-Xmx1g", "-XX:+UseSerialGC"))
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@contextmanager
def broker_in(directory: Path) -> Iterator[str]:
    """Address of a broker of its own."""
    with running_broker(directory) as broker:
        yield broker.address


def create_topics(topology: Path, address: str, partitions: int) -> None:
    """Create the topics of a topology."""
    command = [sys.executable, "-m", "ampelstream", "topics", "create", str(topology)]
    command += ["--broker", address, "--partitions", str(partitions), "--yes"]
    subprocess.run(command, check=True, capture_output=True)


def produce(address: str, records: Iterable[Outgoing], *, part: int = 2000) -> None:
    """Produce records, some thousands at a time."""

    async def send() -> None:
        outbox = Outbox({"bootstrap_servers": address})
        await outbox.start()
        waiting: list[Outgoing] = []
        for record in records:
            waiting.append(record)
            if len(waiting) == part:
                await outbox.send(waiting)
                waiting = []
        await outbox.send(waiting)
        await outbox.stop()

    asyncio.run(send())


@contextmanager
def worker(
    topology: Path,
    address: str,
    directory: Path,
    *options: str,
    steps: str = "ingest,objects,react",
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """One worker process, with more options; gives it and its port."""
    port = free_port()
    command = [sys.executable, "-m", "ampelstream", "run", str(topology), "--engine", "faust"]
    command += ["--broker", address, "--state", str(directory), "--port", str(port)]
    command += ["--steps", steps, *options]
    with (directory.parent / f"{directory.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process, port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_ready(port: int, *, seconds: float = 600.0) -> float:
    """Until the worker says that it is ready; gives how long it took [s]."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                if answer.status == HTTPStatus.OK:
                    return time.perf_counter() - began
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise TimeoutError(f"not ready within {seconds} s")


def peak_mib(process: "subprocess.Popen[bytes]") -> float:
    """Largest resident memory of a process so far [MiB]; Linux."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not say the memory of a process")


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far, user and system [s]; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def drained(address: str, topology: str, steps: Iterable[str]) -> float:
    """Wait until these steps have committed all that there is; gives the time it took [s]."""
    names = TopicNames(topology)
    reads = {
        "ingest": (f"{names.ingest_group}.alerts", [names.alerts]),
        "notices": (f"{names.ingest_group}.notices", [names.notices]),
        "objects": (names.app("objects"), [names.detections, names.events]),
        "react": (names.app("react"), [names.candidates]),
    }
    began = time.perf_counter()
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await consumer.start()
    await admin.start()
    try:
        first = 0.0
        while True:
            left = 0
            for group, topics in (reads[step] for step in steps):
                left += await _behind(consumer, admin, group, topics)
            if left:
                first = 0.0
            elif first:
                return first  # nothing came up since: it is done
            else:
                first = time.perf_counter() - began
            await asyncio.sleep(0.25)
    finally:
        await consumer.stop()
        await admin.close()


async def _behind(
    consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, group: str, topics: list[str]
) -> int:
    described = await admin.describe_topics(topics)
    partitions = [
        TopicPartition(one["topic"], part["partition"])
        for one in described
        for part in one["partitions"]
    ]
    ends = await consumer.end_offsets(partitions)
    try:
        done = await admin.list_consumer_group_offsets(group)
    except KafkaError:  # a group that has no coordinator yet
        return sum(ends.values()) or 1
    return sum(max(0, end - (done[tp].offset if tp in done else 0)) for tp, end in ends.items())


def environment() -> str:
    """Cores of this machine, for the head of a table."""
    return f"{os.cpu_count()} cores, Python {sys.version.split()[0]}"
