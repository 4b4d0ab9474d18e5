"""Slow units: commits come all the same, a stop is soon heard, and a kill costs little work."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.simulate import simulate_notice
from ampelstream.state.memory import MemoryBackend
from ampelstream.topology import BoundUnit, Topology
from ampelstream.units import Inputs, ObjectUnit

T0 = 2460000.0
OBJECTS = 20
MOST = 2.3
"""So much work may be uncommitted: a portion behind the end of a sweep [s]."""
TEXT = (
    "name: slow\nversion: 1\nchannels: {all: {window: [0, 10], units: [{unit: SkyMapProbability}]}}"
)


class Killed(BaseException):
    """The process is no more."""


class Clock:
    """Goes on by what units take, until it kills."""

    def __init__(self, seconds: float = 0.4, kill_after: float = float("inf")) -> None:
        self.now = 0.0
        self._seconds = seconds
        self._kill_after = kill_after

    def __call__(self) -> float:
        return self.now

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        self.now += self._seconds
        if self.now > self._kill_after:
            raise Killed
        return {"points": len(inputs.lightcurve.datapoints)}


class Slow(ObjectUnit):
    provides: ClassVar[str] = "points"
    needs_event: ClassVar[bool] = True  # else it would not compute again for a revision


class Store(MemoryBackend):
    """Knows when it was written to."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.written: list[float] = []

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        self.written.append(self._clock())
        super().write(batch)


@pytest.fixture
def topology(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(TEXT)


def slowed(topology: Topology, clock: Clock) -> Topology:
    channel = topology.channels[0]
    slow: BoundUnit[Any] = BoundUnit("slow", Slow(), "slow", compute=clock.compute)
    return replace(topology, channels=(replace(channel, units=(*channel.units, slow)),))


@pytest.fixture
def records(make_row: Callable[..., Any]) -> list[SourceRecord]:
    """Objects; an event near all of them; an alert more of each; a revision of the event."""
    made: list[SourceRecord] = []

    def add(stream: Stream, *values: Any) -> None:
        for value in values:
            made.append(SourceRecord(Coordinates(stream, 0, len(made)), stream, value))

    def rows(first: int, jd: float) -> Iterator[Any]:
        for n in range(OBJECTS):
            yield make_row(f"ZTF{n:02d}", first + n, jd, 40.0 + 0.01 * n, 0.0)

    def notice(created: str, width: float) -> bytes:
        facts: dict[str, Any] = {"event_id": "SIM230225a", "alert_type": "UPDATE", "t0_jd": T0}
        where: dict[str, Any] = {"ra": 40.0, "dec": 0.0, "width_deg": width, "order": 5}
        return simulate_notice(time_created=created, **facts, **where)

    add("alerts", *rows(1, T0 + 1))
    add("notices", notice("2023-02-25T00:05:00Z", 5.0))
    add("alerts", *rows(100, T0 + 2))
    add("notices", notice("2023-02-25T01:05:00Z", 6.0))
    return made


def whole(store: MemoryBackend) -> list[tuple[bytes, bytes]]:
    return sorted(store.scan(b"\x01", b"\xff"))


def test_commits_come_however_long_units_take(
    topology: Topology, records: list[SourceRecord]
) -> None:
    clock = Clock()
    store = Store(clock)
    engine = Engine(slowed(topology, clock), store, clock=clock)
    outputs = engine.process(records)
    engine.commit()
    assert len(outputs) == 3 * OBJECTS
    assert clock.now == pytest.approx(3 * OBJECTS * 0.4)
    gaps = [
        after - before for before, after in zip([0.0, *store.written], store.written, strict=False)
    ]
    assert max(gaps) <= MOST, gaps


@pytest.mark.parametrize("kill_after", [2.0, 7.9, 9.0, 12.0, 17.0, 23.8])
def test_a_kill_costs_about_two_seconds_of_work_and_changes_nothing(
    topology: Topology, records: list[SourceRecord], kill_after: float
) -> None:
    """Also in the middle of a sweep, which goes on where the last commit was."""
    ends = []
    for kill in (float("inf"), kill_after):
        clock = Clock(kill_after=kill)
        store = Store(clock)
        engine = Engine(slowed(topology, clock), store, clock=clock)
        try:
            engine.process(records)
        except Killed:
            clock = Clock()
            done = kill_after - store.written[-1]
            assert done <= MOST
            engine = Engine(slowed(topology, clock), store, clock=clock)
            engine.catch_up()
            after = engine.progress.offsets()
            engine.process(
                [one for one in records if one.where.offset > after.get((one.where.source, 0), -1)]
            )
            assert clock.now < 3 * OBJECTS * 0.4 - kill_after + MOST + 0.5
        engine.commit()
        assert engine.accounting.total("received") == len(records)
        ends.append(whole(store))
    assert ends[0] == ends[1]


def test_a_sweep_that_was_interrupted_needs_no_further_record(
    topology: Topology, records: list[SourceRecord]
) -> None:
    clock = Clock(kill_after=22.0)
    store = Store(clock)
    with pytest.raises(Killed):
        Engine(slowed(topology, clock), store, clock=clock).process(records)
    engine = Engine(topology, store)
    assert engine.progress.offsets()["notices", 0] == records[-1].where.offset
    assert engine.objects.pending == 1
    engine.catch_up()
    assert engine.objects.pending == 0


def test_a_stop_is_heard_within_about_a_second(
    topology: Topology, records: list[SourceRecord]
) -> None:
    undisturbed = Engine(topology, MemoryBackend())
    undisturbed.process(records)
    for stop_at in (0.1, 6.0, 10.0, 20.0):
        clock = Clock()
        store = Store(clock)
        engine = Engine(slowed(topology, clock), store, clock=clock)
        engine.process(records, lambda: clock.now >= stop_at)  # noqa: B023  (called here and now)
        engine.finish()
        assert clock.now <= stop_at + 1.3
        again = Engine(slowed(topology, Clock()), store)
        again.catch_up()
        after = again.progress.offsets()
        again.process(
            [one for one in records if one.where.offset > after.get((one.where.source, 0), -1)]
        )
        keys = [one.key for one in undisturbed.objects.candidates()]
        assert [one.key for one in again.objects.candidates()] == keys


def test_heavy_units_side_by_side_give_the_same_state(
    topology: Topology, records: list[SourceRecord]
) -> None:
    ends = []
    clock = Clock(seconds=0.0)
    with ThreadPoolExecutor(3) as pool:
        for at_once in (1, 3):
            channel = topology.channels[0]
            bound: BoundUnit[Any] = BoundUnit(
                "slow", Slow(), "slow", start=lambda inputs: pool.submit(clock.compute, inputs)
            )
            heavy = replace(topology, channels=(replace(channel, units=(*channel.units, bound)),))
            store = MemoryBackend()
            engine = Engine(heavy, store, at_once=at_once)
            outputs = engine.process(records)
            engine.commit()
            ends.append((outputs, whole(store)))
    assert ends[0] == ends[1]
