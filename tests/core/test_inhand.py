"""What is in hand is said before it is handled; what may not be handled is set aside."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.core.inhand import What
from ampelstream.core.objects import Objects
from ampelstream.core.react import React
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Record
from ampelstream.simulate import simulate_packets
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import BoundUnit, Topology
from ampelstream.units.context.skymapprobability import SkyMapProbability

EVENT = "SIM230225a"


class Hand:
    """Remembers what was said."""

    def __init__(self, *bad: What) -> None:
        self.bad = bad
        self.holds: list[What] = []
        self.said: list[str] = []
        self.suspected: set[What] = set()
        self.together: list[Coordinates] = []
        self.looked: list[list[int]] = []

    def doubtful(self, what: What) -> bool:
        return what in self.suspected

    def begin(self, what: What) -> str:
        self.holds.append(what)
        self.said.append(f"begin {name(what)}")
        return "killed us" if what in self.bad else ""

    def end(self, what: What) -> None:
        self.holds.remove(what)
        self.said.append(f"end {name(what)}")

    def begin_all(self, whats: Sequence[Coordinates]) -> bool:
        self.together = list(whats)
        return not any(map(self.doubtful, whats))

    def end_all(self) -> None:
        self.looked.append([one.offset for one in self.together])
        self.together = []

    def committed(self) -> None:
        self.said.append("committed")


def name(what: What) -> str:
    return str(what.offset) if isinstance(what, Coordinates) else what[1]


def at(offset: int) -> Coordinates:
    return Coordinates("topic", 2, offset)


def letters(outputs: list[Any]) -> list[DeadLetter]:
    return [one.value for one in outputs if isinstance(one.value, DeadLetter)]


def test_alerts_are_looked_at_together_unless_one_of_them_may_have_killed(wide: Topology) -> None:
    packets = simulate_packets(4)
    records = [SourceRecord(at(n), "alerts", packet) for n, packet in enumerate(packets)]
    hand = Hand()
    expected = Ingest(wide, Accounting().tally(), lambda: 4e9, in_hand=hand).process(records)
    assert hand.looked == [[0, 1, 2, 3]]
    assert len(letters(expected)) == 0 < len(expected)

    hand = Hand(at(2))
    hand.suspected = {at(2)}
    alone = Ingest(wide, Accounting().tally(), lambda: 4e9, in_hand=hand)
    outputs = alone.process(records)
    assert hand.said == [f"{what} {n}" for n in range(4) for what in ("begin", "end")]
    [letter] = letters(outputs)
    assert (letter.where.offset, letter.error) == (2, "WorkerDied")
    left = [one for one in expected if getattr(one.value, "where", at(2)).offset != 2]
    assert [one for one in outputs if one.value is not letter] == left


def test_ingest_sets_aside_what_killed(wide: Topology, make_notice: Callable[..., bytes]) -> None:
    hand, accounting = Hand(at(1)), Accounting()
    ingest = Ingest(wide, accounting.tally(), lambda: 4e9, in_hand=hand)
    records = [
        SourceRecord(
            Coordinates("first", 0, n), "notices", make_notice(), position=at(n), expires=True
        )
        for n in range(3)
    ]
    outputs = ingest.process(records)
    assert [one.stream for one in outputs] == ["events", "dead-letters", "events"]
    [letter] = letters(outputs)
    assert (letter.step, letter.error, letter.reason) == ("ingest", "WorkerDied", "killed us")
    assert letter.value == records[1].value
    ingest.committed()
    assert hand.said[-1] == "committed"
    assert hand.said[:-1] == [f"{what} {n}" for n in range(3) for what in ("begin", "end")]
    count = accounting.total
    assert count("received") == count("announced") + count("failed") == 3


def test_objects_set_aside_what_killed_without_looking_into_it(
    wide: Topology, make_detection: Any
) -> None:
    hand = Hand(at(1))
    objects = Objects(
        wide, Transaction(MemoryBackend()), Accounting().tally(), lambda: 0.0, in_hand=hand
    )
    first, last = make_detection("ZTF1", 1), make_detection("ZTF2", 2)
    values: list[Any] = [first, b"\xffnever decoded", last]
    [letter] = letters(
        objects.process(Record(at(n), "detections", one) for n, one in enumerate(values))
    )
    assert (letter.where, letter.stream, letter.step) == (at(1), "detections", "objects")
    assert (letter.error, letter.value) == ("WorkerDied", b"\xffnever decoded")
    assert [one.object_id for one in objects.store] == ["ZTF1", "ZTF2"]
    # what is decoded is named by its alert: a copy of it on the stream is the same suspect
    begun = [0, first.where.offset, 1, 2, last.where.offset]
    assert hand.said == [f"{what} {n}" for n in begun for what in ("begin", "end")]


def test_objects_set_aside_every_copy_of_what_killed(wide: Topology, make_detection: Any) -> None:
    value = make_detection("ZTF1", 1)
    objects = Objects(
        wide,
        Transaction(MemoryBackend()),
        Accounting().tally(),
        lambda: 0.0,
        in_hand=Hand(value.where),
    )
    found = letters(objects.process(Record(at(n), "detections", value) for n in range(2)))
    assert [(one.error, one.where) for one in found] == [("WorkerDied", value.where)] * 2


def test_a_sweep_goes_on_behind_the_object_that_killed(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Callable[..., bytes]
) -> None:
    hand = Hand((EVENT, "ZTF2"))
    objects = Objects(
        wide, Transaction(MemoryBackend()), Accounting().tally(), lambda: 0.0, in_hand=hand
    )
    said: list[Any] = [make_detection(f"ZTF{n}", n) for n in range(1, 4)]
    said.append(make_partition(wide).announcement(make_notice()))
    streams: list[Any] = ["detections"] * 3 + ["events"]
    objects.process(Record(at(n), streams[n], one) for n, one in enumerate(said))
    hand.said.clear()
    outputs = objects.advance()
    assert hand.said == [f"{what} ZTF{n}" for n in (1, 2, 3) for what in ("begin", "end")]
    [letter] = letters(outputs)
    assert (letter.stream, letter.step, letter.error) == ("events", "match", "WorkerDied")
    assert letter.reason == f"object ZTF2 against event {EVENT}: killed us"
    found = [one.value.object_id for one in outputs if isinstance(one.value, Candidate)]
    assert found == ["ZTF1", "ZTF3"]
    assert objects.pending == 0


def test_react_sets_aside_what_killed(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Callable[..., bytes]
) -> None:
    [candidate] = make_partition(wide).take(make_notice(), make_detection())
    hand = Hand(at(0))
    react = React(
        wide, Transaction(MemoryBackend()), Accounting().tally(), lambda: 0.0, in_hand=hand
    )
    outputs = react.process(Record(at(n), "candidates", candidate) for n in range(2))
    assert [one.stream for one in outputs] == ["dead-letters", "reactions"]
    [letter] = letters(outputs)
    assert (letter.step, letter.error, letter.where) == ("react", "WorkerDied", at(0))
    assert hand.said == [f"{what} {n}" for n in range(2) for what in ("begin", "end")]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


DOUBTFUL = {at(3), at(4), (EVENT, "ZTF2"), (EVENT, "ZTF3")}


@pytest.mark.parametrize(("doubtful", "most_at_once"), [(set(), [4, 4]), (DOUBTFUL, [3, 2])])
def test_what_was_in_hand_at_a_death_is_handled_alone(
    doubtful: set[What],
    most_at_once: list[int],
    wide: Topology,
    make_partition: Any,
    make_detection: Any,
    make_notice: Callable[..., bytes],
    pool: ThreadPoolExecutor,
) -> None:
    """Several things are in hand at once where units are heavy: so it is seen which one it is."""
    hand, most = Hand(), 0

    def start(_inputs: Any) -> Any:
        nonlocal most
        most = max(most, len(hand.holds))
        assert not (hand.suspected.intersection(hand.holds) and len(hand.holds) > 1)
        return pool.submit(lambda: {"cumprob": 0.5})

    bound: BoundUnit[Any] = BoundUnit("one", SkyMapProbability(), "one", start=start)
    topology = replace(wide, channels=(replace(wide.channels[0], units=(bound,)),))
    state, tally = Transaction(MemoryBackend()), Accounting().tally()
    objects = Objects(topology, state, tally, lambda: 0.0, in_hand=hand, at_once=4)
    partition = make_partition(topology)
    revisions = make_notice(), make_notice(created="2023-02-26T00:05:00Z", width_deg=6.0)
    first, second = (Record(at(100), "events", partition.announcement(one)) for one in revisions)
    objects.process([first])
    hand.suspected = doubtful
    found: list[int] = []
    said = [Record(at(n), "detections", make_detection(f"ZTF{n}", n)) for n in range(6)]
    assert len(objects.process(said)) == 6
    found.append(most)
    objects.process([second])
    most = 0
    assert len(objects.advance()) == 6
    found.append(most)
    assert found == most_at_once
    assert hand.holds == []


def test_what_is_in_hand_when_the_processor_fails_stays_there(
    wide: Topology, make_detection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours may be the record's doing, too; whatever ends the worker, it is named."""
    hand = Hand()
    objects = Objects(
        wide, Transaction(MemoryBackend()), Accounting().tally(), lambda: 0.0, in_hand=hand
    )

    def broken(*_args: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(objects, "_outputs", broken)
    monkeypatch.setattr(objects, "_failed", broken)
    with pytest.raises(MemoryError):
        objects.process([Record(at(5), "detections", make_detection())])
    assert hand.holds == [make_detection().where]
