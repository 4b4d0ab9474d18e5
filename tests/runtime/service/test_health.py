import threading

import pytest

from ampelstream.runtime.service.health import Health


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock, stuck_after=60, no_commit_after=120)


def later(clock: Clock, health: Health, seconds: float) -> list[str]:
    clock.now += seconds
    health.beat()
    return health.alive()


def test_a_silent_loop(clock: Clock, health: Health) -> None:
    clock.now += 60
    assert health.alive() == []
    clock.now += 1
    assert health.alive() == ["the event loop was silent for 61 s (limit 60 s)"]
    health.beat()
    assert health.alive() == []


def test_a_handler_that_takes_too_long(clock: Clock, health: Health) -> None:
    with health.busy("objects"):
        assert later(clock, health, 60) == []
        with health.busy("objects"):  # the older of two of one name counts
            assert later(clock, health, 1) == [
                "objects: a handler has been busy for 61 s (limit 60 s)"
            ]
    assert health.alive() == []


def test_a_handler_that_moves_may_take_as_long_as_it_likes(clock: Clock, health: Health) -> None:
    """A unit that takes seconds for each object is slow, and not dead."""
    pulse = health.pulse("objects")
    with health.busy("objects/0"):
        for _ in range(100):
            assert later(clock, health, 59) == []
            pulse()
        reason = "objects/0: a handler has been busy for 61 s (limit 60 s)"
        assert later(clock, health, 61) == [reason]
    assert health.alive() == []
    with health.busy("objects/0"):  # a move of long ago counts for nothing
        assert later(clock, health, 60) == []
        health.pulse("react")()  # nor does one of another step
        assert later(clock, health, 1) == [reason]


def test_one_record_may_take_longer_than_a_commit_may(clock: Clock, health: Health) -> None:
    pulse = health.pulse("objects")
    health.lag("objects", 5)
    assert later(clock, health, 100) == []
    with health.busy("objects/3"):
        for _ in range(10):
            pulse()
            assert later(clock, health, 50) == []
    late = "objects: 5 records wait, and no commit for 600 s (limit 120 s)"
    assert health.alive() == [late]  # and now it has to come
    health.commit("objects")
    assert health.alive() == []


def test_handlers_that_move_and_never_commit(clock: Clock, health: Health) -> None:
    pulse = health.pulse("objects")
    health.lag("objects", 5)
    rounds = 0
    while not health.alive():
        with health.busy("objects/3"):
            pulse()
            later(clock, health, 10)
        rounds += 1
    assert rounds == 13


def test_a_handler_that_fails_is_no_longer_busy(clock: Clock, health: Health) -> None:
    with pytest.raises(ZeroDivisionError), health.busy("objects"):
        1 / 0  # noqa: B018  (raises)
    assert later(clock, health, 1000) == []


