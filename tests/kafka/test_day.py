"""What happened on a day can be told from its log alone."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ampelstream.testing.broker.broker import Broker

from .day import DEEDS, PACKETS, POISON_EVERY, Day

pytestmark = [pytest.mark.slow, pytest.mark.full, pytest.mark.timeout(900)]

SAYS = {
    "start": ["worker_started", "topology", "started", "assigned", "ready"],
    "night": ["work", "dead_letters"],
    "daytime": [],
    "upgrade": [
        *("worker_started", "topology_accepted", "superseded", "stopped", "worker_superseded"),
        *("started", "assigned", "ready"),
    ],
    "worker_killed": ["worker_died", "worker_started", "assigned", "ready"],
    "broker_restarted": ["connection_lost", "work"],
    "broker_away": ["broker_away", "broker_back", "ready"],
    "disk_full": ["failed", "worker_died", "worker_started", "ready"],
    "stop": ["stopping", "stopped", "worker_stopped"],
}
"""What each deed must be known by, in this order; other lines may stand between."""
BAD = {
    "worker_killed": {"worker_died"},
    "broker_away": {"broker_away", "failed", "worker_died"},
    "disk_full": {"failed", "worker_died"},
}
"""What may be a warning or an error, by deed: nothing that is normal."""


def by_deed(directory: Path, log: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The lines of the log between each deed and the next."""
    deeds = [json.loads(line) for line in (directory / "deeds.ndjson").read_text().splitlines()]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    times = [datetime.fromisoformat(one["time"]) for one in deeds]
    for number, deed in enumerate(deeds):
        until = (
            times[number + 1]
            if number + 1 < len(deeds)
            else datetime.max.replace(tzinfo=times[0].tzinfo)
        )
        yield (
            deed["deed"],
            [one for one in lines if times[number] <= datetime.fromisoformat(one["time"]) < until],
        )


def in_order(wanted: list[str], said: list[str]) -> bool:
    """Whether the words come in this order."""
    left = iter(said)
    return all(word in left for word in wanted)


def test_its_log_tells_of_each_deed_and_of_nothing_else(local_kafka: str, tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", version=local_kafka) as broker:
        day = Day(tmp_path, broker, "json")
        try:
            for one in DEEDS:
                day.do(one)
        finally:
            day.supervisor.process.kill()
            day.supervisor.process.wait()
    found = dict(by_deed(tmp_path, day.log))
    assert found.keys() == SAYS.keys()
    for deed, lines in found.items():
        said = [one["event"] for one in lines]
        assert in_order(SAYS[deed], said), (deed, said)
        bad = {one["event"] for one in lines if one["level"] not in {"info", "debug"}}
        # those of a minute may be said at the beginning of what comes next
        assert bad <= {"dead_letters"} | BAD.get(deed, set()), (deed, bad)
    assert {one["event"] for one in found["daytime"]} <= {"work", "dead_letters"}
    every = [one for lines in found.values() for one in lines]
    letters = sum(one["fields"]["records"] for one in every if one["event"] == "dead_letters")
    assert 0 < letters <= PACKETS // POISON_EVERY
    assert "crashed" not in {one["event"] for one in every}
