"""What other people's code and half-written stores can do, and what must not come of it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.core.state import keys
from ampelstream.errors import StorageError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.service.journal import Journals
from ampelstream.simulate import simulate_notice
from ampelstream.state.memory import MemoryBackend
from ampelstream.units.context.skymapprobability import SkyMapProbability

T0 = 2460000.0
TOPOLOGY = """
name: mishaps
version: 1
channels: {all: {window: [0, 10], units: [{unit: SkyMapProbability}]}}
retention: {objects: 20, events: 10}
"""


@pytest.fixture
def driver(make_topology: Callable[[str], Any], make_driver: Callable[..., Any]) -> Any:
    return make_driver(make_topology(TOPOLOGY), forget=True)


def notice(created: str = "2023-02-25T00:05:00Z") -> bytes:
    return simulate_notice(
        event_id="SIM230225a",
        alert_type="PRELIMINARY",
        time_created=created,
        t0_jd=T0,
        ra=40.0,
        dec=0.0,
        width_deg=5.0,
        order=5,
    )


def test_a_day_entry_that_was_left_behind_does_not_take_the_object_with_it(
    driver: Any, make_row: Callable[..., Any]
) -> None:
    driver.feed("alerts", make_row("ZTF01", 1, T0, 40.0, 0.0))
    driver.feed("alerts", make_row("ZTF01", 2, T0 + 15, 40.0, 0.0))
    # a store that was killed in the middle of a batch still has the entry of the first day
    driver.engine.tables.put(keys.day(math.floor(T0), "ZTF01"), b"")
    driver.feed("alerts", make_row("ZTF02", 3, T0 + 30, 140.0, 0.0))
    driver.pass_time(T0 + 30)
    assert [one.object_id for one in driver.engine.objects.store] == ["ZTF01", "ZTF02", "ZTF99"]
    stale = keys.day(math.floor(T0), "ZTF01")
    assert driver.engine.tables.get(stale) is None


def test_what_a_disk_did_not_take_stays_a_suspect(
    make_topology: Callable[[str], Any],
    make_row: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was handled, but that is not durable: it comes again, and may kill again."""
    row = make_row("ZTF01", 1, T0, 40.0, 0.0)
    record = SourceRecord(Coordinates("night.avro", 0, 0), "alerts", row)
    journal = Journals(tmp_path).open("ingest")
    journal.begin(record.where)
    journal._page = bytearray()  # it dies
    backend, journals = MemoryBackend(), Journals(tmp_path)
    engine = Engine(make_topology(TOPOLOGY), backend, journals=journals)

    def full(_batch: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "write", full)
        engine.process([record])
        with pytest.raises(StorageError):
            engine.commit()
    assert journals._open["ingest"].doubtful(record.where)
    engine.commit()
    assert not journals._open["ingest"].doubtful(record.where)
    assert Engine(make_topology(TOPOLOGY), backend).accounting.total("received") == 1


def test_a_notice_from_the_future_makes_nothing_forgotten(
    driver: Any, make_row: Callable[..., Any]
) -> None:
    driver.feed("alerts", make_row("ZTF01", 1, T0 + 1, 40.0, 0.0))
    driver.feed("notices", notice("2062-01-01T00:00:00Z"))
    driver.pass_time(T0 + 1)
    assert [one.object_id for one in driver.engine.objects.store] == ["ZTF01", "ZTF99"]
    assert len(driver.candidates()) == 1


@pytest.mark.parametrize("value", [2**70, "\ud800"])
def test_a_result_that_nothing_can_hold_is_the_units_error(
    driver: Any, make_row: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr(SkyMapProbability, "compute", lambda _self, _inputs: {"odd": value})
    driver.feed("alerts", make_row("ZTF01", 1, T0 + 1, 40.0, 0.0))
    driver.feed("notices", notice())
    [candidate] = driver.candidates().values()
    assert candidate.results[0].body is None
    assert "Error" in candidate.results[0].error


def test_an_object_that_fails_in_a_sweep_keeps_no_other_back(
    driver: Any, make_row: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        driver.feed("alerts", make_row(f"ZTF0{number}", number, T0 + 1, 40.0, 0.1 * number))
    store = driver.engine.objects.store
    rematch = store.rematch

    def moody(object_id: str, event: Any, *, moved: bool = False) -> Any:
        if object_id == "ZTF02":
            raise RuntimeError("what a day")
        return rematch(object_id, event, moved=moved)

    monkeypatch.setattr(store, "rematch", moody)
    outputs = driver.feed("notices", notice())
    [letter] = [one for one in outputs if isinstance(one, DeadLetter)]
    assert (letter.stream, letter.step, letter.where) == (
        "events",
        "match",
        Coordinates("notices", 0, 4),
    )
    assert letter.reason.startswith("object ZTF02 against event SIM230225a: what a day")
    assert {key[1] for key in driver.candidates()} == {"ZTF01", "ZTF03"}
    assert driver.engine.objects.pending == 0
    assert driver.count("dead_letters") == 1
    assert driver.count("failed") == 0  # the notice itself was handled
