"""Evaluations side by side: in order, never beside what they must not go beside, and the same."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.core.accounting import Accounting
from ampelstream.core.evaluation import ALONE, Evaluation, finished, nothing, side_by_side
from ampelstream.core.objects import Objects
from ampelstream.errors import UnitError
from ampelstream.model.announcement import Tick
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.streams import Record
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import BoundUnit, Channel, Topology
from ampelstream.units import Inputs, ObjectUnit

T0 = 2460000.0


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def slept(seconds: float) -> dict[str, Any]:
    time.sleep(seconds)
    return {}


class Watched:
    """Evaluations that say which of them go on."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._going: Counter[str] = Counter()
        self.most = 0

    def evaluation(self, key: str, number: int, waits: list[float]) -> Evaluation[int]:
        assert not (self._going if key == ALONE else self._going[key] + self._going[ALONE])
        self._going[key] += 1
        self.most = max(self.most, self._going.total())
        for seconds in waits:
            yield self._pool.submit(slept, seconds)
        self._going[key] -= 1
        self._going += Counter()  # without zeros
        return number


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", ALONE]), st.lists(st.floats(0, 0.003))),
        max_size=12,
    ),
    at_once=st.integers(1, 4),
)
def test_order_and_neighbours(
    elsewhere: ThreadPoolExecutor, made: list[tuple[str, list[float]]], at_once: int
) -> None:
    watched = Watched(elsewhere)
    tasks = (
        (key, watched.evaluation(key, number, waits)) for number, (key, waits) in enumerate(made)
    )
    assert list(side_by_side(tasks, at_once)) == list(range(len(made)))
    assert watched.most <= at_once


def test_they_do_go_on_at_the_same_time(elsewhere: ThreadPoolExecutor) -> None:
    meeting = threading.Barrier(3)  # nobody passes alone

    def meets(name: str) -> Evaluation[str]:
        computation: Future[Any] = elsewhere.submit(meeting.wait, 10)
        yield computation
        computation.result()
        return name

    assert list(side_by_side(((name, meets(name)) for name in "abc"), 3)) == ["a", "b", "c"]


def test_a_task_is_asked_for_when_there_is_room_for_it(elsewhere: ThreadPoolExecutor) -> None:
    happened: list[str] = []

    def waits(name: str) -> Evaluation[str]:
        happened.append(f"begun {name}")
        yield elsewhere.submit(slept, 0.01)
        happened.append(f"ended {name}")
        return name

    def tasks() -> Iterator[tuple[str, Evaluation[str]]]:
        for name in "abcd":
            ended = sum(one.startswith("ended") for one in happened)
            assert len(happened) - 2 * ended < 2
            yield name, waits(name)

    assert list(side_by_side(tasks(), 2)) == list("abcd")


def test_one_that_never_waits_needs_nobody() -> None:
    assert finished(nothing(3)) == 3
    assert list(side_by_side([("a", nothing(1)), ("a", nothing(2)), (ALONE, nothing(3))], 4)) == [
        1,
        2,
        3,
    ]


# --- objects ------------------------------------------------------------------------------------


class Slow(ObjectUnit):
    """Says how many datapoints there are, or fails."""

    provides: ClassVar[str] = "slow"
    heavy: ClassVar[bool] = True

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        points = len(inputs.lightcurve.datapoints)
        time.sleep(0.0005 * (points % 3))
        if points == 2:
            raise UnitError("two are none")
        return {"points": points}


class After(Slow):
    provides: ClassVar[str] = "after"
    needs: ClassVar[tuple[str, ...]] = ("slow",)


TEXT = """
name: heavy
version: 1
channels:
  all: {region: 0.99, window: [0, 10], units: [{unit: SkyMapProbability}]}
  other: {region: 0.9, window: [0, 5]}
retention: {objects: 110, events: 100}
"""


def with_heavy(topology: Topology, pool: ThreadPoolExecutor | None) -> Topology:
    """The topology with two heavy units in each channel, computed in threads or in place."""

    def bound(name: str, unit: Any) -> BoundUnit[ObjectUnit]:
        start = None if pool is None else (lambda inputs: pool.submit(unit.compute, inputs))
        return BoundUnit(name, unit, name, start=start)

    def channel(one: Channel) -> Channel:
        return replace(one, units=(*one.units, bound("slow", Slow()), bound("after", After())))

    return replace(topology, channels=tuple(map(channel, topology.channels)))


