"""When a line is said and the status file is written, while inputs are followed."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ampelstream.errors import SourceError, StorageError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.embedded.live import Left, follow
from ampelstream.runtime.embedded.reporter import BEAT_SECONDS, Reporter
from ampelstream.runtime.embedded.runstatus import RunStatus, faults, read_status
from ampelstream.runtime.embedded.statefiles import StateFiles
from ampelstream.simulate import simulate_notice
from ampelstream.sources import Skipped, Waiting
from ampelstream.sources.merge import After, Removed
from ampelstream.state.memory import MemoryBackend

TOPOLOGY = """
name: simple
version: "7"
channels: {all: {alerts: {where: "drb > 0.5"}, window: [0, 10]}}
react: [{name: r, when: rank > 0, sinks: [console]}]
"""
T0 = 2460000.0


class Inbox:
    """A source that a test puts alerts into."""

    name = "inbox"
    skipped: Sequence[Skipped] = ()

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.readable = True

    def read(self, after: After) -> Iterator[SourceRecord]:
        if not self.readable:
            raise SourceError("the disk is gone")
        for offset in range(after.get(("inbox", 0), -1) + 1, len(self.values)):
            yield SourceRecord(Coordinates("inbox", 0, offset), "alerts", self.values[offset])

    def estimate(self) -> int | None:
        return None

    def holds(self, _source: str) -> Stream | None:
        return None

    def removed(self, _handled: After, _reached: After) -> Removed:
        return Removed()

    def following(self) -> "Inbox":
        return self

    def waiting(self, after: After) -> Waiting:
        left = len(self.values) - after.get(("inbox", 0), -1) - 1
        return Waiting("records", left)


class Silent(Inbox):
    """A source that does not say how much it has."""

    def waiting(self, _after: After) -> Waiting:
        return Waiting("records", None)


class Desk:
    """A reporter with a clock of the test's, and what it said."""

    def __init__(self, topology: Any, directory: Path) -> None:
        self.inbox = Inbox()
        self.files = StateFiles(directory, "simple")
        path = self.files.dead_letters
        self.engine = Engine(topology, MemoryBackend(), letter_file=path)
        self.said: list[RunStatus] = []
        self.time = 1_000_000.0
        self.reporter = Reporter(
            *(self.engine, self.files, self.said.append),
            now=lambda: self.time,
            clock=lambda: self.time,
        )

    def run(self) -> int:
        """Follow until nothing is left."""
        stop = threading.Event()
        beat = self.reporter.beat
        return follow(self.engine, [self.inbox], stop, once=True, beat=beat)

    @property
    def written(self) -> RunStatus:
        return read_status(self.files.status)


@pytest.fixture
def desk(make_topology: Callable[[str], Any], tmp_path: Path) -> Desk:
    return Desk(make_topology(TOPOLOGY), tmp_path)


def test_a_line_after_the_first_pass_and_then_in_time(
    desk: Desk, make_row: Callable[..., Any]
) -> None:
    rows = [make_row(f"ZTF{n}", n, T0 + n, 40.0, 0.0) for n in range(1, 4)]
    for row in rows[1:]:
        row["candidate"]["drb"] = 0.1
    desk.inbox.values = [*rows, b"junk"]
    with desk.reporter:
        assert desk.written.total.alerts == 0
        desk.run()
        [first] = desk.said
        assert (first.total.alerts, first.new.alerts, first.new.dead_letters) == (4, 4, 1)
        assert (first.total.passed, first.total.rejected) == (1, {"where": 2})
        assert (first.version, first.rules, first.events) == ("7", 1, 0)
        assert [(one.step, one.count) for one in first.kinds] == [("decode", 1)]
        assert first.event_time_jd == T0 + 1  # too few for the bulk: the last that was accepted
        assert desk.written == first
        desk.inbox.values += [rows[0]] * 3
        desk.time += 59.0
        desk.run()
        assert len(desk.said) == 1
        desk.time += 1.0
        desk.inbox.values.append(b"more")
        desk.reporter.beat(lambda: {"records": 1})
        [_, second] = desk.said
        assert (second.new.alerts, second.total.alerts) == (3, 7)
        assert (second.since, second.heartbeat) == (1_000_000.0, 1_000_060.0)
        assert second.waiting == {"records": 1}


