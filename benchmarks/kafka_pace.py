"""The pace of Rubin on one worker: how soon each alert is a candidate, and that none is lost.

    python benchmarks/kafka_pace.py [--minutes 10] [--last 40000] [--even] [--quick]

333 alerts of 139 KB a second, for ten minutes: a visit of 10,000 every 30 s, sent as quickly as the
producer can (``--even``: one by one instead, at that rate). Then one burst of 40,000. The alerts
are a real one under other identifiers, in the wire format, its schema from a registry on this
machine. One in twenty passes the filter and lies in the region of an event, and so makes a
candidate of an object of its own. Timed is from the timestamp of an alert's record to that of its
candidate's. One worker with all steps, outputs acknowledged, state and changelog on, offsets
committed. Broker, producer and worker share the machine: how much each has of it is printed. At
the end each alert has to have been received, and each that passed has to be one candidate.

Needs the real data, and 34 GB of disk at most.
"""

import argparse
import asyncio
import json
import struct
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from decode import load_wire
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

from ampelstream.codecs.alerts import decode
from ampelstream.codecs.own import decode_candidate
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.simulate import simulate_notice

NAME = "pace"
TOPOLOGY = """
name: pace
version: "1"
channels:
  rubin:
    alerts: {survey: lsst, where: "ra < 100"}
    region: 0.9
    window: [0, 30]
    units: [{unit: SkyMapProbability}]
"""
PARTITIONS = 4
VISIT, VISIT_SECONDS = 10_000, 30.0
PASS_ONE_IN = 20
PRODUCERS = 2
WINDOW = 300
"""How many alerts are sent before the first of them is acknowledged."""
ELSEWHERE_DEG = 100.0
"""Right ascension from here on does not pass."""


def varint(value: int) -> bytes:
    """A long integer in Avro."""
    rest, out = value << 1, bytearray()
    while rest >> 7:
        out.append(0x80 | (rest & 0x7F))
        rest >>= 7
    out.append(rest)
    return bytes(out)


class Template:
    """A real alert, of which others are made by other identifiers and another right ascension.

    Attributes
    ----------
    jd, ra, dec
        Of the alert [JD, UTC; deg].
    """

    def __init__(self, message: bytes, schemas: Any) -> None:
        alert = decode(message, schemas)
        self.jd, self.ra, self.dec = alert.jd, alert.ra, alert.dec
        self._first = alert.candid
        identifier, position = varint(alert.candid), struct.pack("<d", alert.ra)
        if alert.object_id != str(alert.candid):
            raise SystemExit("the alert's object has another identifier; take another alert")
        # what is the same in all of them, at the end, is most of it
        end = max(message.rindex(identifier) + len(identifier), message.rindex(position) + 8)
        self._head, self._tail = message[:end], message[end:]
        self._identifier, self._position = identifier, position
        other = decode(self.made(1), schemas)
        if (other.candid, other.object_id) != (self._first + 1, str(self._first + 1)):
            raise SystemExit("the identifiers of the alert cannot be replaced")

    def made(self, number: int) -> bytes:
        """One of them."""
        head = self._head.replace(self._identifier, varint(self._first + number))
        if not self.passes(number):
            head = head.replace(self._position, struct.pack("<d", self.ra + ELSEWHERE_DEG))
        return head + self._tail

    def passes(self, number: int) -> bool:
        """Whether the filter lets it pass."""
        return number % PASS_ONE_IN == 0

    def number(self, object_id: str) -> int:
        """Which it is."""
        return int(object_id) - self._first