def test_handlers_of_many_threads(clock: Clock, health: Health) -> None:
    inside, leave = threading.Barrier(9), threading.Event()

    def work(name: str) -> None:
        for _ in range(200):
            with health.busy(name):
                pass
        with health.busy(name):
            inside.wait()
            leave.wait()

    threads = [threading.Thread(target=work, args=(f"objects/a-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    inside.wait()
    assert len(later(clock, health, 61)) == 8
    leave.set()
    for thread in threads:
        thread.join()
    assert health.alive() == []


def test_lag_without_a_commit(clock: Clock, health: Health) -> None:
    health.lag("objects", 0)
    assert later(clock, health, 500) == []  # nothing to read: nothing to commit
    health.lag("objects", 5)
    assert later(clock, health, 120) == []
    health.lag("objects", 7)  # more that waits is not progress
    late = "objects: 7 records wait, and no commit for 121 s (limit 120 s)"
    assert later(clock, health, 1) == [late]
    health.commit("objects")
    assert later(clock, health, 120) == []
    health.progress("objects")
    assert later(clock, health, 120) == []
    health.lag("objects", 0)
    assert later(clock, health, 500) == []


def test_one_partition_that_stands_is_seen_beside_one_that_goes(
    clock: Clock, health: Health
) -> None:
    for _ in range(13):
        health.lag("objects/a-0", 5)
        health.lag("objects/a-1", 5)
        health.commit("objects/a-0")
        clock.now += 10
        health.beat()
    assert [reason.split(":")[0] for reason in health.alive()] == ["objects/a-1"]
    health.forget("objects/a-1")
    assert health.alive() == []


def test_progress_of_a_step_holds_for_its_partitions_only(clock: Clock, health: Health) -> None:
    health.lag("react/a-1", 5)
    health.lag("reacting/a-1", 5)
    later(clock, health, 100)
    health.progress("react")
    assert [reason.split(":")[0] for reason in later(clock, health, 21)] == ["reacting/a-1"]


def test_a_rebalance_without_end(clock: Clock, health: Health) -> None:
    health.rebalancing("objects", active=True)
    assert later(clock, health, 120) == []
    health.rebalancing("objects", active=True)  # told again: still the same
    reason = "objects: rebalancing, and no progress for 121 s (limit 120 s)"
    assert later(clock, health, 1) == [reason]
    health.rebalancing("objects", active=False)
    assert health.alive() == []


def test_a_long_restore_is_not_killed_while_it_goes_on(clock: Clock, health: Health) -> None:
    health.expect("objects")
    for _ in range(100):
        health.progress("objects/changelog-2")
        assert later(clock, health, 100) == []
    reason = "objects: not ready, and no progress for 121 s (limit 120 s)"
    assert later(clock, health, 21) == [reason]
    health.set_ready("objects", ready=True)
    assert later(clock, health, 1000) == []


def test_time_of_a_hold_does_not_age_the_lag(clock: Clock, health: Health) -> None:
    health.lag("objects/a-1", 5)
    later(clock, health, 100)
    health.rebalancing("objects", active=True)
    assert later(clock, health, 100) == []
    health.rebalancing("objects", active=False)
    assert later(clock, health, 20) == []
    assert len(later(clock, health, 1)) == 1


def test_rebalance_after_rebalance_and_never_a_commit(clock: Clock, health: Health) -> None:
    health.lag("objects/a-1", 5)
    rounds = 0
    while not later(clock, health, 10):
        health.rebalancing("objects", active=True)
        assert later(clock, health, 30) == []
        health.rebalancing("objects", active=False)
        rounds += 1
    assert rounds == 12


def test_ready_needs_all_expected_steps(clock: Clock, health: Health) -> None:
    assert health.ready() == ["no step has been set up yet"]
    health.expect("ingest")
    health.expect("objects")
    health.set_ready("ingest", ready=True)
    assert health.ready() == ["objects: not ready yet"]
    health.expect("ingest")  # again: what it said stays
    health.set_ready("objects", ready=True)
    assert health.ready() == []
    health.rebalancing("objects", active=True)
    assert health.ready() == ["objects: rebalancing"]
    health.rebalancing("objects", active=False)
    clock.now += 61
    health.heard("ingest")
    health.heard("objects")
    assert len(health.ready()) == 1  # what is not alive is not ready


def test_silent_brokers_make_a_step_unready_and_kill_nobody(clock: Clock, health: Health) -> None:
    health.expect("ingest")
    health.expect("objects")
    health.lag("other", 3)  # of no step that this worker runs
    for step in ("ingest", "objects"):
        health.set_ready(step, ready=True)
    assert health.is_ready("objects")
    clock.now += 20
    assert health.ready() == []
    health.heard("ingest")
    health.rebalancing("objects", active=True)
    assert not health.is_ready("objects")
    clock.now += 1
    assert health.ready() == ["objects: no broker answers since 21 s"]  # not only: rebalancing
    assert health.silent() == {"ingest": 1, "objects": 21}
    assert health.alive() == []
    health.expect("objects")  # again: its brokers have not answered by that
    assert health.silent()["objects"] == 21
    health.heard("objects")
    assert health.ready() == ["objects: rebalancing"]
