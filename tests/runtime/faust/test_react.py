"""The work of the react step on one partition: decide, then hand over, then note."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ampelstream.codecs import own
from ampelstream.model.reaction import Reaction
from ampelstream.model.record import Stream
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.runtime.faust.objects import ObjectsTask
from ampelstream.runtime.faust.react import ReactTask
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.memory import MemoryBackend
from ampelstream.topology import Topology


class Sink:
    """Takes reactions, except while it is broken."""

    name = "sink"

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.broken = False

    def send(self, reaction: Reaction) -> None:
        if self.broken:
            raise OSError("no route to host")
        self.taken.append(reaction.id)


class Partition:
    """A task on a database, which can be made anew on the same."""

    def __init__(self, topology: Topology, names: TopicNames) -> None:
        self._topology, self._names = topology, names
        self.backend, self.sink, self.metrics = MemoryBackend(), Sink(), Metrics()
        self.now = 0.0
        self.again()

    def again(self) -> None:
        self.task = ReactTask(
            self._topology,
            self._names,
            self.backend,
            Dispatcher({"all": [self.sink]}),
            self.metrics,
            retry_seconds=10.0,
            clock=lambda: self.now,
        )

    def commit(self) -> None:
        self.backend.write(self.task.tables.changes())
        self.task.tables.rollback()


@pytest.fixture
def partition(small: Topology, names: TopicNames) -> Partition:
    return Partition(small, names)


@pytest.fixture
def candidates(
    small: Topology,
    names: TopicNames,
    ingested: Mapping[Stream, list[Any]],
    make_record: Callable[..., Any],
) -> list[Any]:
    """A few records of the topic of candidates, each of another candidate."""
    objects = ObjectsTask(small, names, 0, MemoryBackend(), Metrics())
    objects.handle(ingested["notices"])
    while objects.background() is not None:
        pass
    last = {one.key: one.value or b"" for one in objects.handle(ingested["alerts"])}
    active = [v for v in last.values() if own.decode_candidate(v).status.value == "active"]
    return [make_record(names.candidates, n, value) for n, value in enumerate(active[:5])]


def test_decided_then_sent_then_noted(
    partition: Partition, candidates: list[Any], names: TopicNames
) -> None:
    out = partition.task.handle(candidates)
    decided = [own.decode_reaction(one.value or b"").id for one in out]
    assert (len(set(decided)), {one.topic for one in out}) == (5, {names.reactions})
    assert [one.key for one in out] == [one.encode() for one in decided]
    assert partition.sink.taken == []  # not before it is durable
    partition.commit()
    assert partition.task.background() == []
    assert partition.sink.taken == decided
    partition.commit()
    assert partition.task.background() is None
    assert partition.task.handle(candidates) == []


def test_killed_before_the_hand_over(partition: Partition, candidates: list[Any]) -> None:
    partition.task.handle(candidates)
    partition.commit()
    partition.again()
    assert partition.task.background() == []
    assert len(partition.sink.taken) == 5


def test_killed_after_it_was_noted(partition: Partition, candidates: list[Any]) -> None:
    partition.task.handle(candidates)
    partition.commit()
    partition.task.background()
    partition.commit()
    partition.again()
    assert partition.task.background() is None
    assert len(partition.sink.taken) == 5


def test_sink_that_fails_is_tried_again_later(partition: Partition, candidates: list[Any]) -> None:
    partition.sink.broken = True
    partition.task.handle(candidates)
    assert partition.task.background() == []
    partition.sink.broken = False
    partition.now = 9.9
    assert partition.task.background() is None
    partition.now = 10.0
    assert partition.task.background() == []
    assert len(partition.sink.taken) == 5
    text = partition.metrics.render()
    for outcome in (b"decided", b"failed", b"sent"):
        assert b'outcome="%s",rule="all"} 5.0' % outcome in text


def test_something_new_is_not_kept_waiting(partition: Partition, candidates: list[Any]) -> None:
    partition.sink.broken = True
    partition.task.handle(candidates[:1])
    partition.task.background()
    partition.sink.broken = False
    partition.task.handle(candidates[1:2])
    assert partition.task.background() == []
    assert len(partition.sink.taken) == 2


def test_poison_becomes_a_dead_letter(
    partition: Partition,
    candidates: list[Any],
    names: TopicNames,
    make_record: Callable[..., Any],
) -> None:
    poison = make_record(names.candidates, 77, b"not ours")
    out = partition.task.handle([candidates[0], poison, candidates[1]])
    assert [one.topic for one in out] == [names.reactions, names.dead_letters, names.reactions]
    letter = own.decode_dead_letter(out[1].value or b"")
    assert (letter.where.offset, letter.stream, letter.step) == (77, "candidates", "react")
