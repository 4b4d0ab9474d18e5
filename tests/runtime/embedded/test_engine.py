"""The engine: accounting, dead letters, retention, reactions, faulty units."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.reaction import Reaction
from ampelstream.model.record import SourceRecord
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.reactions.sinks import FileSink
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.simulate import simulate_notice
from ampelstream.state.memory import MemoryBackend

T0 = 2460000.0
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
    name: str = "MS230225a",
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
    alerts, notices = driver.engine.counters.alerts, driver.engine.counters.notices
    assert (alerts.records_in, alerts.decoded, alerts.dead_letters) == (5, 3, 2)
    assert (alerts.accepted, alerts.duplicates, alerts.rejected) == (2, 1, {})
    assert (notices.records_in, notices.decoded, notices.dead_letters) == (5, 2, 3)
    assert (notices.accepted, notices.duplicates) == (1, 1)
    letters = list(driver.engine.book.letters())
    assert len(letters) == 5
    assert {letter.stream for letter in letters} == {"alerts", "notices"}
    assert all(letter.reason and letter.where.offset for letter in letters)
    assert b"junk" in {letter.value for letter in letters}


def test_a_broken_sky_map_is_a_dead_letter_and_changes_nothing(driver: Any) -> None:
    broken = (
        notice()
        .replace(b'"skymap":"', b'"skymap":"AAAA')
        .replace(b'"skymap": "', b'"skymap": "AAAA')
    )
    driver.feed("notices", broken)
    driver.engine.commit()
    assert [letter.step for letter in driver.engine.book.letters()] == ["events"]
    assert len(driver.engine.events) == 0


def test_state_survives_and_goes_on(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any], make_driver: Any
) -> None:
    topology = make_topology(SIMPLE)
    first = make_driver(topology)
    first.feed("notices", notice())
    first.feed("alerts", make_row("ZTF01", 1, T0 + 1, 40.0, 0.0))
    before = first.candidates()
    again = Engine(topology, first.backend)
    assert again.counters == first.engine.counters
    assert [event.event_id for event in again.events] == ["MS230225a"]
    first.engine = again
    assert first.candidates() == before
    assert again.book.offsets() == {("notices", 0): 1, ("alerts", 0): 2}


def test_what_is_not_committed_has_not_happened(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any]
) -> None:

    backend = MemoryBackend()
    engine = Engine(make_topology(SIMPLE), backend, commit_every=100)
    row = make_row("ZTF01", 1, T0 + 1, 40.0, 0.0)
    engine.process(SourceRecord(Coordinates("alerts", 0, 1), "alerts", row))
    killed = Engine(make_topology(SIMPLE), backend)
    assert killed.book.offsets() == {}
    assert killed.counters.alerts.records_in == 0
    assert list(killed.objects) == []


def test_retention_forgets_by_event_time_and_keeps_the_candidates(
    driver: Any, make_row: Callable[..., Any]
) -> None:
    driver.feed("notices", notice())
    driver.feed("alerts", make_row("ZTF01", 1, T0 + 1, 40.0, 0.0))
    before = driver.candidates()
    driver.feed("alerts", make_row("ZTF02", 2, T0 + 40, 140.0, 0.0))
    engine = driver.engine
    assert [state.object_id for state in engine.objects] == ["ZTF02"]
    assert len(engine.events) == 0
    assert driver.candidates() == before
    past = engine.retention.past_censuses()
    assert [(one.event_id, one.revisions[0].alerts) for one in past] == [("MS230225a", 1)]


def test_reactions_fire_once_and_are_withdrawn(
    make_topology: Callable[[str], Any], make_row: Callable[..., Any], tmp_path: Path
) -> None:

    topology = make_topology(SIMPLE)
    sink = FileSink(tmp_path / "near.ndjson", "file:near.ndjson")
    engine = Engine(
        topology, MemoryBackend(), commit_every=1, dispatcher=Dispatcher({"near": [sink]})
    )
    rows = [make_row("ZTF01", n, T0 + n, 40.0, 0.0) for n in (1, 2, 3)]
    mail = [notice(), notice(kind="RETRACTION", created="2023-02-26T00:00:00Z", t0=None)]
    records = [("notices", mail[0]), *(("alerts", r) for r in rows), ("notices", mail[1])]
    for offset, (stream, value) in enumerate(records):
        where = Coordinates(stream, 0, offset)
        engine.process(SourceRecord(where, "alerts" if stream == "alerts" else "notices", value))
    assert engine.finish() == 0
    sink.close()
    lines = (tmp_path / "near.ndjson").read_text().splitlines()
    assert len(lines) == 2
    assert '"klass":"new"' in lines[0]
    assert '"klass":"withdrawn"' in lines[1]
    assert all(entry.sent == ("file:near.ndjson",) for entry in engine.ledger.entries())


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
    engine = Engine(make_topology(SIMPLE), MemoryBackend(), dispatcher=Dispatcher({"near": [sink]}))
    engine.process(SourceRecord(Coordinates("n", 0, 0), "notices", notice()))
    row = make_row("ZTF01", 1, T0 + 1, 40.0, 0.0)
    engine.process(SourceRecord(Coordinates("a", 0, 0), "alerts", row))
    assert engine.finish() == 1
    assert engine.finish() == 0
    assert len(sink.took) == 1
