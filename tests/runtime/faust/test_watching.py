"""What the Faust side tells, as metrics and health have it."""

import logging

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
    assert world.shown('ampelstream_commit_age_seconds{step="objects"} 11.0')
    world.watching.committed("objects")
    assert not world.health.alive()
    assert world.shown('ampelstream_commit_age_seconds{step="objects"} 0.0')


def test_brokers_that_do_not_answer_leave_the_lag_unknown(world: World) -> None:
    world.health.expect("objects")
    world.health.expect("ingest-parked")
    for step in ("objects", "ingest-parked"):
        world.watching.ready(step, ready=True)
        world.watching.lag(step, {ONE: 6})
    assert world.health.ready() == []
    for _ in range(5):
        world.now += 5.0
        world.health.beat()
        for step in ("objects", "ingest-parked"):
            world.watching.unanswered(step)
            world.watching.progress(step)
    assert world.shown('{partition="1",step="objects",topic="source"} NaN')
    assert world.shown('ampelstream_commit_age_seconds{step="objects"} NaN')
    assert world.health.alive() == []  # a new start would not bring them back
    assert world.health.ready() == [
        "ingest-parked: no broker answers since 25 s",
        "objects: no broker answers since 25 s",
    ]
    for step in ("objects", "ingest-parked"):
        world.watching.lag(step, {ONE: 0})
    assert world.health.ready() == []
    assert world.shown('{partition="1",step="objects",topic="source"} 0.0')
    assert world.shown('ampelstream_commit_age_seconds{step="objects"} 0.0')


def test_a_commit_is_a_sign_of_the_brokers(world: World) -> None:
    world.health.expect("objects")
    world.now += 25.0
    assert world.health.silent() == {"objects": 25.0}
    world.watching.committed("objects")
    assert world.health.silent() == {"objects": 0.0}


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{one.incident.event}: {one.incident}" for one in caplog.records]  # type: ignore[attr-defined]  # (set by extra=)


def test_partitions_that_come_and_go_are_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    several = {TP("a", n) for n in (0, 1, 2, 5, 7, 8)} | {TP("b", 3)}
    world.watching.assigned("objects", several)
    world.watching.revoked("objects", {TP("a", 5)})
    world.watching.revoked("objects", set())  # it had none: nothing happens
    world.watching.assigned("objects", set())
    given = "these partitions are given back for a rebalance"
    assert events(caplog) == [
        "assigned: these partitions are ours (step=objects, partitions=[a[0-2,5,7-8], b[3]])",
        f"revoked: {given} (step=objects, partitions=[a[5]])",
        "assigned: no partition is ours (step=objects)",
    ]


def test_a_restore_is_told_at_its_ends(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world.watching.restored("react", 0, 0)
    world.watching.restored("react", 0, 0)
    assert caplog.records == []  # there was nothing to restore
    world.watching.restored("objects", 0, 900)
    world.now += 2.5
    world.watching.restored("objects", 400, 450)
    assert world.shown('ampelstream_restore_left_records{step="objects"} 450.0')
    world.watching.restored("objects", 300, 0)
    world.watching.restored("objects", 0, 0)
    assert events(caplog) == [
        "restore_begun: restoring the state from its changelog (step=objects, records=900)",
        "restore_done: the state is whole (step=objects, records=700, seconds=2.5)",
    ]


def test_a_sweep_is_measured_from_its_event_to_its_last_object(world: World) -> None:
    world.watching.sweeping(0, 0)
    for events in (1, 2, 1, 0, 0):
        world.watching.sweeping(0, events)
        world.now += 1.0
    assert world.shown("ampelstream_sweep_seconds_count 1.0")
    assert world.shown("ampelstream_sweep_seconds_sum 3.0")


def test_of_a_step_that_has_ended_nothing_is_shown(world: World) -> None:
    step = "ingest-alerts-backfill"
    world.watching.ready(step, ready=True)
    world.watching.lag(step, {ONE: 6})
    world.metrics.step(step, ready=True, silent=0.0, partitions=2, inbox=5)
    assert world.shown(f'ampelstream_step_ready{{step="{step}"}} 1.0')
    world.watching.forget(step)
    world.watching.forget("never known")
    assert not world.shown(step)
    world.now += 11.0
    world.health.beat()
    assert world.health.alive() == []


def test_that_all_alerts_fail_is_said_once_and_seen_on_metrics_and_readiness(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.health.expect("ingest")
    world.watching.ready("ingest", ready=True)
    world.watching.all_failed("ingest", "")
    assert not world.shown("all_failing{")
    assert world.health.ready() == []
    for _ in range(3):
        world.watching.all_failed("ingest", "the first 200 alerts all failed")
    [record] = caplog.records
    assert record.message.startswith("the first 200 alerts all failed")
    assert record.levelno == logging.ERROR
    assert world.shown('ampelstream_all_failing{step="ingest"} 1.0')
    assert world.health.ready() == ["ingest: the first 200 alerts all failed"]
    assert world.health.alive() == []  # a restart would not help
    world.watching.forget("ingest")
    assert not any("200" in reason for reason in world.health.ready())