@contextmanager
def registry(schemas: Mapping[int, Any]) -> Iterator[str]:
    """A schema registry; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            schema = schemas[int(self.path.rpartition("/")[2])]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"schema": json.dumps(schema)}).encode())

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@dataclass
class Sender:
    """Sends alerts, and knows when it sent those that pass.

    Attributes
    ----------
    sent
        How many so far.
    times
        Number of an alert that passes to the timestamp of its record [ms].
    """

    producers: Sequence[AIOKafkaProducer]
    topic: str
    template: Template
    sent: int = 0
    times: dict[int, int] = field(default_factory=dict)

    async def burst(self, count: int) -> float:
        """As quickly as it goes; gives how long it took [s]."""
        began = time.perf_counter()
        waiting: deque[Any] = deque()
        for _ in range(count):
            waiting.append(await self._one())
            if len(waiting) > WINDOW:
                await waiting.popleft()
        await asyncio.gather(*waiting)
        return time.perf_counter() - began

    async def evenly(self, count: int, seconds: float) -> None:
        """One by one, in this time [s]."""
        began = time.perf_counter()
        waiting = []
        for number in range(count):
            ahead = began + seconds * number / count - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            waiting.append(await self._one())
        await asyncio.gather(*waiting)

    async def _one(self) -> Any:
        number, now = self.sent, int(time.time() * 1000)
        self.sent += 1
        if self.template.passes(number):
            self.times[number] = now
        return await self.producers[number % len(self.producers)].send(
            self.topic,
            self.template.made(number),
            partition=number % PARTITIONS,
            timestamp_ms=now,
        )


async def keep_little(address: str, topic: str) -> None:
    """Let the broker delete what was read long ago: the disk is not asked for more than it has."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    configs = {
        "max.message.bytes": str(16 << 20),
        "segment.bytes": str(256 << 20),
        "retention.bytes": str(3 << 30),
    }
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs)])
    await admin.close()


@dataclass(frozen=True, slots=True)
class Found:
    """A record of a candidate: its object, its timestamp [ms], and what it says."""

    object_id: str
    stamp: int
    value: bytes


async def candidates(address: str, topic: str) -> list[Found]:
    """Every record of a candidate."""
    found: list[Found] = []
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest"
    ) as client:
        ends = await client.end_offsets(client.assignment())
        while any([await client.position(place) < end for place, end in ends.items()]):
            for records in (await client.getmany(timeout_ms=500)).values():
                found += [
                    Found(decode_candidate(one.value).object_id, one.timestamp, one.value)
                    for one in records
                ]
    return found


