"""What the Faust side tells, as metrics and health have it."""

import pytest
from faust.types import TP
from prometheus_client import CollectorRegistry

from ampelstream.core.accounting import Accounting
from ampelstream.runtime.faust.watching import Watching
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics

ONE, TWO = TP("source", 1), TP("source", 2)


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.metrics = Metrics(Accounting(), CollectorRegistry(), clock=lambda: self.now)
        self.health = Health(clock=lambda: self.now, no_commit_after=10.0)
        self.watching = Watching(self.metrics, self.health, clock=lambda: self.now)

    def shown(self, text: str) -> bool:
        return text in self.metrics.render().decode()


@pytest.fixture
def world() -> World:
    return World()


def test_a_partition_that_went_elsewhere_has_no_lag_here(world: World) -> None:
    world.watching.lag("objects", {ONE: 6, TWO: 10})
    assert world.shown('{partition="1",step="objects",topic="source"} 6.0')
    world.watching.lag("objects", {TWO: 10})
    assert not world.shown('partition="1"')
    assert world.shown('partition="2"')


def test_a_lag_without_commits_is_a_reason_to_end(world: World) -> None:
    world.health.expect("objects")
    world.watching.ready("objects", ready=True)
    world.watching.lag("objects", {ONE: 6})
    world.now += 11.0
    world.health.beat()
    assert world.health.alive()
    world.watching.committed("objects")
    assert not world.health.alive()
    assert world.shown('ampelstream_commit_age_seconds{step="objects"} 0.0')


def test_a_sweep_is_measured_from_its_event_to_its_last_object(world: World) -> None:
    world.watching.sweeping(0, 0)
    for events in (1, 2, 1, 0, 0):
        world.watching.sweeping(0, events)
        world.now += 1.0
    assert world.shown("ampelstream_sweep_seconds_count 1.0")
    assert world.shown("ampelstream_sweep_seconds_sum 3.0")
