"""A record that kills is set aside after three deaths; what lies behind it is handled."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.service.journal import DEATHS

from .looking import dead, incidents
from .small import IN_REGION, Small
from .test_stuck import REPOSITORY
from .workers import Running, wait_for_work

ALERTS = 40


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("how", "stream", "step"),
    [
        ("alert", "detections", "objects"),
        pytest.param("sweep", "events", "match", marks=pytest.mark.full),
        pytest.param("filter", "alerts", "ingest", marks=pytest.mark.full),
    ],
)
def test_a_record_that_kills(
    how: str,
    stream: str,
    step: str,
    broker_address: str,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    marker = tmp_path / "marker"
    kind, unit = ("filters", "Deadly") if how == "filter" else ("units", "Killer")
    entry = {"unit": f"tests.kafka.units:{unit}", "config": {"marker": str(marker)}}
    kinds: dict[str, Any] = {kind: [entry]}
    small = Small(broker_address, unique, tmp_path, **kinds)
    if how != "sweep":
        small.announce()
    worker = small.worker()
    try:
        wait_for_work(broker_address, unique)
        bad = victim(small)
        marker.write_text(str(bad))
        small.feed(range(1, ALERTS + 1))
        if how == "sweep":
            wait_for_work(broker_address, unique)
            small.announce()
        for _ in range(DEATHS):
            assert worker.process.wait(60) == 9
            worker = small.worker()
        wait_for_work(broker_address, unique)
        assert worker.stop() == 0
    finally:
        worker.process.kill()
        worker.process.wait()
    found = dead(broker_address, small.names)
    assert [(one.stream, one.step, one.error) for one in found] == [(stream, step, "WorkerDied")]
    check_what_was_told(worker, found[0], how)
    whole = Counter(range(1, ALERTS + 1))
    # an object whose last alert was set aside is a candidate by the others
    in_state, candidates = (
        (whole, IN_REGION - 1) if how == "sweep" else (whole - Counter([bad]), IN_REGION)
    )
    assert small.alerts() == in_state
    assert small.export("out.ndjson").count(b"\n") == candidates


def victim(small: Small) -> int:
    """The last alert of the object that is nearest to the middle of the event."""

    def distance(number: int) -> float:
        ra, dec = small.stream._places[small.stream._owners[number - 1]]
        return math.hypot(ra - 40.0, dec)

    return min(range(ALERTS - small.stream.objects + 1, ALERTS + 1), key=distance)


def check_what_was_told(worker: Running, letter: DeadLetter, how: str) -> None:
    told = [one["fields"] | one for one in incidents(worker, "died_in_hand")]
    assert [one["deaths"] for one in told] == list(range(1, DEATHS + 1))
    if how == "sweep":
        assert {one["event_id"] for one in told} == {"SIM230225a"}
    else:
        place = {(one["source"], one["partition"], one["offset"]) for one in told}
        assert place == {(letter.where.source, letter.where.partition, letter.where.offset)}
    assert "it becomes a dead letter" in worker.log.read_text()
