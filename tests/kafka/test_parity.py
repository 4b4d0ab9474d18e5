"""Kafka gives what the embedded replay gives, byte for byte, however the work is shared."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.simulate import Night

from .workers import ampelstream, wait_for_work, workers

TOPOLOGY = """
name: {name}
version: 1
channels:
  sky:
    region: 0.9
    window: [0, 10]
    lightcurve: {{before: 50, after: 10}}
    units: [{{unit: SkyMapProbability}}, {{unit: RiseDecline}}]
    rank_by: {{field: SkyMapProbability.cumprob, order: ascending}}
react: [{{name: near, when: SkyMapProbability.cumprob < 0.9, sinks: [{{file: near.ndjson}}]}}]
"""


def through_kafka(
    address: str,
    name: str,
    inputs: list[str | Path],
    directory: Path,
    shape: tuple[int, int],
    *,
    text: str = "",
) -> tuple[bytes, bytes]:
    """Candidates of a run on Kafka and of the embedded replay, of a text of a topology or ours."""
    partitions, count = shape
    topology = directory / "topology.yml"
    topology.write_text(text or TOPOLOGY.format(name=name))
    broker: list[str | Path] = [topology, "--broker", address]
    ampelstream("topics", "create", *broker, "--partitions", str(partitions), "--yes")
    state: list[str | Path] = ["--engine", "faust", "--state", directory / "state"]
    with workers(count, [*broker, *state], directory / "logs") as running:
        ampelstream("topics", "load", *broker, *inputs)
        wait_for_work(address, name)
        codes = [worker.stop() for worker in running]
    assert codes == [0] * count, [worker.log.read_text()[-2000:] for worker in running]
    ampelstream("candidates", "export", *broker, "--out", directory / "kafka.ndjson")
    ampelstream("replay", topology, *inputs, "--out", directory / "replay", check=False)
    kafka = (directory / "kafka.ndjson").read_bytes()
    return kafka, (directory / "replay" / "candidates.ndjson").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shape", [(1, 1), (4, 3)], ids=str)
def test_a_simulated_night(
    shape: tuple[int, int],
    make_night: Callable[..., Night],
    broker_address: str,
    unique: str,
    tmp_path: Path,
) -> None:
    night = make_night(seed=7, alerts=600)
    inputs: list[str | Path] = ["--alerts", night.alerts, "--notices", night.notices]
    kafka, replay = through_kafka(broker_address, unique, inputs, tmp_path, shape)
    assert kafka.count(b"\n") > 20
    assert kafka == replay


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.timeout(300)
@pytest.mark.full
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 1), (2, 3), (4, 1), (4, 3)], ids=str)
def test_the_night_of_2024_01_15(
    shape: tuple[int, int], data_dir: Path, broker_address: str, unique: str, tmp_path: Path
) -> None:
    alerts, notices = data_dir / "ztf/night-20240115", data_dir / "notices/lvk-2024-01"
    inputs: list[str | Path] = ["--alerts", alerts, "--notices", notices]
    kafka, replay = through_kafka(broker_address, unique, inputs, tmp_path, shape)
    assert kafka.count(b"\n") == 811
    assert kafka == replay