steps: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    object_id=st.sampled_from(["ZTF1", "ZTF2", "ZTF3", "ZTF4", "ZTF5"]),
    candid=st.integers(1, 4),
    jd=st.sampled_from([T0 + 1.0, T0 + 2.0, T0 + 30.0]),
    ra=st.sampled_from([40.0, 41.0, 80.0]),
    channels=st.sampled_from([("all",), ("all", "other"), ("other",)]),
)


class Run:
    """Everything that came of some records, and the bytes of the state."""

    def __init__(self, topology: Topology, at_once: int) -> None:
        self.accounting = Accounting()
        self.backend = MemoryBackend()
        self.state = Transaction(self.backend)
        tally = self.accounting.tally()
        self.objects = Objects(topology, self.state, tally, lambda: 0.0, at_once=at_once)

    def __call__(self, records: list[Record]) -> tuple[Any, ...]:
        outputs = self.objects.process(records)
        while self.objects.pending:
            outputs += self.objects.advance()
            self.state.commit()
        self.state.commit()
        self.objects.committed()
        whole = sorted(self.backend.scan(b"\x01", b"\xff"))
        return outputs, whole, self.accounting.counts()


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(told=st.lists(steps, min_size=4, max_size=12), dice=st.randoms(use_true_random=False))
def test_side_by_side_gives_the_same_bytes_as_one_after_the_other(
    elsewhere: ThreadPoolExecutor,
    make_topology: Callable[[str], Topology],
    make_partition: Any,
    make_detection: Any,
    make_notice: Any,
    told: list[dict[str, Any]],
    dice: Any,
) -> None:
    topology = make_topology(TEXT)
    partition = make_partition(topology)
    notices = [
        partition.announcement(make_notice(event_id=name), offset=n)
        for n, name in enumerate(("SIM1", "SIM2"))
    ]
    said: list[Any] = [make_detection(**facts, offset=n) for n, facts in enumerate(told)]
    for one in (*notices, Tick(T0 + 31, "alerts", 0, T0 + 2000)):
        said.insert(dice.randrange(len(said) + 1), one)
    records = [
        Record(Coordinates("t", 0, n), "events" if one in notices else "detections", one)
        for n, one in enumerate(said)
    ]
    alone = Run(with_heavy(topology, None), 1)(records)
    assert Run(with_heavy(topology, elsewhere), 1)(records) == alone
    assert Run(with_heavy(topology, elsewhere), 3)(records) == alone


def test_a_sweep_evaluates_objects_at_the_same_time(
    make_topology: Callable[[str], Topology],
    make_partition: Any,
    make_detection: Any,
    make_notice: Any,
) -> None:
    topology = make_topology(TEXT)
    meeting = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:

        def start(_inputs: Inputs) -> Any:
            return pool.submit(lambda: {"met": meeting.wait(10) >= 0})

        bound: BoundUnit[Any] = BoundUnit("met", Slow(), "met", start=start)
        channel = replace(topology.channels[0], units=(bound,))
        run = Run(replace(topology, channels=(channel,)), 2)
        partition = make_partition(topology)
        said = [make_detection(f"ZTF{n}", n) for n in range(4)]
        records = [Record(Coordinates("t", 0, n), "detections", one) for n, one in enumerate(said)]
        records.append(
            Record(Coordinates("t", 0, 9), "events", partition.announcement(make_notice()))
        )
        outputs, _, _ = run(records)
    assert [one.value.results[0].body for one in outputs] == [{"met": True}] * 4


def test_the_time_is_looked_at_after_each_object(
    make_topology: Callable[[str], Topology],
    make_partition: Any,
    make_detection: Any,
    make_notice: Any,
) -> None:
    topology = make_topology(TEXT)
    now = 0.0

    def compute(_inputs: Inputs) -> dict[str, Any]:
        nonlocal now
        now += 1.0
        return {}

    bound: BoundUnit[Any] = BoundUnit("slow", Slow(), "slow", compute=compute)
    channel = replace(topology.channels[0], units=(bound,))
    state = Transaction(MemoryBackend())
    topology = replace(topology, channels=(channel,))
    objects = Objects(topology, state, Accounting().tally(), lambda: now)
    said = [make_detection(f"ZTF{n}", n) for n in range(6)]
    said.append(make_partition(topology).announcement(make_notice()))
    streams: list[Any] = ["detections"] * 6 + ["events"]
    objects.process(Record(Coordinates("t", 0, n), streams[n], one) for n, one in enumerate(said))
    assert len(objects.advance(0.1)) == 1
    assert len(objects.advance(1.5)) == 2
    assert len(objects.advance()) == 3
