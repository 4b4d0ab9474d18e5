"""The engine: accounting, dead letters, retention, reactions, faulty units."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.core.state import keys
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.reaction import Reaction
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.reactions.sinks import FileSink
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.simulate import simulate_notice
from ampelstream.state.memory import MemoryBackend

T0 = 2460000.0
CLOCK_OF_THE_MACHINE = (keys.WATERMARK, keys.TIMES)
"""What is kept with the time at which it was."""
SIMPLE = """
name: simple
version: 1
channels:
  all:
    region: 0.9
    window: [0, 10]
    lightcurve: {before: 30, after: 10}
    units: [{unit: SkyMapProbability}]
    rank_by: {field: SkyMapProbability.cumprob, order: ascending}
react:
  - name: near
    when: status == 'active' and SkyMapProbability.cumprob < 0.9
    sinks: [{file: near.ndjson}]
retention: {objects: 20, events: 10}
"""


def notice(
    name: str = "SIM230225a",
    kind: str = "PRELIMINARY",
    created: str = "2023-02-25T00:05:00Z",
    t0: float | None = T0,
    ra: float = 40.0,
) -> bytes:
    return simulate_notice(
        event_id=name,
        alert_type=kind,
        time_created=created,
        t0_jd=t0,
        ra=ra,
        dec=0.0,
        width_deg=5.0,
        order=5,
    )


@pytest.fixture
def driver(make_topology: Callable[[str], Any], make_driver: Callable[[Any], Any]) -> Any:
    return make_driver(make_topology(SIMPLE))


def test_counts_add_up(driver: Any, make_row: Callable[..., Any]) -> None:
    good = make_row("ZTF01", 1, T0 + 1, 40.0, 0.0)
    for value in (good, good, b"junk", make_row("ZTF02", 2, T0 + 1, 41.0, 0.0), {"odd": 1}):
        driver.feed("alerts", value)
    for value in (notice(), notice(), b"<xml/>", b"{}", b"\xff"):
        driver.feed("notices", value)
    driver.engine.commit()
    count = driver.count
    assert [count(n, "alerts") for n in ("received", "failed", "known")] == [5, 2, 1]
    assert (count("passed"), count("accepted"), count("rejected_by_all")) == (3, 2, 0)
    assert [count(n, "notices") for n in ("received", "failed", "known")] == [5, 3, 1]
    assert (count("announced"), count("revised")) == (2, 1)
    letters = list(driver.engine.progress.letters())
    assert count("dead_letters") == 5
    assert len(letters) == 5
    assert {letter.stream for letter in letters} == {"alerts", "notices"}
    assert all(letter.reason and letter.where.offset for letter in letters)
    assert {letter.where.offset for letter in letters if letter.stream == "alerts"} == {3, 5}


def test_a_broken_sky_map_is_a_dead_letter_and_changes_nothing(driver: Any) -> None:
    broken = (
        notice()
        .replace(b'"skymap":"', b'"skymap":"AAAA')
        .replace(b'"skymap": "', b'"skymap": "AAAA')
    )
    driver.feed("notices", broken)
    driver.engine.commit()
    assert [letter.step for letter in driver.engine.progress.letters()] == ["events"]
    assert len(driver.engine.objects.events) == 0


def test_state_survives_and_goes_on(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any], make_driver: Any
) -> None:
    topology = make_topology(SIMPLE)
    first = make_driver(topology)
    first.feed("notices", notice())
    first.feed("alerts", make_row("ZTF01", 1, T0 + 1, 40.0, 0.0))
    before = first.candidates()
    again = Engine(topology, first.backend)
    assert again.accounting.counts() == first.engine.accounting.counts()
    assert [event.event_id for event in again.objects.events] == ["SIM230225a"]
    first.engine = again
    assert first.candidates() == before
    assert again.progress.offsets() == {("notices", 0): 1, ("alerts", 0): 2}


def test_what_is_not_committed_has_not_happened(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any]
) -> None:

    backend = MemoryBackend()
    engine = Engine(make_topology(SIMPLE), backend, commit_every=100)
    row = make_row("ZTF01", 1, T0 + 1, 40.0, 0.0)
    engine.process([SourceRecord(Coordinates("alerts", 0, 1), "alerts", row)])
    killed = Engine(make_topology(SIMPLE), backend)
    assert killed.progress.offsets() == {}
    assert killed.accounting.counts() == {}
    assert list(killed.objects.store) == []


def test_a_kill_within_a_batch_with_a_notice_loses_and_counts_nothing_twice(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any]
) -> None:
    rows = [make_row(f"ZTF0{n}", n, T0 + n, 40.0, 0.0) for n in (1, 2)]
    records = [
        SourceRecord(Coordinates("n", 0, 0), "notices", notice()),
        SourceRecord(Coordinates("a", 0, 0), "alerts", rows[0]),
        SourceRecord(Coordinates("a", 0, 1), "alerts", rows[1]),
        SourceRecord(Coordinates("n", 0, 1), "notices", notice("SIM230226b")),
    ]
    topology = make_topology(SIMPLE)
    ends = []
    for killed in (False, True):
        backend = MemoryBackend()
        engine = Engine(topology, backend)
        engine.process(records[:2])
        engine.process(records[2:])  # the notice asks for a commit before its sweep
        if killed:
            engine = Engine(topology, backend)
            after = engine.progress.offsets()
            done = [
                one for one in records if one.where.offset <= after.get((one.where.source, 0), -1)
            ]
            assert engine.accounting.total("received") == len(done)
            engine.process([one for one in records if one not in done])
        engine.commit()
        ends.append(sorted(backend.scan(b"\x01", b"\xff")))
    assert ends[0] == ends[1]


def test_retention_forgets_by_event_time_and_keeps_the_candidates(
    make_topology: Callable[[str], Any], make_driver: Any, make_row: Callable[..., Any]
) -> None:
    driver = make_driver(make_topology(SIMPLE), forget=True)
    driver.feed("notices", notice())
    driver.feed("alerts", make_row("ZTF01", 1, T0 + 1, 40.0, 0.0))
    before = driver.candidates()
    driver.feed("alerts", make_row("ZTF02", 2, T0 + 40, 140.0, 0.0))
    objects = driver.engine.objects
    # one alert does not move event time
    assert [state.object_id for state in objects.store] == ["ZTF01", "ZTF02"]
    driver.pass_time(T0 + 40)
    assert [state.object_id for state in objects.store] == ["ZTF02", "ZTF99"]
    assert len(objects.events) == 0
    assert driver.candidates() == before
    past = objects.censuses()
    assert [(one.event_id, one.revisions[0].alerts) for one in past] == [("SIM230225a", 1)]


def test_a_replay_forgets_nothing_unless_it_is_asked_to(
    driver: Any, make_row: Callable[..., Any]
) -> None:
    driver.feed("notices", notice())
    driver.pass_time(T0 + 400)
    driver.feed("alerts", make_row("ZTF01", 1, T0 + 1, 40.0, 0.0))
    assert [key[1] for key in driver.candidates()] == ["ZTF01"]
    assert len(driver.engine.objects.events) == 1
    assert driver.engine.objects.watermark is None


@pytest.mark.parametrize("every", [1, 7, 60])
def test_a_kill_does_not_change_when_something_is_forgotten(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any], every: int
) -> None:
    """The times of the last alerts are part of the state: a restart counts on."""
    rows = [make_row(f"ZTF{n % 40:02d}", n, T0 + n / 3, 40.0 + n % 40, 0.0) for n in range(1, 200)]
    records = [
        SourceRecord(Coordinates("a", 0, offset), "alerts", row) for offset, row in enumerate(rows)
    ]
    records.insert(40, SourceRecord(Coordinates("n", 0, 0), "notices", notice()))
    topology = make_topology(SIMPLE)
    ends = []
    for killed in (False, True):
        backend = MemoryBackend()
        engine = Engine(topology, backend, commit_every=1, forget=True)
        for number, record in enumerate(records):
            engine.process([record])
            if killed and number % every == 0:
                engine = Engine(topology, backend, commit_every=1, forget=True)
        engine.commit()
        assert engine.objects.watermark is not None
        assert len(engine.objects.events) == 0
        ends.append(
            [(k, v) for k, v in backend.scan(b"\x01", b"\xff") if k[:1] not in CLOCK_OF_THE_MACHINE]
        )
    assert ends[0] == ends[1]


def test_reactions_fire_once_and_are_withdrawn(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any], tmp_path: Path
) -> None:

    topology = make_topology(SIMPLE)
    sink = FileSink(tmp_path / "near.ndjson", "file:near.ndjson")
    engine = Engine(
        topology, MemoryBackend(), commit_every=1, deliverer=Dispatcher({"near": [sink]})
    )
    rows = [make_row("ZTF01", n, T0 + n, 40.0, 0.0) for n in (1, 2, 3)]
    mail = [notice(), notice(kind="RETRACTION", created="2023-02-26T00:00:00Z", t0=None)]
    records = [("notices", mail[0]), *(("alerts", r) for r in rows), ("notices", mail[1])]
    for offset, (stream, value) in enumerate(records):
        where = Coordinates(stream, 0, offset)
        of: Stream = "alerts" if stream == "alerts" else "notices"
        engine.process([SourceRecord(where, of, value)])
    assert engine.finish() == 0
    sink.close()
    lines = (tmp_path / "near.ndjson").read_text().splitlines()
    assert len(lines) == 2
    assert '"klass":"new"' in lines[0]
    assert '"klass":"withdrawn"' in lines[1]
    assert all(entry.sent == ("file:near.ndjson",) for entry in engine.react.entries())


def test_a_sink_that_fails_is_tried_again(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any]
) -> None:

    class Moody:
        name = "moody"

        def __init__(self) -> None:
            self.asked = 0
            self.took: list[str] = []

        def send(self, reaction: Reaction) -> None:
            self.asked += 1
            if self.asked < 3:
                raise ConnectionError("not now")
            self.took.append(reaction.id)

    sink = Moody()
    now = [0.0]
    engine = Engine(
        make_topology(SIMPLE),
        MemoryBackend(),
        deliverer=Dispatcher({"near": [sink]}),
        clock=lambda: now[0],
    )
    engine.process([SourceRecord(Coordinates("n", 0, 0), "notices", notice())])
    row = make_row("ZTF01", 1, T0 + 1, 40.0, 0.0)
    engine.process([SourceRecord(Coordinates("a", 0, 0), "alerts", row)])
    assert engine.finish() == 1
    assert sink.asked == 1  # it is left alone for a while
    now[0] += 11.0
    assert engine.finish() == 1
    now[0] += 11.0
    assert engine.finish() == 0
    assert len(sink.took) == 1