def test_a_heartbeat_between_the_lines(desk: Desk) -> None:
    with desk.reporter:
        desk.run()
        for passed, beaten in ((BEAT_SECONDS - 1, 0.0), (1.0, BEAT_SECONDS), (3.0, BEAT_SECONDS)):
            desk.time += passed
            desk.reporter.beat(dict)
            assert desk.written.heartbeat == 1_000_000.0 + beaten
        assert len(desk.said) == 1


def test_a_pass_that_takes_long_is_reported_all_the_same(desk: Desk) -> None:
    with desk.reporter:
        desk.reporter.beat(dict)
        assert desk.said == []
        desk.time += 60.0
        desk.reporter.beat(dict)
        assert len(desk.said) == 1
        desk.reporter.beat(dict, pass_done=True)
        assert len(desk.said) == 1


def test_every_commit_of_a_long_pass_is_a_sign_of_life(desk: Desk) -> None:
    desk.inbox.values = [b"junk"] * 1200
    handled = desk.engine.process

    def slowly(batch: Sequence[SourceRecord], _stop: object = None) -> Any:
        desk.time += 59.0
        return handled(batch)

    desk.engine.process = slowly  # type: ignore[method-assign, assignment]  # (time passes while it works)
    with desk.reporter:
        desk.run()
        desk.time += 5.0
        desk.engine.commit()
        assert desk.written.heartbeat == desk.time
    # after 118 s, in the middle of the pass, and after 182 s
    assert [one.total.alerts for one in desk.said] == [1000, 1200]
    assert desk.said[0].waiting == {"records": 700}


def test_it_beats_while_nothing_comes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampelstream.runtime.embedded.live._IDLE_SECONDS", 0.01)
    stop = threading.Event()
    beats: list[bool] = []

    def beat(left: Left, *, pass_done: bool = False) -> None:
        assert left() == {"records": 0}
        beats.append(pass_done)
        if len(beats) == 6:
            stop.set()

    follow(desk.engine, [desk.inbox], stop, poll_seconds=3600.0, beat=beat)
    assert beats == [False, True, False, False, False, False]


def test_the_end_is_written_down(desk: Desk) -> None:
    with desk.reporter:
        running = desk.written
        desk.time += 9.0
    ended = desk.written
    assert (running.ended, ended.ended, ended.error) == (None, 1_000_009.0, "")
    desk.inbox.readable = False
    with pytest.raises(SourceError), desk.reporter:
        desk.run()
    assert desk.written.error == "the disk is gone"


def test_what_no_input_says_is_not_known(desk: Desk) -> None:
    with desk.reporter:
        follow(
            *(desk.engine, [desk.inbox, Silent()], threading.Event()),
            once=True,
            beat=desk.reporter.beat,
        )
        assert desk.said[0].waiting == {"records": None}


def test_a_disk_that_is_full_ends_the_heartbeat_and_not_the_work(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_path: Path, _content: Any) -> None:
        raise OSError(28, "No space left on device")

    with desk.reporter:
        before = desk.written
        with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
            broken.setattr("ampelstream.runtime.embedded.runstatus.write_json", full)
            for _ in range(3):
                desk.time += 60.0
                desk.reporter.beat(dict)
        assert caplog.text.count("cannot be written: No space left on device") == 1
        assert desk.written == before
        assert len(desk.said) == 3
        desk.time += 60.0
        desk.reporter.beat(dict)
        assert desk.written == desk.said[-1]


class Odd(Inbox):
    """A source in which there are files that nobody reads."""

    skipped = (Skipped("a.avro.zst", "its name is odd"),)


def test_what_nobody_reads_is_said_while_it_runs(desk: Desk) -> None:
    reporter = Reporter(desk.engine, desk.files, desk.said.append, sources=[Odd(), Odd()])
    with reporter:
        reporter.beat(dict, pass_done=True)
        assert (desk.said[0].skipped, desk.said[0].first_skipped) == (2, Odd.skipped * 2)
        assert desk.written == desk.said[0]


