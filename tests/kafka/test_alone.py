"""Candidates of channels that follow no events, and of events that are no gravitational waves.

On Kafka they are those of the embedded replay, byte for byte: the key of the former has an empty
name of the event, and what there is of them is found again after a worker was killed.
"""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ampelstream.cli.workflow import open_inputs
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.export import last_values
from ampelstream.runtime.kafka.loading import load
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.simulate import Night
from ampelstream.sources import merge

from .test_parity import through_kafka
from .workers import Running, ampelstream, wait_for_work, wait_until, workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).resolve().parents[2]
PARTITIONS = 4
MIXED = """
name: {name}
version: 1
events: {{kinds: [{kinds}]}}
channels:
  alone:
    follow: none
    units: [{{unit: RiseDecline}}]
    rank_by: RiseDecline.ndet
  sky:
    region: 0.9
    window: [-30, 10]
    lightcurve: {{before: 50, after: 10}}
    units: [{{unit: SkyMapProbability}}, {{unit: RiseDecline}}]
    rank_by: {{field: SkyMapProbability.cumprob, order: ascending}}
react: [{{name: seen, when: RiseDecline.ndet > 1, sinks: [{{file: seen.ndjson}}]}}]
"""


def events(candidates: bytes) -> Counter[str]:
    """How many candidates each event has; those without one under an empty name."""
    return Counter(json.loads(line)["event_id"] for line in candidates.splitlines())


@pytest.mark.realdata
def test_a_real_supernova_that_no_event_led_to(
    data_dir: Path, broker_address: str, unique: str, tmp_path: Path
) -> None:
    inputs: list[str | Path] = ["--alerts", data_dir / "ztf/sn2021rhu"]
    text, shape = infant(unique), (PARTITIONS, 2)
    kafka, replay = through_kafka(broker_address, unique, inputs, tmp_path, shape, text=text)
    assert kafka == replay
    assert events(kafka) == {"": 1}
    topic = TopicNames(unique).candidates
    connection = Connection(bootstrap=(broker_address,))
    kept = asyncio.run(last_values(connection, topic, create="the test creates it"))
    assert [key for _, key in kept] == [b"\x1fZTF21abiuvdk\x1finfant"]


@pytest.mark.realdata
def test_real_neutrinos_and_bursts(
    data_dir: Path, broker_address: str, unique: str, tmp_path: Path
) -> None:
    inputs: list[str | Path] = ["--alerts", data_dir / "ztf/night-20240115"]
    inputs += ["--notices", data_dir / "notices/voevent"]
    text, shape = MIXED.format(name=unique, kinds="neutrino, grb"), (PARTITIONS, 2)
    kafka, replay = through_kafka(broker_address, unique, inputs, tmp_path, shape, text=text)
    assert kafka == replay
    found = events(kafka)
    assert found[""] == 846
    assert found["INTEGRAL-10472"] == 8
    assert {name.partition("-")[0] for name in found} == {"", "Fermi", "INTEGRAL"}


def test_what_no_event_led_to_outlives_a_killed_worker(
    make_night: Callable[..., Night], broker_address: str, unique: str, tmp_path: Path
) -> None:
    """One of two is killed at work, and the other has more to do before it is back."""
    night = make_night(seed=7, alerts=600)
    records = list(merge(open_inputs([night.alerts], [night.notices]), {}))
    half = len(records) // 2
    parts = records[:half], records[half:]
    text = MIXED.format(name=unique, kinds="gw")
    kafka = through_kills(broker_address, unique, text, parts, tmp_path, [0])
    inputs: list[str | Path] = ["--alerts", night.alerts, "--notices", night.notices]
    ampelstream("replay", tmp_path / "topology.yml", *inputs, "--out", tmp_path / "replay")
    assert kafka == (tmp_path / "replay" / "candidates.ndjson").read_bytes()
    alone = [json.loads(line) for line in kafka.splitlines() if b'"event_id":""' in line]
    seen = chain.from_iterable(one["provenance"]["alerts"] for one in alone)
    assert len(set(seen)) > 500


@pytest.mark.realdata
def test_a_real_supernova_outlives_all_workers(
    data_dir: Path, broker_address: str, unique: str, tmp_path: Path
) -> None:
    """All are killed after its first alert; what they knew of it is needed for the second."""
    alerts = data_dir / "ztf/sn2021rhu"
    records = list(merge(open_inputs([alerts], []), {}))
    parts = records[:1], records[1:]
    text = infant(unique)
    kafka = through_kills(broker_address, unique, text, parts, tmp_path, [0, 1])
    ampelstream("replay", tmp_path / "topology.yml", "--alerts", alerts, "--out", tmp_path / "r")
    assert kafka == (tmp_path / "r" / "candidates.ndjson").read_bytes()
    assert len(json.loads(kafka)["provenance"]["alerts"]) == 2


def infant(name: str) -> str:
    """Text of the shipped topology, under another name."""
    shipped = (REPOSITORY / "topologies" / "infant-supernova.yml").read_text()
    return shipped.replace("name: infant-supernova", f"name: {name}", 1)


def through_kills(
    address: str,
    name: str,
    text: str,
    parts: tuple[Sequence[SourceRecord], Sequence[SourceRecord]],
    directory: Path,
    killed: Sequence[int],
) -> bytes:
    """Candidates of two workers, some killed when there are any; then comes the second part."""
    topology, names = directory / "topology.yml", TopicNames(name)
    topology.write_text(text)
    broker: list[str | Path] = [topology, "--broker", address]
    ampelstream("topics", "create", *broker, "--partitions", str(PARTITIONS), "--yes")
    options = [*broker, "--engine", "faust", "--state", directory / "state"]
    connection, logs = Connection(bootstrap=(address,)), directory / "logs"
    with workers(2, options, logs) as running:
        asyncio.run(load(connection, names, parts[0], create="the test creates them"))
        wait_until(lambda: appeared(address, names) > 0, 60, "there are candidates")
        for index in killed:
            running[index].process.kill()
            assert running[index].process.wait() == -signal.SIGKILL
        asyncio.run(load(connection, names, parts[1], create="the test creates them"))
        for index in killed:
            running[index] = Running(options, logs / f"worker-{index}-again.log", index)
        wait_for_work(address, name)
        assert [worker.stop() for worker in running] == [0, 0]
    ampelstream("candidates", "export", *broker, "--out", directory / "kafka.ndjson")
    return (directory / "kafka.ndjson").read_bytes()


def appeared(address: str, names: TopicNames) -> int:
    """So many candidates were ever produced."""

    async def ends() -> int:
        consumer = AIOKafkaConsumer(bootstrap_servers=address)
        await consumer.start()
        try:
            parts = [TopicPartition(names.candidates, part) for part in range(PARTITIONS)]
            return sum((await consumer.end_offsets(parts)).values())
        finally:
            await consumer.stop()

    return asyncio.run(ends())
