"""A topology that changes while it runs gives what a fresh run of the new one gives."""

import gzip
import json
import logging
import random
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.core.ownership import Word
from ampelstream.core.state import keys
from ampelstream.errors import ConfigError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.reaction import Reaction
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.runtime.embedded.engine import Engine, Progress
from ampelstream.runtime.embedded.letterfile import LetterFile
from ampelstream.runtime.embedded.live import follow
from ampelstream.runtime.embedded.reporter import Reporter
from ampelstream.runtime.embedded.rereading import Rereading
from ampelstream.runtime.embedded.runstatus import status_line, status_row
from ampelstream.runtime.embedded.statefiles import StateFiles
from ampelstream.sources.files import FileSource
from ampelstream.sources.merge import After, Removed, Waiting
from ampelstream.state.memory import MemoryBackend
from ampelstream.topology import Topology
from tests.runtime.embedded.conftest import alert_row
from tests.runtime.embedded.test_order import notices, rows

OLD = """
name: moving
version: "1"
description: before
events: {where: "far < 1.0"}
channels:
  all:
    alerts: {where: "magpsf < 20"}
    region: 0.9
    window: [0, 10]
    lightcurve: {before: 30, after: 10}
    units:
      - {unit: SkyMapProbability}
      - {unit: RiseDecline}
  fresh:
    region: 0.5
    window: [0, 3]
    match: [{unit: PredetectionFilter}]
    units: [{unit: SkyMapProbability}]
react:
  - {name: near, when: "SkyMapProbability.cumprob < 0.6", sinks: [console]}
"""
CHANGES = {
    "rule": ("cumprob < 0.6", "cumprob < 0.3"),
    "channel of a rule": ("{name: near, when", "{name: near, channel: fresh, when"),
    "new rule": (
        "react:\n",
        "react:\n  - {name: any, when: \"status == 'active'\", sinks: [console]}\n",
    ),
    "wider region": ("region: 0.5", "region: 0.9"),
    "narrower region": ("region: 0.9", "region: 0.2"),
    "window": ("window: [0, 10]", "window: [0, 2]"),
    "events": ("far < 1.0", "far < 0.0"),
    "no unit": ("      - {unit: RiseDecline}\n", ""),
    "match": ("    match: [{unit: PredetectionFilter}]\n", ""),
    "rank": ("    lightcurve", "    rank_by: SkyMapProbability.cumprob\n    lightcurve"),
    "version": ('version: "1"', 'version: "2"'),
    "no channel": (OLD[OLD.index("  fresh:") : OLD.index("react:")], ""),
}
REFILTERED = {
    "stricter filter": ("magpsf < 20", "magpsf < 18.9"),
    "other filter": ("magpsf < 20", "magpsf > 18.9"),
    "new channel": (
        "  fresh:\n",
        "  third: {region: 0.99, window: [0, 20], units: [{unit: SkyMapProbability}]}\n  fresh:\n",
    ),
    "renamed channel": ("  fresh:\n", "  young:\n"),
}


class Sinks:
    """Takes everything, and keeps it."""

    def __init__(self) -> None:
        self.took: list[Reaction] = []

    def missing(self, _rule: str, sent: Collection[str]) -> list[str]:
        return [] if "console" in sent else ["console"]

    def deliver(self, reaction: Reaction, sent: Collection[str]) -> list[str]:
        missing = self.missing(reaction.rule, sent)
        self.took += [reaction for _ in missing]
        return missing


class Records:
    """A topic in memory; records that are left out at its beginning have been removed."""

    name = "memory"
    skipped = ()

    def __init__(self, records: Sequence[SourceRecord]) -> None:
        self.records = records

    def read(self, after: After) -> Iterator[SourceRecord]:
        for one in self.records:
            where = one.read_at
            if where.offset > after.get((where.source, where.partition), -1):
                yield SourceRecord(one.where, one.stream, one.value)

    def estimate(self) -> int:
        return len(self.records)

    def holds(self, source: str) -> Stream | None:
        return "alerts" if source == self.name else None

    def removed(self, handled: After, reached: After) -> Removed:
        place = (self.name, 0)
        first = self.records[0].read_at.offset if self.records else 0
        if first <= reached.get(place, -1) + 1:
            return Removed()
        # the first one arrived when all of them had been made
        made = [jd_of(one) for one in self.records if one.stream == "alerts"]
        return Removed([place] if first > handled[place] else [], max(made) + 10)

    def following(self) -> "Records":
        return self

    def waiting(self, _after: After) -> Waiting:
        return Waiting("records", 0)


