"""The real night: notices before, between and after the alerts give the same candidates."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ampelstream.cli.workflow import open_inputs
from ampelstream.model.candidate import Candidate
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.embedded.live import follow
from ampelstream.shipped import topology_path
from ampelstream.sources import open_source
from ampelstream.state.memory import MemoryBackend


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", ["skymap-only", "kilonova"])
def test_notices_before_between_and_after(
    name: str,
    data_dir: Path,
    make_topology: Callable[[str], Any],
    make_driver: Callable[[Any], Any],
) -> None:
    topology = make_topology(topology_path(name).read_text())
    alerts = list(open_source(data_dir / "ztf" / "night-20240115", "alerts").read({}))
    notices = list(open_source(data_dir / "notices" / "lvk-2024-01", "notices").read({}))
    assert (len(alerts), len(notices)) == (849, 30)
    step = len(alerts) // len(notices)
    between = []
    for number, notice in enumerate(reversed(notices)):  # and the later notices first
        between += [notice, *alerts[number * step : (number + 1) * step]]
    between += alerts[len(notices) * step :]
    results = []
    for records in ([*notices, *alerts], [*alerts, *notices], between, [*between, *between[:200]]):
        driver = make_driver(topology)
        for record in records:
            driver.feed(record.stream, record.value, record.member)
        results.append(driver.candidates())
        assert driver.count("dead_letters") == 0
    assert results[0]
    assert all(result == results[0] for result in results[1:])


@pytest.mark.realdata
def test_followed_among_all_ztf_data_the_night_gives_its_candidates(
    data_dir: Path, make_topology: Callable[[str], Any]
) -> None:
    """Live, where is forgotten: files of seven years lie in the directory, in no order of time."""
    topology = make_topology(topology_path("skymap-only").read_text())
    ends = []
    for name in ("ztf/night-20240115", "ztf"):
        engine = Engine(topology, MemoryBackend(), forget=True)
        inputs = open_inputs([data_dir / name], [data_dir / "notices" / "lvk-2024-01"])
        follow(engine, inputs, threading.Event(), once=True)
        assert engine.objects.watermark is not None
        ends.append([plain(one) for one in engine.objects.candidates()])
    assert len(ends[0]) == 811
    assert ends[0] == ends[1]


def plain(candidate: Candidate) -> Candidate:
    """Without its records: the directory stands in their coordinates."""
    provenance = msgspec.structs.replace(candidate.provenance, records=())
    return msgspec.structs.replace(candidate, provenance=provenance)
