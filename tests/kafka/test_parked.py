"""A packet whose schema the registry does not know yet waits for it, and is lost by nothing."""

import asyncio
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from astropy.time import Time

from ampelstream.runtime.kafka.clients import open_consumer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.export import count_waiting
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.simulate import simulate_notice

from .looking import alerts_in_state, dead, metrics, produce, state, where
from .rubin import MJD, SCHEMA, packet, registry
from .workers import Running, ampelstream, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KNOWN, LATE = 4201, 4202
SOON, WAITING = range(1, 21), range(101, 106)
TOPOLOGY = """
name: {name}
version: 1
channels:
  rubin:
    alerts: {{survey: lsst}}
    window: [0, 30]
    units: [{{unit: SkyMapProbability}}]
"""
WAVE = simulate_notice(
    event_id="SIM260301a",
    alert_type="INITIAL",
    time_created="2026-03-01T00:05:00Z",
    t0_jd=float(Time(MJD, format="mjd", scale="tai").utc.jd) - 2.0,
    ra=150.0,
    dec=-2.0,
    width_deg=5.0,
    order=5,
)


class Setup:
    """A topology for Rubin's alerts, its topics, and how its worker is started."""

    def __init__(self, address: str, name: str, directory: Path) -> None:
        self.address = address
        self.names = TopicNames(name)
        self.connection = Connection(bootstrap=(address,))
        self.directory = directory
        topology = directory / "topology.yml"
        topology.write_text(TOPOLOGY.format(name=name))
        self.broker: list[str | Path] = [topology, "--broker", address]
        ampelstream("topics", "create", *self.broker, "--partitions", "2", "--yes")
        self.run = [*self.broker, "--engine", "faust", "--state", directory / "state"]
        self.run += ["--park", "1", "--log", "json"]

    def sources(self, registry_url: str | None) -> Path:
        """A file of sources, as people write one."""
        sources: dict[str, object] = {
            "alerts": [{"topics": self.names.alerts}],
            "notices": [{"topics": self.names.notices}],
        }
        if registry_url is not None:
            sources |= {"registry": {"url": registry_url}}
        path = self.directory / "sources.yml"
        path.write_text(json.dumps(sources))  # JSON is YAML
        return path

    def worker(self, registry_url: str | None, *options: str) -> Running:
        """Start it (again)."""
        path = self.sources(registry_url)
        return Running([*self.run, "--sources", path, *options], self.directory / "worker.log")

    def records(self, topic: str) -> int:
        """How many records were ever written to a topic of two partitions."""

        async def count() -> int:
            places = [TopicPartition(topic, number) for number in range(2)]
            async with open_consumer(self.connection) as client:
                ends: dict[TopicPartition, int] = await client.end_offsets(places)
                return sum(ends.values())

        return asyncio.run(count())

    def waiting(self) -> int:
        return asyncio.run(count_waiting(self.connection, self.names, create="make them"))

    def alerts(self) -> Counter[int]:
        return alerts_in_state(self.address, self.names, 2)


@pytest.fixture
def setup(broker_address: str, unique: str, tmp_path: Path) -> Setup:
    return Setup(broker_address, unique, tmp_path)


def test_parked_until_the_registry_learns_also_over_a_kill(setup: Setup) -> None:
    with registry() as known:
        known.schemas[KNOWN] = SCHEMA
        produce(setup.connection, setup.names.notices, [WAVE])
        late = [packet(number, LATE) for number in WAITING]
        soon = [packet(number, KNOWN) for number in SOON]
        produce(setup.connection, setup.names.alerts, late + soon)
        worker = setup.worker(known.url)
        try:
            # the others go on meanwhile
            wait_until(lambda: setup.alerts() == Counter(SOON), 60, "what can be read is read")
            url = where(worker)
            wait_until(lambda: metrics(url)["ampelstream_parked_records"] == 5, 20, "5 parked")
            assert setup.waiting() == 5  # as who looks from outside sees it
            worker.process.kill()
            worker.process.wait()
            asked = len(known.asked)
            worker = setup.worker(known.url)
            wait_until(lambda: len(known.asked) > asked, 40, "the new process asks again")
            assert setup.alerts() == Counter(SOON)
            known.schemas[LATE] = SCHEMA
            wait_until(lambda: len(setup.alerts()) == 25, 40, "the parked ones are read")
            url = where(worker, starts=2)
            wait_until(lambda: metrics(url)["ampelstream_parked_records"] == 0, 20, "0 parked")
            assert metrics(url)['ampelstream_received_total{stream="parked"}'] >= 5
            assert metrics(url).get('ampelstream_received_total{stream="alerts"}', 0) == 0
            wait_for_work(setup.address, setup.names.topology)
            assert worker.stop() == 0
        finally:
            worker.process.kill()
            worker.process.wait()
    assert setup.alerts() == Counter([*SOON, *WAITING])
    assert not dead(setup.address, setup.names)
    assert setup.records(setup.names.parked) == len(WAITING)  # each was written once
    assert setup.waiting() == 0
    # where a packet came from is where it first was, not where it was parked
    found = state(setup.address, setup.names, 2)
    assert {alert.where.source for one in found for alert in one.alerts} == {setup.names.alerts}
    assert sum(len(one.candidates) for one in found) == 25


