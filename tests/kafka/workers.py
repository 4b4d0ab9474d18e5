"""Real workers for tests: started by the command line, waited for, stopped."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from ampelstream.core.state import keys
from ampelstream.errors import AmpelstreamError
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, TopicNames

from .soak.fold import Fold, open_sweeps

QUICK = ("--session", "6", "--produce-timeout", "10", "--grace", "20", "--port", "0")


def ampelstream(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    command = [sys.executable, "-m", "ampelstream", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=110)


class Running:
    """A worker process (or, without an index, a supervisor of several) and its log.

    The log goes through a pipe: it is none of the files that a worker may or may not write.
    """

    def __init__(self, arguments: Sequence[str | Path], log: Path, index: int | None = 0) -> None:
        self._log = log
        log.touch()
        numbered = {} if index is None else {"AMPELSTREAM_WORKER_INDEX": str(index)}
        reading, writing = os.pipe()
        # it ends with the last process that writes
        self._copy = threading.Thread(target=_copy, args=(reading, log), daemon=True)
        self._copy.start()
        with os.fdopen(writing, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ampelstream", "run", *QUICK, *map(str, arguments)],
                stdout=out,
                stderr=out,
                env={**os.environ, **numbered},
            )

    @property
    def log(self) -> Path:
        """File of what it says; whole once it has ended."""
        if self.process.poll() is not None:
            self._copy.join(2.0)  # workers that are left behind may still write
        return self._log

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def said(self, text: str) -> bool:
        """Whether its log holds that."""
        return text in self.log.read_text()


def _copy(reading: int, log: Path) -> None:
    with os.fdopen(reading, "rb", buffering=0) as pipe, log.open("ab", buffering=0) as file:
        while data := pipe.read(1 << 16):
            file.write(data)


@contextmanager
def workers(
    count: int, arguments: Sequence[str | Path], directory: Path
) -> Iterator[list[Running]]:
    """So many workers of one topology; killed at the end if they still run."""
    directory.mkdir(exist_ok=True)
    running = [
        Running(arguments, directory / f"worker-{index}.log", index) for index in range(count)
    ]
    try:
        yield running
    finally:
        for worker in running:
            worker.process.kill()
            worker.process.wait()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Until it holds; AssertionError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.25)


async def lags(address: str, topology: str) -> dict[str, int]:
    """Records that each step has not yet committed."""
    names = TopicNames(topology)
    groups = {
        f"{names.ingest_group}.alerts": [names.alerts],
        f"{names.ingest_group}.notices": [names.notices],
        names.app("objects"): [names.detections, names.events],
        names.app("react"): [names.candidates],
    }
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await consumer.start()
    await admin.start()
    try:
        found: dict[str, int] = {}
        for group, topics in groups.items():
            parts = [
                TopicPartition(topic, part)
                for topic in topics
                for part in await _partitions(consumer, topic)
            ]
            ends = await consumer.end_offsets(parts)
            done = await admin.list_consumer_group_offsets(group)
            found[group] = sum(
                end - (done[tp].offset if tp in done else 0) for tp, end in ends.items()
            )
        return found
    finally:
        await consumer.stop()
        await admin.close()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.add_topic(topic)
    found = consumer.partitions_for_topic(topic)
    if not found:  # not known yet; no partition would be no lag
        raise UnknownTopicOrPartitionError(topic)
    return sorted(found)


def _sweeps(address: str, topology: str) -> Fold:
    """What the state of the objects step holds of sweeps."""
    topic = TopicNames(topology).changelog(OBJECTS)
    return Fold(topic, asyncio.run(_partitions_of(address, topic)), only=keys.SWEEP)


async def _partitions_of(address: str, topic: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    try:
        return len(await _partitions(consumer, topic))
    finally:
        await consumer.stop()


def wait_for_work(address: str, topology: str, seconds: float = 90.0) -> None:
    """Until all steps have done all that there is, twice in a row.

    An event is committed before all stored objects are matched against it: no lag says that this is
    still to be done, the state does.
    """
    quiet, sweeps = 0, None

    def done() -> bool:
        nonlocal quiet, sweeps
        try:
            found = asyncio.run(lags(address, topology))
            left = any(found.values())
            if not left:
                sweeps = sweeps or _sweeps(address, topology)
                asyncio.run(sweeps.read(Connection(bootstrap=(address,))))
                left = bool(open_sweeps(sweeps))
        except (KafkaError, AmpelstreamError):
            left = True  # a group that has no coordinator yet has not committed either
        quiet = 0 if left else quiet + 1
        return quiet > 1

    wait_until(done, seconds, f"{topology}: all steps have done all there is")
