"""What Faust costs a record of ingest: an agent with batches, a plain consumer, a plain agent.

    python benchmarks/kafka_ingest.py [--rounds 7] [--quick]

One broker, one topic of four partitions for each kind of record, read from its beginning in a new
group by each run. The plain consumer is what ingest was before it became an agent: ``getmany`` of
aiokafka, the work in a thread, the outputs acknowledged, the offsets committed, batch by batch.
The plain agent is Faust as its documentation shows it, ``async for event in stream``, record by
record; it does nothing, and reads the first records only. Timed is from the first batch in hand to
the last one that is settled, so without the joining of the group. *Nothing*: records are taken and
dropped. *Ingest*: decoded and held against the filters of ``topologies/kilonova.yml``, as in
production; what passes is produced.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from decode import load_packets
from faust.types import TP
from kafka_bench import broker_in, environment, produce

from ampelstream.cli.workflow import open_topology
from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.records import encode, source_record
from ampelstream.runtime.safefaust.appsettings import safe_settings
from ampelstream.runtime.safefaust.batches import Batch, batches
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing

PARTITIONS = 4
SMALL, SMALL_COUNT = b"x" * 200, 200_000
LARGE_COUNT = 6_000
STREAM_COUNT = 3_000
TOPOLOGY = "kilonova"

Work = Callable[[Sequence[Any]], list[Outgoing]]


@dataclass
class Run:
    """One reading of a topic, and its clock."""

    address: str
    topic: str
    count: int
    work: Work
    began: float = 0.0
    ended: float = 0.0
    done: int = 0
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        """A batch is in hand."""
        self.began = self.began or time.perf_counter()

    def settle(self, records: int) -> None:
        """It is done."""
        self.done += records
        if self.done >= self.count:
            self.ended = time.perf_counter()
            self.finished.set()

    @property
    def options(self) -> dict[str, Any]:
        """Of clients."""
        return {"bootstrap_servers": self.address}


async def plain(run: Run, outbox: Outbox, _directory: Path) -> None:
    """The consumer that ingest was."""
    consumer = AIOKafkaConsumer(
        run.topic,
        **run.options,
        group_id=uuid.uuid4().hex,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=16 << 20,
    )
    await consumer.start()
    while not run.finished.is_set():
        fetched = await consumer.getmany(timeout_ms=250, max_records=500)
        records = [record for part in fetched.values() for record in part]
        if not records:
            continue
        run.begin()
        await outbox.send(await asyncio.to_thread(run.work, records))
        await consumer.commit({tp: part[-1].offset + 1 for tp, part in fetched.items()})
        run.settle(len(records))
    await consumer.stop()


class Nobody:
    """An observer that does not listen."""

    @contextmanager
    def busy(self, _name: str) -> Iterator[None]:
        """Nothing."""
        yield

    def ready(self, name: str, ready: bool) -> None:  # noqa: FBT001  (the observer's interface)
        """Nothing."""

    def committed(self, name: str) -> None:
        """Nothing."""

    def progress(self, name: str) -> None:
        """Nothing."""

    def assigned(self, name: str, partitions: Collection[TP]) -> None:
        """Nobody listens."""

    def revoked(self, name: str, partitions: Collection[TP]) -> None:
        """Nobody listens."""

    def restored(self, name: str, records: int, left: int) -> None:
        """Nobody listens."""

    def batch_seconds(self, name: str, seconds: float) -> None:
        """Nothing."""

    def lag(self, name: str, behind: Mapping[TP, int]) -> None:
        """Nothing."""

    def unanswered(self, name: str) -> None:
        """Nobody listens."""


async def agent(run: Run, outbox: Outbox, directory: Path) -> None:
    """An agent, as ingest is."""
    settings: Any = safe_settings(
        uuid.uuid4().hex,
        {"bootstrap_servers": [run.address]},
        url="http://127.0.0.1:6066",
        directory=directory,
    )
    app = faust.App(**settings)

    @app.agent(app.topic(run.topic))
    async def ingest(stream: Any) -> None:
        batch: Batch[Any]
        async for batch in batches(stream, "ingest", outbox, Nobody()):
            run.begin()
            await batch.commit(await batch.run(run.work, batch.records))
            run.settle(len(batch.records))

    await app.start()
    await run.finished.wait()
    await app.stop()


async def stream_of(run: Run, _outbox: Outbox, directory: Path) -> None:
    """An agent that takes records one by one, on Faust as it is."""
    run.count = min(run.count, STREAM_COUNT)
    settings: Any = safe_settings(
        uuid.uuid4().hex,
        {"bootstrap_servers": [run.address]},
        url="http://127.0.0.1:6066",
        directory=directory,
    ) | {"broker": f"kafka://{run.address}"}
    for ours in ("TableManager", "PartitionAssignor", "Table", "agent_supervisor"):
        del settings[ours]
    app = faust.App(**settings)
    topic = app.topic(run.topic, value_type=bytes, value_serializer="raw")

    @app.agent(topic)
    async def ingest(stream: Any) -> None:
        async for _ in stream.events():
            run.begin()
            run.settle(1)

    await app.start()
    await run.finished.wait()
    await app.stop()


async def timed(how: Any, run: Run, directory: Path) -> float:
    """Records per second of one reading."""
    outbox = Outbox(run.options)
    await outbox.start()
    await asyncio.wait_for(how(run, outbox, directory), 300)
    await outbox.stop()
    return run.count / (run.ended - run.began)


def nothing(_records: Sequence[Any]) -> list[Outgoing]:
    """Take and drop."""
    return []


def whole_ingest(names: TopicNames) -> Work:
    """The work of the ingest step."""
    _, topology = open_topology(TOPOLOGY, None)
    ingest = Ingest(topology, Accounting().tally(), time.time)

    def work(records: Sequence[Any]) -> list[Outgoing]:
        batch = [source_record(one, "alerts", ours=True) for one in records]
        return encode(ingest.process(batch), names, PARTITIONS)

    return work


async def create(address: str, *topics: str) -> None:
    """Make topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    large = {"max.message.bytes": str(16 << 20)}
    wanted = [NewTopic(topic, PARTITIONS, 1, topic_configs=large) for topic in topics]
    await admin.create_topics(wanted)
    await admin.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one round")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    packets, where = load_packets()
    large = [packets[number % len(packets)] for number in range(LARGE_COUNT)]
    size = sum(map(len, large)) / len(large) / 1024
    print(f"{environment()}; {where}, {size:.0f} KiB each\n")
    names = TopicNames("bench")
    with tempfile.TemporaryDirectory() as directory, broker_in(Path(directory)) as address:
        outputs = [names.detections, names.events, names.dead_letters]
        asyncio.run(create(address, "small", "large", *outputs))
        produce(address, [Outgoing("small", None, SMALL)] * SMALL_COUNT)
        produce(address, [Outgoing("large", None, one) for one in large], part=300)
        cases: list[tuple[str, str, int, Work]] = [
            ("200 bytes, nothing", "small", SMALL_COUNT, nothing),
            (f"{size:.0f} KiB packets, nothing", "large", LARGE_COUNT, nothing),
            (f"{size:.0f} KiB packets, ingest", "large", LARGE_COUNT, whole_ingest(names)),
        ]
        print(
            "| records/s, median (least to most) | plain consumer | agent with batches "
            "| ratio of pairs | plain agent |"
        )
        print("|---|---|---|---|---|")
        for name, topic, count, work in cases:
            found: dict[str, list[float]] = {"plain": [], "agent": [], "stream": []}
            for number in range(rounds + 1):  # the first warms up, and does not count
                order: list[tuple[str, Any]] = [("plain", plain), ("agent", agent)]
                if work is nothing:
                    order.append(("stream", stream_of))
                for label, how in order if number % 2 else order[::-1]:
                    run = Run(address, topic, count, work)
                    rate = asyncio.run(timed(how, run, Path(directory)))
                    if number:
                        found[label].append(rate)
            pairs = zip(found["agent"], found["plain"], strict=True)
            ratio = statistics.median(one / other for one, other in pairs)
            cells = [
                f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
                if rates
                else "-"
                for rates in found.values()
            ]
            row = [name, cells[0], cells[1], f"{ratio:.2f}", cells[2]]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
