"""What is read again is bounded as what is new is."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ampelstream.codecs.lsst import FixedSchemas
from ampelstream.errors import UnreachableError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.embedded import engine as engine_module
from ampelstream.runtime.embedded import rereading as rereading_module
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.embedded.rereading import Rereading
from ampelstream.sources.merge import After, Removed
from ampelstream.state.memory import MemoryBackend
from tests.kafka.rubin import SCHEMA, packet


def test_a_step_holds_no_more_bytes_than_a_batch_of_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def merged(_sources: Any, _after: Mapping[Any, int], _schemas: Any) -> Iterator[SourceRecord]:
        for offset in range(6):
            yield SourceRecord(Coordinates("night", 0, offset), "alerts", bytes(50))

    steps: list[int] = []
    progress = SimpleNamespace(offsets=lambda *, again=False: {} if again else {("night", 0): 4})
    engine: Any = SimpleNamespace(
        progress=progress,
        schemas=None,
        refilter=lambda batch: steps.append(len(batch)),
        refiltered=lambda: steps.append(0),
    )
    monkeypatch.setattr(rereading_module, "merge", merged)
    monkeypatch.setattr(engine_module, "_BATCH_BYTES", 100)
    rereading = Rereading(engine, list, batch=500)
    while rereading.step():
        pass
    assert steps == [2, 2, 1, 0]


def test_what_was_broken_off_is_read_on_and_does_not_count_as_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []
    done: list[list[int]] = []
    away = iter([True, False])

    def merged(_sources: Any, after: Mapping[Any, int], _schemas: Any) -> Iterator[SourceRecord]:
        for offset in range(after.get(("night", 0), -1) + 1, 4):
            if offset == 3 and next(away):
                raise UnreachableError("no broker answers")
            yield SourceRecord(Coordinates("night", 0, offset), "alerts", bytes(50))

    def offsets(*, again: bool = False) -> dict[tuple[str, int], int]:
        return {("night", 0): len(read) - 1 if again else 3}

    engine: Any = SimpleNamespace(
        progress=SimpleNamespace(offsets=offsets),
        schemas=None,
        refilter=lambda batch: read.extend(one.where.offset for one in batch),
        refiltered=lambda: done.append(list(read)),
    )
    opened: list[int] = []

    def reopen() -> list[Any]:
        opened.append(1)
        return []

    monkeypatch.setattr(rereading_module, "merge", merged)
    seconds = itertools.count(0.0, 5.0)
    rereading = Rereading(engine, reopen, batch=2, clock=lambda: next(seconds))
    assert rereading.step() == 2
    with pytest.raises(UnreachableError):
        rereading.step()
    assert engine.backfill_waits == "no broker answers"
    assert done == []
    while rereading.step():
        pass
    assert done == [[0, 1, 2, 3]]
    assert opened == [1]  # each opening has clients of its own


class Topic:
    """A topic of which only what begins at ``first`` is left, behind what another gives."""

    name, skipped = "memory", ()

    def __init__(self, first: int, stream: Stream = "alerts") -> None:
        self.first, self.stream = first, stream
        self.asked: list[dict[tuple[str, int], int]] = []

    def read(self, after: After) -> Iterator[SourceRecord]:
        for offset in range(max(self.first, after.get(("t", 0), -1) + 1), self.first + 5):
            yield SourceRecord(Coordinates("t", 0, offset), self.stream, b"")

    def holds(self, source: str) -> Stream | None:
        return self.stream if source == "t" else None

    def removed(self, handled: After, reached: After) -> Removed:
        short = {place: at for place, at in handled.items() if reached.get(place, -1) < at}
        self.asked.append(short)
        gone = [place for place, at in short.items() if self.first > at]
        return Removed(gone, 7.0 if short else None)


def story(topic: Any, handled: int, clock: Any = lambda: 0.0) -> tuple[Rereading, list[Any]]:
    """A backfill of all that was handled of the topic, and what comes of it."""
    told: list[Any] = []
    again: dict[tuple[str, int], int] = {}

    def refilter(batch: Any) -> None:
        again["t", 0] = batch[-1].where.offset
        told.extend(one.where.offset for one in batch)

    progress = SimpleNamespace(
        offsets=lambda *, again_=again, again=False: dict(again_) if again else {("t", 0): handled},
        is_letter=lambda _where: False,
        step_back=lambda place: again.update({place: again[place] - 1}),
    )
    engine: Any = SimpleNamespace(
        progress=progress,
        schemas=None,
        refilter=refilter,
        refiltered=lambda: told.append("done"),
        objects=SimpleNamespace(keep=lambda since, _held: told.append(since)),
    )
    return Rereading(engine, lambda: [topic], batch=2, clock=clock), told


@pytest.mark.parametrize("first", [98, 101, 150])
def test_what_a_topic_has_removed_stays_also_where_all_of_it_is_gone(first: int) -> None:
    topic = Topic(first)
    rereading, told = story(topic, 100)
    while rereading.step():
        pass
    assert {("t", 0): 100} in topic.asked
    assert 7.0 in told
    assert told[-1] == "done"
    assert [one for one in told if isinstance(one, int)] == list(range(first, 101))


def test_what_topics_of_notices_have_removed_is_no_matter_of_alerts() -> None:
    topic = Topic(3, "notices")
    rereading, told = story(topic, 5)
    while rereading.step():
        pass
    assert set(map(str, topic.asked)) <= {"{}"}
    assert told[-1] == "done"
    assert 7.0 not in told


def test_however_long_a_pass_took_the_next_comes_soon() -> None:
    now = [0.0]

    class Night(Topic):
        def read(self, after: After) -> Iterator[SourceRecord]:
            for record in super().read(after):
                now[0] += 10_000.0
                yield record

        def removed(self, _handled: After, _reached: After) -> Removed:
            return Removed()

    night = Night(0)
    rereading, told = story(night, 9, lambda: now[0])
    while rereading.step():
        pass
    assert told[-1] != "done"
    night.first = 5  # the rest is there
    now[0] += 601.0
    while rereading.step():
        pass
    assert told[-1] == "done"
    assert [one for one in told if isinstance(one, int)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_packets_of_the_wire_are_judged_anew_with_their_schemas(
    make_topology: Callable[[str], Any],
) -> None:
    text = "{name: w, version: 1, channels: {all: {alerts: {survey: lsst}}}}"
    schemas = FixedSchemas({7: SCHEMA})
    engine = Engine(make_topology(text), MemoryBackend(), schemas=schemas)
    records = [
        SourceRecord(Coordinates("alerts", 0, number), "alerts", packet(number + 1, 7))
        for number in range(3)
    ]
    engine.process(records)
    engine.commit()
    engine.refilter(records)
    assert engine.accounting.total("refiltered") == 3
    assert engine.unjudged == engine.accounting.total("dead_letters") == 0
