"""The work of the objects step on one partition."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ampelstream.codecs import own
from ampelstream.errors import ConfigError
from ampelstream.model.record import Stream
from ampelstream.runtime.faust.objects import ObjectsTask
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.memory import MemoryBackend
from ampelstream.topology import Topology

Records = Mapping[Stream, list[Any]]


class Partition:
    """A task on a database, which can be made anew on the same."""

    def __init__(self, topology: Topology, names: TopicNames) -> None:
        self._with = (topology, names)
        self.backend = MemoryBackend()
        self.metrics = Metrics()
        self.ticks = 0.0
        self.again()

    def again(self) -> None:
        self.task = ObjectsTask(*self._with, 0, self.backend, self.metrics, clock=self._clock)

    def _clock(self) -> float:
        self.ticks += 0.04
        return self.ticks

    def handle(self, records: list[Any]) -> list[Outgoing]:
        out = self.task.handle(records)
        self.commit()
        return out

    def commit(self) -> None:
        self.backend.write(self.task.tables.changes())
        self.task.tables.rollback()

    def sweep(self) -> tuple[list[Outgoing], int]:
        """Do all background work; gives what came of it and the number of slices."""
        out: list[Outgoing] = []
        slices = 0
        while (part := self.task.background()) is not None:
            self.commit()
            out += part
            slices += 1
        return out, slices


@pytest.fixture
def partition(small: Topology, names: TopicNames) -> Partition:
    return Partition(small, names)


def found(records: list[Outgoing]) -> set[tuple[str, str, str]]:
    return {own.decode_candidate(one.value or b"").key for one in records}


def test_events_first_or_last_give_the_same_candidates(
    partition: Partition, ingested: Records, small: Topology, names: TopicNames
) -> None:
    assert partition.handle(ingested["notices"]) == []
    before = [*partition.sweep()[0], *partition.handle(ingested["alerts"])]
    other = Partition(small, names)
    assert other.handle(ingested["alerts"]) == []
    other.handle(ingested["notices"])
    after, slices = other.sweep()
    assert found(before) == found(after)
    assert len(found(after)) > 10
    assert slices > 1  # alerts have their turn in between
    assert {one.topic for one in after} == {names.candidates}
    assert {one.partition for one in after} == {0}
    assert other.task.background() is None


def test_a_sweep_goes_on_after_a_restart(partition: Partition, ingested: Records) -> None:
    partition.handle(ingested["alerts"])
    partition.handle(ingested["notices"])
    first = partition.task.background()
    assert first is not None
    partition.commit()
    partition.again()
    rest, _ = partition.sweep()
    assert len(found([*first, *rest])) > len(found(first))
    assert b"sweep_seconds_count 1.0" in partition.metrics.render()


def test_an_announcement_that_comes_again_sweeps_again_and_changes_nothing(
    partition: Partition, ingested: Records
) -> None:
    partition.handle(ingested["alerts"])
    partition.handle(ingested["notices"])
    assert partition.sweep()[0]
    state = dict(partition.backend.scan(b"", b"\xff"))
    partition.handle(ingested["notices"])
    out, slices = partition.sweep()
    assert (out, slices > 0) == ([], True)
    assert dict(partition.backend.scan(b"", b"\xff")) == state


def test_records_that_come_again_change_nothing(partition: Partition, ingested: Records) -> None:
    partition.handle(ingested["notices"])
    partition.sweep()
    partition.handle(ingested["alerts"])
    assert partition.handle(ingested["alerts"]) == []
    count = f"duplicates_total {len(ingested['alerts'])}.0".encode()
    assert count in partition.metrics.render()


@pytest.mark.parametrize("topic", ["detections", "events"])
@pytest.mark.parametrize("value", [b"", b"not ours", None])
def test_poison_becomes_a_dead_letter_and_the_others_go_on(
    partition: Partition,
    ingested: Records,
    names: TopicNames,
    make_record: Callable[..., Any],
    topic: str,
    value: bytes | None,
) -> None:
    partition.handle(ingested["notices"])
    partition.sweep()
    poison = make_record(getattr(names, topic), 77, value)
    out = partition.handle([poison, *ingested["alerts"]])
    letters = [one for one in out if one.topic == names.dead_letters]
    letter = own.decode_dead_letter(letters[0].value or b"")
    assert len(letters) == 1
    assert (letter.where.source, letter.where.offset) == (poison.topic, 77)
    assert letter.value == (value or b"")
    assert len(out) > 10


def test_a_state_belongs_to_one_content_of_a_topology(
    partition: Partition, ingested: Records, small: Topology, names: TopicNames
) -> None:
    partition.handle(ingested["alerts"])
    partition.again()
    other = replace(small, hash="0123456789abcdef")
    with pytest.raises(ConfigError, match="another name"):
        ObjectsTask(other, names, 0, partition.backend, Metrics())
