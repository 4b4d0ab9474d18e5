"""Batches under the faults of test_stock.py: what is committed has its outputs and changelog."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from ampelstream.testing.broker.broker import Broker

pytestmark = pytest.mark.slow
TOO_SMALL = {"max_message_bytes": "500"}


def numbers(count: int, first: int = 0) -> list[tuple[bytes | None, bytes]]:
    return [(None, str(number).encode()) for number in range(first, first + count)]


def texts(count: int, first: int = 0) -> list[bytes]:
    return [value for _, value in numbers(count, first)]


def make_topics(lab: Any, *, output: Any = None, changelog: Any = None) -> None:
    lab.create(lab.source)
    lab.create(lab.output, **(output or {}))
    lab.create(lab.changelog("state"), **(changelog or {}))


def test_all_is_copied_and_committed(lab: Any) -> None:
    make_topics(lab)
    lab.put(lab.source, numbers(100))
    result = lab.play("ours.copy", "ours", records=100)
    assert result == {"failure": None, "seen": 100}
    assert (lab.committed(), lab.values(lab.output)) == (100, texts(100))
    assert len(lab.values(lab.changelog("state"))) == 100


def test_l1_late_rewind(lab: Any) -> None:
    """The race in which stock loses (see test_stock.py), with a changelog to restore."""
    make_topics(lab)
    lab.put(lab.source, numbers(250))
    lab.put(lab.changelog("state"), [(b"seen-x", b"1"), (b"seen-y", b"1")])
    lab.commit(10)
    result = lab.play("ours.copy", "ours", records=250, late_rewind=True)
    assert (result["failure"], result["seen"], lab.committed()) == (None, 242, 250)
    assert sorted(set(lab.values(lab.output)), key=int) == texts(240, 10)


def test_l2_agent_that_raises(lab: Any) -> None:
    """Its whole batch is left: not committed, not in the changelog, not in the database."""
    make_topics(lab)
    lab.put(lab.source, numbers(8))
    result = lab.play("ours.copy", "ours", records=8, poison=3)
    assert "ValueError" in result["failure"]
    assert lab.committed() <= result["seen"] <= 3
    assert len(lab.values(lab.changelog("state"))) == result["seen"]
    again = lab.play("ours.copy", "ours", records=8)
    assert (again["seen"], lab.committed()) == (8, 8)
    assert set(lab.values(lab.output)) == set(texts(8))


def test_l4_output_that_is_refused(lab: Any) -> None:
    make_topics(lab, output=TOO_SMALL)
    long = os.urandom(1000).hex().encode()  # does not shrink when compressed
    lab.put(lab.source, [(None, long)])
    result = lab.play("ours.copy", "ours", records=1)
    assert "ProduceError" in result["failure"]
    assert (result["seen"], lab.committed()) == (0, 0)
    assert lab.values(lab.changelog("state")) == []


def test_l4_changelog_that_is_refused(lab: Any) -> None:
    make_topics(lab, changelog=TOO_SMALL)
    lab.put(lab.source, numbers(4))
    result = lab.play("ours.copy", "ours", records=4)
    assert "ProduceError" in result["failure"]
    assert (result["seen"], lab.committed()) == (0, 0)
    assert set(lab.values(lab.output)) <= set(texts(4))  # sent again by the next start


def test_l5_slow_broker_and_a_kill(own_broker: Broker, make_lab: Callable[[str], Any]) -> None:
    """Killed while a paused broker has everything of a batch but answered nothing."""
    lab = make_lab(own_broker.address)
    make_topics(lab)
    lab.put(lab.source, numbers(200))
    scenario = lab.begin("ours.copy", "ours", records=200, gate=True)
    assert scenario.line() == "fetched"
    own_broker.pause()
    scenario.go()
    with pytest.raises(TimeoutError):
        scenario.wait(1.0)
    scenario.kill()
    own_broker.resume()
    assert lab.committed() == 0
    again = lab.play("ours.copy", "ours", records=200)
    assert (again["failure"], again["seen"], lab.committed()) == (None, 200, 200)
    assert set(lab.values(lab.output)) == set(texts(200))


def test_l4_silence(own_broker: Broker, make_lab: Callable[[str], Any]) -> None:
    """The broker is silent for longer than the outbox waits (1.5 s)."""
    lab = make_lab(own_broker.address)
    make_topics(lab)
    lab.put(lab.source, numbers(100))
    scenario = lab.begin("ours.copy", "ours", records=100, gate=True)
    assert scenario.line() == "fetched"
    own_broker.pause()
    scenario.go()
    with pytest.raises(TimeoutError):
        scenario.wait(3.0)
    own_broker.resume()
    result = scenario.result()
    assert "ProduceError" in result["failure"]
    assert (result["seen"], lab.committed()) == (0, 0)


@pytest.mark.parametrize("failures", [1, 1000])
def test_changelog_that_the_disk_does_not_take(lab: Any, failures: int) -> None:
    """Faust goes on after such an error, and waits for ever where it lasts; we end."""
    make_topics(lab)
    lab.put(lab.source, numbers(3))
    lab.put(lab.changelog("state"), [(b"seen-x", b"1"), (b"seen-y", b"1")])
    result = lab.play("ours.disk", "ours", records=3, failures=failures)
    assert "the disk is full" in result["failure"]
    assert lab.committed() == 0
    again = lab.play("ours.copy", "ours", records=3)
    assert (again["failure"], again["seen"], lab.committed()) == (None, 5, 3)