def test_before_the_first_line_every_heartbeat_says_what_waits(desk: Desk) -> None:
    asked: list[float] = []

    def left() -> dict[str, int | None]:
        asked.append(desk.time)
        return {"files": 655}

    with desk.reporter:
        desk.reporter.beat(left)
        assert desk.written.waiting == {}
        for _ in range(60):
            desk.time += BEAT_SECONDS
            desk.reporter.beat(left)
            assert desk.written.waiting == {"files": 655}
        assert len(desk.said) == 5
        assert len(asked) == 16  # each heartbeat up to the first line, then with a line


def test_an_alert_from_the_future_is_named(desk: Desk, make_row: Callable[..., Any]) -> None:
    desk.inbox.values = [
        make_row("ZTF1", 1, T0, 40.0, 0.0),
        make_row("ZTF2", 2, T0 + 9800, 40.0, 0.0),
    ]
    with desk.reporter:
        desk.run()
    [first] = desk.said
    assert (first.total.refused, first.refused) == (1, "inbox[0]@1 of 2049-12-24T12:00:00.000Z")


WHERE = """
name: simple
version: "7"
events: {where: "far < 1e-30"}
channels: {all: {window: [0, 10]}}
"""


def notice(name: str, *, placed: bool = True) -> bytes:
    """A preliminary notice, with its sky map or without."""
    content = json.loads(
        simulate_notice(
            event_id=name,
            alert_type="PRELIMINARY",
            time_created="2023-02-25T00:05:00Z",
            t0_jd=T0,
            ra=40.0,
            dec=0.0,
            width_deg=2.0,
            order=6,
        )
    )
    if not placed:
        content["event"]["skymap"] = None
    return json.dumps(content).encode()


@pytest.mark.parametrize(("text", "rejected", "unplaced"), [(WHERE, 3, 0), (TOPOLOGY, 0, 1)])
def test_events_that_match_nothing_are_counted(
    make_topology: Callable[[str], Any], tmp_path: Path, text: str, rejected: int, unplaced: int
) -> None:
    desk = Desk(make_topology(text), tmp_path)
    for offset, value in enumerate([notice("S1"), notice("S2"), notice("S3", placed=False)]):
        where = Coordinates("notices", 0, offset)
        desk.engine.process([SourceRecord(where, "notices", value)])
    found = desk.reporter.status()
    counts = (found.events, found.rejected_events, found.unplaced_events)
    assert counts == (3, rejected, unplaced)


def test_a_state_that_is_gone_ends_the_work_and_gets_no_status(
    make_topology: Callable[[str], Any], tmp_path: Path
) -> None:
    gone: list[bool] = []
    time = [0.0]

    def check() -> None:
        if gone:
            raise StorageError("removed")

    files = StateFiles(tmp_path, "simple")
    engine = Engine(make_topology(TOPOLOGY), MemoryBackend())
    reporter = Reporter(*(engine, files, lambda _status: None), check=check, clock=lambda: time[0])

    def removed() -> None:
        with reporter:
            reporter.beat(dict)
            gone.append(True)
            reporter.beat(dict)  # not due
            files.status.unlink()
            time[0] += BEAT_SECONDS
            reporter.beat(dict)

    with pytest.raises(StorageError):
        removed()
    assert not files.status.exists()
    gone.clear()
    with pytest.raises(StorageError), reporter:
        gone.append(True)  # between the last heartbeat and the end


def test_that_all_alerts_fail_is_said_once_and_is_a_fault(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.inbox.values = [b"junk"] * 250
    with desk.reporter:
        desk.run()
        desk.reporter.beat(dict)
        said = [record.message for record in caplog.records if "all failed" in record.message]
        assert len(said) == 1
        assert said[0].startswith("the first 200 alerts all failed in the same way, as inbox[0]@0")
        assert desk.said[-1].all_failed == said[0]
        found = faults(desk.said[-1], running=True, now=1_000_000.0, max_age=60.0)
        assert list(found) == [said[0]]