def jd_of(record: SourceRecord) -> float:
    assert isinstance(record.value, Mapping)
    return float(record.value["candidate"]["jd"])


class Faulty(Records):
    """One of which a record cannot be read, or is damaged by now."""

    def __init__(self, records: Sequence[SourceRecord], at: int, *, unread: bool) -> None:
        super().__init__(records)
        self.at: int | None = at
        self.unread = unread

    def read(self, after: After) -> Iterator[SourceRecord]:
        for one in super().read(after):
            if one.where.offset == self.at:
                one = replace(one, value=b"", fault="it is broken", unread=self.unread)  # noqa: PLW2901  (the same one, broken)
            yield one


class Running:
    """A topology that runs on an in-memory store, also after a change."""

    def __init__(self, topology: Topology, *, backend: MemoryBackend | None = None) -> None:
        self.backend = backend or MemoryBackend()
        self.sinks = Sinks()
        self.engine = Engine(topology, self.backend, deliverer=self.sinks, eager=False)

    def change(self, topology: Topology, word: Word | None = None) -> None:
        self.engine = Engine(
            topology, self.backend, deliverer=self.sinks, word=word, eager=False, commit_every=3
        )

    def take(self, records: Sequence[SourceRecord]) -> None:
        for one in records:
            self.engine.process([SourceRecord(one.where, one.stream, one.value)])

    def work(self, records: Sequence[SourceRecord] = ()) -> None:
        """Do what is pending, with the records that may be read again."""
        follow(self.engine, [Records(records)], threading.Event(), once=True)

    def outcome(self) -> tuple[list[Any], dict[Any, Any]]:
        """Candidates, and the last message of every matter."""
        self.work()
        candidates = self.engine.objects.candidates()
        last = {}
        for entry in sorted(self.engine.react.entries(), key=lambda entry: entry.reaction.turn):
            one = entry.reaction
            last[(one.rule, one.about)] = (one.klass in {"new", "reinstated"}, one.payload)
        active = {matter: payload for matter, (holds, payload) in last.items() if holds}
        return candidates, active


class Shown(list[SourceRecord]):
    """Records of which a failing test shows no more than the number."""

    def __repr__(self) -> str:
        return f"{len(self)} records"


@pytest.fixture(scope="module")
def records(make_rows: list[dict[str, Any]]) -> list[SourceRecord]:
    values: list[tuple[Any, Any]] = [("notices", one) for one in notices()]
    values += [("alerts", one) for one in make_rows]
    random.Random(1).shuffle(values)  # noqa: S311  (no secret)
    return Shown(
        SourceRecord(Coordinates("memory", 0, n), stream, value)
        for n, (stream, value) in enumerate(values)
    )


@pytest.fixture(scope="module")
def make_rows() -> list[dict[str, Any]]:
    found = rows(alert_row)
    for number, one in enumerate(found):  # so that a filter tells them apart
        one["candidate"]["magpsf"] = 18.5 + 0.2 * (number % 5)
    return found


def changed(old: str, new: str) -> str:
    assert OLD.count(old) == 1
    return OLD.replace(old, new).replace("before\n", "after\n", 1)