def test_one_schema_holds_up_no_other_and_waits_no_longer_than_it_may(setup: Setup) -> None:
    with registry() as known:
        worker = setup.worker(known.url, "--park-limit", "12")
        try:
            mixed = [packet(number, (LATE, LATE + 1)[number % 2]) for number in WAITING]
            produce(setup.connection, setup.names.notices, [WAVE])
            produce(setup.connection, setup.names.alerts, mixed)
            url = where(worker)
            wait_until(lambda: metrics(url)["ampelstream_parked_records"] == 5, 40, "5 parked")
            known.schemas[LATE] = SCHEMA
            even = Counter(number for number in WAITING if number % 2 == 0)
            wait_until(lambda: setup.alerts() == even, 10, "those between are read")
            assert not dead(setup.address, setup.names)
            wait_until(lambda: len(dead(setup.address, setup.names)) == 3, 30, "the others end")
            wait_until(lambda: metrics(url)["ampelstream_parked_records"] == 0, 10, "0 parked")
            assert worker.stop() == 0
        finally:
            worker.process.kill()
            worker.process.wait()
    letters = dead(setup.address, setup.names)
    assert {(one.step, one.error, one.where.source) for one in letters} == {
        ("decode", "UnknownSchema", setup.names.alerts)
    }
    assert all(f"schema {LATE + 1} was never known" in one.reason for one in letters)
    odd = {packet(number, LATE + 1) for number in WAITING if number % 2}
    assert {one.value for one in letters} == odd
    assert setup.records(setup.names.parked) == len(WAITING)


@pytest.mark.full
def test_waiting_is_no_hang_and_is_counted(setup: Setup) -> None:
    with registry() as known:
        worker = setup.worker(known.url, "--park", "14", "--no-commit-after", "10")
        try:
            produce(setup.connection, setup.names.alerts, [packet(1, LATE)])
            wait_until(lambda: known.asked.count(LATE) > 1, 60, "it was asked for twice")
            known.schemas[LATE] = SCHEMA
            wait_until(lambda: bool(setup.alerts()), 40, "it is read")
            produce(setup.connection, setup.names.alerts, [packet(2, LATE + 1)])
            url = where(worker)
            wait_until(lambda: known.asked.count(LATE + 1) == 1, 20, "so is the next")
            wait_until(lambda: metrics(url)["ampelstream_parked_records"] == 1, 10, "1 parked")
            assert metrics(url)['ampelstream_received_total{stream="alerts"}'] == 2
            assert worker.stop() == 0
        finally:
            worker.process.kill()
            worker.process.wait()


def test_without_a_registry_it_is_a_dead_letter(setup: Setup) -> None:
    worker = setup.worker(None)
    try:
        produce(setup.connection, setup.names.alerts, [packet(1, LATE)])
        wait_until(lambda: bool(dead(setup.address, setup.names)), 60, "a dead letter")
        assert worker.stop() == 0
    finally:
        worker.process.kill()
        worker.process.wait()
    (letter,) = dead(setup.address, setup.names)
    assert (letter.error, letter.value) == ("UnknownSchema", packet(1, LATE))
    assert str(LATE) in letter.reason
    assert not setup.alerts()


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("version", "file"), [(703, "3527242430321524769.avro"), (900, "7912941781254298.avro")]
)
def test_real_packets(setup: Setup, data_dir: Path, version: int, file: str) -> None:
    value = (data_dir / "lsst" / "boom-wire" / file).read_bytes()
    with registry() as known:
        worker = setup.worker(known.url)
        try:
            produce(setup.connection, setup.names.alerts, [value])
            wait_until(lambda: known.asked.count(version) > 1, 60, "it was asked for twice")
            assert not setup.alerts()
            schema = data_dir / "lsst" / "schemas" / f"{version}.avsc"
            known.schemas[version] = json.loads(schema.read_text())
            wait_until(lambda: bool(setup.alerts()), 40, "it is read")
            wait_for_work(setup.address, setup.names.topology)
            assert worker.stop() == 0
        finally:
            worker.process.kill()
            worker.process.wait()
    assert setup.alerts() == Counter([int(Path(file).stem)])
    assert not dead(setup.address, setup.names)


def test_in_one_process_alerts_stay_in_their_topic_until_the_registry_answers(
    setup: Setup,
) -> None:
    produce(setup.connection, setup.names.alerts, [packet(number, KNOWN) for number in SOON])

    def run_once(url: str) -> "subprocess.CompletedProcess[str]":
        words: list[str | Path] = ["--sources", setup.sources(url), "--once"]
        words += ["--state", setup.directory / "one"]
        return ampelstream("run", *setup.broker, *words, check=False)

    with registry() as known:
        url = known.url
    away = run_once(url)
    assert away.returncode == 1
    assert f"the schema registry {url} does not give schema {KNOWN}" in away.stderr
    with registry() as known:
        known.schemas[KNOWN] = SCHEMA
        done = run_once(known.url)
        assert known.asked == [KNOWN]
    assert (done.returncode, "20 accepted" in done.stderr) == (0, True)
    assert "0 dead letters" in done.stderr
