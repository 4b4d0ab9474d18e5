"""Alerts that wait for their schema: noted once, held up by no other, handled in the end."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.core.waiting import MANY_SCHEMAS, Waiting
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

DAY = 86_400.0
SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [{"name": "diaSourceId", "type": "long"}],
}
WIDE = "name: wide\nversion: 1\nchannels: {all: {alerts: {survey: lsst}}}\n"


class World:
    """The processor of one partition, its stream, a registry and a clock."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.backend = MemoryBackend()
        self.now = 1000 * DAY
        self.schemas: dict[int, Any] = {}
        self.stream: list[SourceRecord] = []
        self.read = 0
        self.accounting = Accounting()
        self.reopen()

    def known(self, schema_id: int) -> Any:
        return self.schemas.get(schema_id)

    def reopen(self) -> None:
        """As a new process does: what is not committed is gone."""
        self.state = Transaction(self.backend)
        ingest = Ingest(self.topology, self.accounting.tally(), lambda: self.now, schemas=self)
        self.waiting = Waiting(ingest, self.state, self, lambda: self.now, limit_seconds=7 * DAY)

    def park(self, *schema_ids: int) -> None:
        """Put alerts onto the stream, and let the processor read them."""
        for schema_id in schema_ids:
            offset = len(self.stream)
            value = b"\x00" + schema_id.to_bytes(4, "big") + bytes([offset % 250])
            where = Coordinates("alerts", 3, 900 + offset)
            position = Coordinates("parked", 0, offset)
            self.stream.append(
                SourceRecord(where, "alerts", value, since=self.now, position=position)
            )

    def take(self) -> list[Any]:
        """Read the stream to its end, and commit."""
        return self._commit(self.waiting.process(self.stream[self.read :]))

    def resume(self, many: int = 10) -> list[Any]:
        """One round of what need not wait any longer."""
        notes = self.waiting.due(many)
        records = {note.offset: self.stream[note.offset] for note in notes}
        return self._commit(self.waiting.resume(notes, records))

    def _commit(self, outputs: Iterable[Any]) -> list[Any]:
        self.state.commit()
        self.waiting.committed()
        self.read = len(self.stream)
        return [one.value for one in outputs]

    def adds_up(self) -> bool:
        total = self.accounting.total
        ends = total("passed") + total("rejected_by_all") + total("failed")
        return total("received", "parked") == ends == self.read - self.waiting.count


@pytest.fixture
def world(make_topology: Callable[[str], Topology]) -> World:
    return World(make_topology(WIDE))


def test_it_waits_until_its_schema_is_known(world: World) -> None:
    world.park(7, 7)
    assert world.take() == []
    assert (world.waiting.count, world.waiting.schema_ids, world.waiting.pending) == (2, [7], 0)
    assert world.waiting.due(10) == []
    world.schemas[7] = SCHEMA
    assert world.waiting.pending == 1
    letters = world.resume()  # a schema that is none of an alert's: it was looked at, at least
    assert [(one.step, one.error) for one in letters] == [("decode", "DecodeError")] * 2
    assert [one.where for one in letters] == [record.where for record in world.stream]
    assert (world.waiting.count, world.waiting.schema_ids, world.waiting.pending) == (0, [], 0)
    assert world.adds_up()


def test_one_that_is_known_meanwhile_does_not_wait(world: World) -> None:
    world.schemas[7] = SCHEMA
    world.park(7)
    assert len(world.take()) == 1
    assert world.waiting.count == 0
    assert world.adds_up()


def test_one_schema_does_not_hold_up_another(world: World) -> None:
    world.park(7, 8, 7, 8)
    world.take()
    world.schemas[8] = SCHEMA
    assert [one.where.offset for one in world.resume()] == [901, 903]
    assert (world.waiting.count, world.waiting.schema_ids) == (2, [7])


def test_notes_outlive_the_process_and_are_made_once(world: World) -> None:
    world.park(7, 8)
    world.take()
    world.reopen()
    assert (world.waiting.count, world.waiting.schema_ids) == (2, [7, 8])
    world.read = 0
    world.take()  # its offsets were not committed, so they come again
    assert world.waiting.count == 2