def fresh(topology: Topology, records: Sequence[SourceRecord]) -> Running:
    running = Running(topology)
    running.take(records)
    return running


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_gives_what_a_fresh_run_gives(
    name: str, make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    new = make_topology(changed(*CHANGES[name]))
    candidates, active = fresh(new, records).outcome()
    running = fresh(make_topology(OLD), records[: len(records) // 2])
    before, _ = running.outcome()
    assert before
    running.change(new)
    running.take(records[len(records) // 2 :])
    assert running.outcome() == (candidates, active)
    sent = [one.id for one in running.sinks.took]
    assert len(sent) == len(set(sent))


@pytest.mark.parametrize("meanwhile", ["window", "narrower region", "match"])
def test_a_rule_that_was_away_is_at_the_end_what_it_is_in_a_fresh_run(
    meanwhile: str, make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    old, new = CHANGES[meanwhile]
    without = OLD[: OLD.index("react:")].replace(old, new)
    topology, third = make_topology(OLD), len(records) // 3
    candidates, active = fresh(topology, records).outcome()
    running = fresh(topology, records[:third])
    running.outcome()
    running.change(make_topology(without))
    running.take(records[third : 2 * third])
    running.outcome()
    sent = len(running.sinks.took)
    running.change(topology)
    running.take(records[2 * third :])
    assert running.outcome() == (candidates, active)
    assert len(running.sinks.took) > sent
    told: dict[Any, list[bool]] = {}
    for one in running.sinks.took:
        told.setdefault((one.rule, one.about), []).append(one.klass != "withdrawn")
    for said in told.values():  # never the same twice, and nothing is withdrawn that was not told
        assert said == [number % 2 == 0 for number in range(len(said))]
    assert {matter for matter, said in told.items() if said[-1]} == set(active)


@pytest.mark.parametrize("name", REFILTERED)
def test_a_changed_filter_asks_for_a_word_and_touches_nothing_without(
    name: str, make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    running = fresh(make_topology(OLD), records)
    running.outcome()
    held = dict(running.backend.scan(b"\x00", b"\xff"))
    with pytest.raises(ConfigError, match=r"--from-now-on .* or with --backfill"):
        running.change(make_topology(changed(*REFILTERED[name])))
    assert dict(running.backend.scan(b"\x00", b"\xff")) == held


@pytest.mark.parametrize("name", REFILTERED)
def test_a_backfill_gives_what_a_fresh_run_gives(
    name: str, make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    new = make_topology(changed(*REFILTERED[name]))
    candidates, active = fresh(new, records).outcome()
    half = len(records) // 2
    running = fresh(make_topology(OLD), records[:half])
    before, _ = running.outcome()
    running.change(new, Word.BACKFILL)
    counted = running.engine.accounting.total("received")
    assert running.engine.objects.awaits_backfill
    running.take(records[half : half + 3])
    running.work(records)
    assert before != candidates
    assert running.outcome() == (candidates, active)
    sent = [one.id for one in running.sinks.took]
    assert len(sent) == len(set(sent))
    assert running.engine.accounting.total("received") - counted == len(records) - half
    assert running.engine.accounting.total("refiltered") > 0
    rest = dict(running.backend.scan(b"\x00", b"\xff"))
    assert not [key for key in rest if key[:1] in {keys.SHADOW, keys.BACKFILL, b"g"}]


@pytest.mark.parametrize("name", REFILTERED)
def test_from_now_on_leaves_what_was(
    name: str, make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    new = make_topology(changed(*REFILTERED[name]))
    running = fresh(make_topology(OLD), records)
    before, _ = running.outcome()
    running.change(new, Word.FROM_NOW_ON)
    after, _ = running.outcome()
    known = {channel.name for channel in new.channels}
    assert [one.key for one in after] == [one.key for one in before if one.channel in known]
    assert {one.provenance.topology_hash for one in after} == {new.hash}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(4)), actions=st.lists(st.sampled_from("rrrbbcs"), max_size=60))
def test_changes_records_slices_and_restarts_in_any_order(
    order: Sequence[int],
    actions: Sequence[str],
    make_topology: Callable[[str], Topology],
    records: list[SourceRecord],
) -> None:
    steps = [OLD, changed(*REFILTERED["other filter"]), changed(*CHANGES["narrower region"])]
    steps.append(changed(*CHANGES["no channel"]))
    last = changed(*REFILTERED["new channel"])
    steps = [steps[number] for number in order]
    running = Running(make_topology(steps[0]))
    texts = [*steps[1:], last]
    seen = 0
    current = make_topology(steps[0])
    rereading = Rereading(running.engine, lambda: [Records(records)], batch=4)
    for action in actions:
        if action == "r" and seen < len(records):
            running.take(records[seen : seen + 1])
            seen += 1
        elif action == "b" and running.engine.objects.pending:
            running.engine.advance(0.0)
        elif action == "b" and rereading.pending:
            rereading.step()
        elif action == "c" and texts:
            current = make_topology(texts.pop(0))
            running.engine.commit()
            running.change(current, Word.BACKFILL)
            rereading = Rereading(running.engine, lambda: [Records(records)], batch=4)
        elif action == "s":  # a kill: what was not committed is done again
            running.change(current, Word.BACKFILL)
            seen = max(running.engine.progress.offsets().values(), default=-1) + 1
            rereading = Rereading(running.engine, lambda: [Records(records)], batch=4)
    running.take(records[seen:])
    running.engine.commit()
    running.work(records)
    assert running.outcome()[0] == fresh(current, records).outcome()[0]
    sent = [one.id for one in running.sinks.took]
    # a kill between sending and noting hands a message over again, which a real sink refuses
    assert "s" in actions or len(sent) == len(set(sent))


def test_a_channel_that_goes_does_not_end_a_backfill(
    make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    running = fresh(make_topology(OLD), records)
    running.outcome()
    filtered = changed(*REFILTERED["other filter"])
    running.change(make_topology(filtered), Word.BACKFILL)
    Rereading(running.engine, lambda: [Records(records)], batch=2).step()
    last = make_topology(filtered.replace(CHANGES["no channel"][0], ""))
    running.change(last)
    assert running.engine.objects.awaits_backfill
    running.work(records)
    assert running.outcome()[0] == fresh(last, records).outcome()[0]


@pytest.mark.parametrize("what", ["nothing", "half", "another input"])
def test_a_backfill_waits_for_what_is_away(
    what: str,
    make_topology: Callable[[str], Topology],
    records: list[SourceRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A directory whose disk is away looks empty: that is no reason to withdraw anything."""
    new = make_topology(changed(*REFILTERED["other filter"]))
    running = fresh(make_topology(OLD), records)
    before, _ = running.outcome()
    running.change(new, Word.BACKFILL)
    left: list[SourceRecord] = records[: len(records) // 2] if what == "half" else []
    source = Records(left)
    source.name = "other" if what == "another input" else "memory"
    follow(running.engine, [source], threading.Event(), once=True)
    assert running.engine.objects.awaits_backfill
    assert {one.key for one in running.engine.objects.candidates()} == {one.key for one in before}
    said = {
        "nothing": "memory[0] (0 of 18 records)",
        "half": "memory[0] (9 of 18 records)",
        "another input": "memory[0] (of none of the inputs)",
    }[what]
    assert said in running.engine.backfill_waits
    assert said in caplog.text
    assert "--from-now-on" in caplog.text
    running.change(new, Word.BACKFILL)  # a restart
    running.work(records)
    assert running.engine.backfill_waits == ""
    assert running.outcome() == fresh(new, records).outcome()


def test_from_now_on_ends_a_backfill_whose_files_were_tidied_away(
    make_topology: Callable[[str], Topology],
    records: list[SourceRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:
    new = make_topology(changed(*REFILTERED["stricter filter"]))
    running = fresh(make_topology(OLD), records)
    before, _ = running.outcome()
    running.change(new, Word.BACKFILL)
    running.work([])
    assert running.engine.objects.awaits_backfill
    caplog.clear()
    running.change(new, Word.FROM_NOW_ON)
    assert "the backfill that was under way is ended" in caplog.text
    running.work([])
    assert not running.engine.objects.awaits_backfill
    assert {one.key for one in running.outcome()[0]} == {one.key for one in before}


def test_what_a_topic_has_removed_stays_as_it_was_judged(
    make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    new = make_topology(changed(*REFILTERED["stricter filter"]))
    running = fresh(make_topology(OLD), records)
    running.outcome()
    half = len(records) // 2

    def judged(*, old: bool) -> dict[int, tuple[str, ...]]:
        found = [alert for one in running.engine.objects.store for alert in one.alerts]
        return {one.where.offset: one.channels for one in found if (one.where.offset < half) is old}

    before, old = judged(old=False), judged(old=True)
    running.change(new, Word.BACKFILL)
    running.work(records[half:])
    assert not running.engine.objects.awaits_backfill
    assert judged(old=True) == old
    assert judged(old=False) != before


def alert_at(records: Sequence[SourceRecord]) -> int:
    """Offset of an alert in the middle."""
    return next(one.where.offset for one in records[4:] if one.stream == "alerts")


def test_a_backfill_waits_for_what_cannot_be_read_now(
    make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    new = make_topology(changed(*REFILTERED["other filter"]))
    running = fresh(make_topology(OLD), records)
    running.outcome()
    running.change(new, Word.BACKFILL)
    source = Faulty(records, alert_at(records), unread=True)
    rereading = Rereading(running.engine, lambda: [source], batch=4, clock=lambda: 0.0)
    for _ in range(9):
        rereading.step()
    assert rereading.pending
    assert "memory[0] (it is broken)" in running.engine.backfill_waits
    source.at = None  # the next poll can read it
    while rereading.pending:
        rereading.step()
    assert running.engine.backfill_waits == ""
    assert running.outcome() == fresh(new, records).outcome()
    assert list(running.engine.progress.letters()) == []


def test_what_is_damaged_by_now_is_said(
    make_topology: Callable[[str], Topology],
    records: list[SourceRecord],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    new = make_topology(changed(*REFILTERED["other filter"]))
    at = alert_at(records)
    running = fresh(make_topology(OLD), records)
    running.outcome()
    running.change(new, Word.BACKFILL)
    damaged = Faulty(records, at, unread=False)
    follow(running.engine, [damaged], threading.Event(), once=True)
    assert not running.engine.objects.awaits_backfill
    [letter] = running.engine.progress.letters()
    assert (letter.step, letter.where.offset) == ("backfill", at)
    assert "1 alert could not be judged anew by the backfill" in caplog.text
    assert running.engine.accounting.total("unjudged") == 1
    assert running.engine.unjudged == 0  # of the next one
    for _ in range(2):  # what is noted of it is in nobody's way
        Engine(new, running.backend, letter_file=tmp_path / "letters.ndjson").commit()
    assert (tmp_path / "letters.ndjson").read_text().count("\n") == 1


def test_no_two_tables_of_a_state_have_one_prefix() -> None:
    ours = [value for name, value in vars(Progress).items() if name.isupper() and len(value) == 1]
    ours += [value for name, value in vars(LetterFile).items() if name.isupper()]
    core = [value for name, value in vars(keys).items() if name.isupper()]
    assert len(ours) == 7
    assert len({*ours, *core}) == len(ours) + len(core)


def test_a_word_that_nothing_asks_for_is_known_to_be_none(
    make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    first, second = make_topology(OLD), make_topology(changed(*REFILTERED["other filter"]))
    backend = MemoryBackend()

    def unused(topology: Topology, word: Word | None) -> bool:
        engine = Engine(topology, backend, word=word)
        engine.process(records)
        engine.commit()
        return engine.word_is_unused

    assert unused(first, Word.BACKFILL)  # nothing was read before
    assert not Engine(first, backend).objects.awaits_backfill
    assert not unused(first, None)
    assert not unused(second, Word.FROM_NOW_ON)
    assert unused(second, Word.BACKFILL)  # it was chosen otherwise
    assert not unused(first, Word.BACKFILL)
    assert not unused(first, Word.BACKFILL)  # it goes on
    assert not unused(first, Word.FROM_NOW_ON)  # and is ended
    assert unused(first, Word.FROM_NOW_ON)


@pytest.mark.parametrize("unread", [False, True])
def test_what_was_a_dead_letter_when_it_was_new_is_not_waited_for_nor_said_again(
    make_topology: Callable[[str], Topology],
    records: list[SourceRecord],
    caplog: pytest.LogCaptureFixture,
    *,
    unread: bool,
) -> None:
    new = make_topology(changed(*REFILTERED["other filter"]))
    faulty = Faulty(records, alert_at(records), unread=unread)
    running = Running(make_topology(OLD))
    follow(running.engine, [faulty], threading.Event(), once=True)
    [letter] = running.engine.progress.letters()
    running.change(new, Word.BACKFILL)
    with caplog.at_level(logging.INFO):
        follow(running.engine, [faulty], threading.Event(), once=True)
    assert not running.engine.objects.awaits_backfill
    assert list(running.engine.progress.letters()) == [letter]
    assert "the backfill is read" in caplog.text
    assert "could not be judged" not in caplog.text


def test_a_file_of_dead_letters_that_was_thrown_away_is_not_waited_for(
    make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    new = make_topology(changed(*REFILTERED["other filter"]))
    running = fresh(make_topology(OLD), records)
    junk = SourceRecord(Coordinates("junk.avro", 0, 0), "alerts", b"junk")
    running.take([junk, replace(junk, where=Coordinates("junk.avro", 0, 1))])
    running.outcome()
    running.change(new, Word.BACKFILL)
    running.work(records)
    assert not running.engine.objects.awaits_backfill


def test_the_status_says_what_a_backfill_waits_for(
    make_topology: Callable[[str], Topology], records: list[SourceRecord], tmp_path: Path
) -> None:
    running = fresh(make_topology(OLD), records)
    running.outcome()
    running.change(make_topology(changed(*REFILTERED["other filter"])), Word.BACKFILL)
    running.work()
    reporter = Reporter(running.engine, StateFiles(tmp_path, "moving"), lambda _status: None)
    status = reporter.status()
    assert "memory[0] (0 of 18 records)" in status.backfill_waits
    assert status.backfill_waits in status_line(status)
    assert status_row(status, running=True, now=0.0)["backfill_waits"] == status.backfill_waits


def test_a_backfill_that_waits_rests_longer_the_longer_a_pass_takes(
    make_topology: Callable[[str], Topology], records: list[SourceRecord]
) -> None:
    running = fresh(make_topology(OLD), records)
    running.outcome()
    running.change(make_topology(changed(*REFILTERED["other filter"])), Word.BACKFILL)
    now = [0.0]
    passes: list[float] = []

    class Slow(Records):
        def read(self, _after: After) -> Iterator[SourceRecord]:
            passes.append(now[0])
            now[0] += 3.0
            return iter(())

    rereading = Rereading(running.engine, lambda: [Slow(records)], batch=4, clock=lambda: now[0])
    for _ in range(80):
        assert rereading.step() == 0
        now[0] += 1.0
    assert passes == [0.0, 33.0, 66.0]


@pytest.mark.parametrize("suffix", [".ndjson", ".ndjson.gz"])
def test_a_file_that_is_met_half_while_it_is_brought_back_is_read_whole(
    make_topology: Callable[[str], Topology], make_rows: list[Any], tmp_path: Path, suffix: str
) -> None:
    night = tmp_path / "alerts" / f"night{suffix}"
    night.parent.mkdir()
    whole = b"".join(json.dumps(row).encode() + b"\n" for row in make_rows)
    if suffix.endswith(".gz"):
        whole = gzip.compress(whole, 0)
    night.write_bytes(whole)
    source = FileSource(night.parent, "alerts")
    running = Running(make_topology(OLD))
    follow(running.engine, [source], threading.Event(), once=True)
    night.unlink()
    new = make_topology(changed(*REFILTERED["other filter"]))
    running.change(new, Word.BACKFILL)
    rereading = Rereading(running.engine, lambda: [source], batch=4, clock=lambda: 0.0)
    for left in (b"", whole[: len(whole) // 2], whole):
        night.write_bytes(left)
        for _ in range(20):
            if rereading.pending:
                rereading.step()
        assert rereading.pending is (left != whole)
    running.outcome()
    other = Running(new)
    follow(other.engine, [source], threading.Event(), once=True)
    assert [*other.engine.objects.store] == [*running.engine.objects.store]