def received(port: int) -> int:
    """How many alerts the worker says it received."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith('ampelstream_received_total{stream="alerts"}'):
                return int(float(line.split()[-1]))
    return 0


def tell(what: str, milliseconds: Sequence[float]) -> None:
    """Print a row of times."""
    if not milliseconds:
        print(f"| {what} | - | - | - | 0 |")
        return
    cells = [f"{one / 1000:.2f}" for one in np.percentile(milliseconds, (50, 99, 100))]
    print(f"| {what} | {' | '.join(cells)} | {len(milliseconds)} |", flush=True)


async def pace(sender: Sender, minutes: float, *, even: bool) -> list[float]:
    """Send at that pace; gives how long each visit took to send [s]."""
    took: list[float] = []
    began = time.perf_counter()
    for number in range(max(1, round(minutes * 60 / VISIT_SECONDS))):
        await asyncio.sleep(max(0.0, began + number * VISIT_SECONDS - time.perf_counter()))
        if even:
            await sender.evenly(VISIT, VISIT_SECONDS)
        else:
            took.append(await sender.burst(VISIT))
    return took


async def measure(
    address: str, template: Template, minutes: float, last: int, *, even: bool
) -> tuple[Sender, int]:
    """Send all of it, until all of it is committed; gives the number behind which the burst is."""
    names = TopicNames(NAME)
    await keep_little(address, names.alerts)
    async with AsyncExitStack() as stack:
        # each has one request at a time under way, and its own partitions
        producers = [
            await stack.enter_async_context(
                AIOKafkaProducer(
                    bootstrap_servers=address,
                    acks=1,
                    max_request_size=16 << 20,
                    max_batch_size=1 << 20,
                )
            )
            for _ in range(PRODUCERS)
        ]
        sender = Sender(producers, names.alerts, template)
        took = await pace(sender, minutes, even=even)
        left = await drained(address, NAME, ("ingest", "objects"))
        print(f"{sender.sent:,} alerts; the last committed {left:.1f} s after they were sent")
        if took:
            print(f"a visit took the producer {min(took):.1f} to {max(took):.1f} s")
        before = sender.sent
        if last:
            sending = await sender.burst(last)
            left = await drained(address, NAME, ("ingest", "objects"))
            text = f"{last:,} at once: sent in {sending:.1f} s, committed {left:.1f} s after that"
            print(f"{text}, {sending + left:.1f} s in all")
        return sender, before


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--last", type=int, default=40_000, help="size of the burst at the end")
    parser.add_argument("--even", action="store_true", help="one by one instead of visits")
    parser.add_argument("--quick", action="store_true", help="one minute, and a burst of 10,000")
    options = parser.parse_args()
    minutes, last = (1.0, 10_000) if options.quick else (options.minutes, options.last)
    wire, schemas = load_wire()
    if not wire:
        raise SystemExit("needs the real data (AMPELSTREAM_DATA)")
    template = Template(max(wire, key=len), schemas)
    known = {number: schemas.known(number) for number in (701, 703, 900)}
    names = TopicNames(NAME)
    with (
        tempfile.TemporaryDirectory() as scratch,
        registry(known) as url,
        running_broker(Path(scratch)) as broker,
    ):
        topology, sources = Path(scratch) / "pace.yml", Path(scratch) / "sources.yml"
        topology.write_text(TOPOLOGY)
        said = {"alerts": [{"topics": names.alerts}], "notices": [{"topics": names.notices}]}
        sources.write_text(json.dumps(said | {"registry": {"url": url}}))
        create_topics(topology, broker.address, PARTITIONS)
        directory = Path(scratch) / "worker"
        with worker(topology, broker.address, directory, "--sources", str(sources)) as (one, port):
            wait_ready(port)
            notice = simulate_notice(
                event_id="SIM251014a",
                alert_type="INITIAL",
                time_created="2025-10-14T00:05:00Z",
                t0_jd=template.jd - 2.0,
                ra=template.ra,
                dec=template.dec,
                width_deg=5.0,
                order=5,
            )
            produce(broker.address, [Outgoing(names.notices, None, notice)])
            asyncio.run(drained(broker.address, NAME, ("notices", "objects")))
            began, producer_began = time.perf_counter(), time.process_time()
            pids = {"worker": one.pid, "broker": broker.pid or 0}
            spent = {name: processor_seconds(pid) for name, pid in pids.items()}
            print(f"{environment()}; {len(template.made(1)) / 1000:.0f} KB each\n")
            sender, before = asyncio.run(
                measure(broker.address, template, minutes, last, even=options.even)
            )
            wall = time.perf_counter() - began
            cores = {name: (processor_seconds(pid) - spent[name]) for name, pid in pids.items()}
            cores["producer and this"] = time.process_time() - producer_began
            text = ", ".join(f"{name} {used / wall:.2f}" for name, used in cores.items())
            each = cores["worker"] / sender.sent * 1e6
            print(f"cores in use over {wall:.0f} s: {text}; worker {each:.0f} us an alert")
            print(f"largest memory of the worker {peak_mib(one):.0f} MiB\n")
            found = asyncio.run(candidates(broker.address, names.candidates))
            for line in moved(directory.with_suffix(".log")):
                print(line)
            report(sender, before, found, received(port))


def report(sender: Sender, before: int, found: Sequence[Found], taken: int) -> None:
    """Print the times, and whether all are there.

    A record of a candidate may be there twice, byte for byte: where a batch was left to the new
    owner of its partition after its candidates were sent, which a rebalance may bring about.

    Raises
    ------
    SystemExit
        Something is missing, or there in two forms.
    """
    first: dict[int, int] = {}
    for one in found:
        first.setdefault(sender.template.number(one.object_id), one.stamp)
    late = {number: first[number] - at for number, at in sender.times.items() if number in first}
    print("| from an alert's timestamp to its candidate [s] | p50 | p99 | longest | of |")
    print("|---|---|---|---|---|")
    tell("at the pace of Rubin", [one for number, one in late.items() if number < before])
    tell("the burst at the end", [one for number, one in late.items() if number >= before])
    forms = len({(one.object_id, one.value) for one in found})
    missing = len(sender.times.keys() - first.keys())
    print(f"\n{sender.sent:,} sent, {taken:,} received; {missing} candidates are missing")
    text = f"{forms:,} candidates of {len(sender.times):,} alerts that pass"
    print(f"{text}; {len(found) - forms} records are there again, byte for byte")
    wrong = missing or forms != len(sender.times) or taken != sender.sent
    if wrong or first.keys() - sender.times.keys():
        raise SystemExit("something was lost, or is there in two forms")


def moved(log: Path) -> list[str]:
    """What the worker's log says of partitions that moved, and of what went wrong."""
    words = ("assigned", "revoked", "lost", "not committed", "WARNING", "ERROR")
    return [line for line in log.read_text().splitlines() if any(one in line for one in words)]


if __name__ == "__main__":
    main()