def test_what_was_not_committed_is_done_again(world: World) -> None:
    world.park(7)
    world.take()
    world.schemas[7] = SCHEMA
    notes = world.waiting.due(10)
    world.waiting.resume(notes, {0: world.stream[0]})
    world.reopen()
    assert (world.waiting.count, world.waiting.due(10)) == (1, notes)
    world.resume()
    assert world.adds_up()


def test_after_the_limit_it_is_a_dead_letter_that_says_why(world: World) -> None:
    world.park(7, 8)
    world.take()
    world.now += 3 * DAY
    world.park(7)
    world.take()
    world.now += 4 * DAY + 60
    assert world.waiting.pending == 2
    letters = world.resume()
    assert all(isinstance(one, DeadLetter) for one in letters)
    assert [(one.step, one.error, one.where.offset) for one in letters] == [
        ("decode", "UnknownSchema", 900),
        ("decode", "UnknownSchema", 901),
    ]
    assert letters[1].reason == "schema 8 was never known: it was waited for 7.0 days"
    assert letters[0].value == world.stream[0].value
    assert (world.waiting.count, world.waiting.pending) == (1, 0)  # the third came later
    assert world.adds_up()


def test_a_flood_of_numbers_does_not_fill_the_memory(world: World) -> None:
    world.park(*range(1, MANY_SCHEMAS + 1))
    assert world.take() == []
    world.park(MANY_SCHEMAS + 1, 1)
    (letter,) = world.take()
    assert (letter.step, letter.error) == ("decode", "UnknownSchema")
    assert f"schema {MANY_SCHEMAS + 1} is not known, and {MANY_SCHEMAS} others" in letter.reason
    assert world.waiting.count == MANY_SCHEMAS + 1
    assert world.adds_up()


def test_what_the_stream_has_no_longer_is_a_dead_letter_too(world: World) -> None:
    world.park(7)
    world.take()
    world.schemas[7] = SCHEMA
    (note,) = world.waiting.due(1)
    gone = SourceRecord(
        Coordinates("parked", 0, 0), "alerts", b"", fault="removed", since=note.since
    )
    outputs = world.waiting.resume([note], {0: gone})
    letter = outputs[0].value
    assert isinstance(letter, DeadLetter)
    assert (letter.step, letter.reason) == ("read", "removed")
    assert world.waiting.count == 0


def test_all_are_forgotten_where_the_stream_is_another_one(world: World) -> None:
    world.park(7, 8, 7)
    world.take()
    assert world.waiting.forget() == 3
    world.state.commit()
    assert (world.waiting.count, world.waiting.pending) == (0, 0)
    world.reopen()
    assert world.waiting.count == 0


def test_what_holds_its_own_schema_need_not_wait(world: World) -> None:
    world.stream.append(
        SourceRecord(
            Coordinates("alerts", 0, 1),
            "alerts",
            json.dumps({"diaSource": {}}).encode(),
            since=world.now,
            position=Coordinates("parked", 0, 0),
        )
    )
    assert len(world.take()) == 1
    assert world.waiting.count == 0


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("park"), st.integers(1, 4)),
        st.tuples(st.just("learn"), st.integers(1, 4)),
        st.tuples(st.just("resume"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.integers(1, 3)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=40,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # a topology never changes
)
@given(actions=ACTIONS)
def test_each_ends_once_whatever_happens(wide: Topology, actions: list[tuple[str, int]]) -> None:
    world = World(wide)
    ended: list[int] = []
    for what, number in actions:
        if what == "park":
            world.park(number)
            ended += [one.where.offset for one in world.take()]
        elif what == "learn":
            world.schemas[number] = SCHEMA
        elif what == "resume":
            ended += [one.where.offset for one in world.resume(number)]
        elif what == "wait":
            world.now += number * DAY
        else:
            world.reopen()
        assert world.adds_up()
    world.now += 8 * DAY
    while world.waiting.pending:
        ended += [one.where.offset for one in world.resume()]
    assert sorted(ended) == [900 + n for n in range(len(world.stream))]
