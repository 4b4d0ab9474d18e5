"""The soak in short, and whether its checks can fail."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.core.react import React
from ampelstream.core.state import AcceptedAlert, LedgerEntry, ObjectState
from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.streams import Record
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import build, load
from ampelstream.units import Resources
from tests.kafka.soak.check import judge_final, judge_packets, judge_sent
from tests.kafka.soak.faults import FAULTS, Lengths
from tests.kafka.soak.packets import SOURCE, TOPOLOGY, Stream
from tests.kafka.soak.reference import undisturbed
from tests.kafka.soak.run import Soak

PACKETS = 600
"""Poison: 200, 400, 600."""


@pytest.fixture(scope="module")
def stream() -> Stream:
    return Stream(PACKETS, objects=60, poison_every=200)


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("soak") / "soak.yml"
    file.write_text(TOPOLOGY)
    return file


@pytest.fixture(scope="module")
def expected(stream: Stream, topology: Path) -> list[Candidate]:
    return undisturbed(stream, topology)


@pytest.fixture(scope="module")
def expected_of_lethal(stream: Stream, topology: Path) -> list[Candidate]:
    """Those of the topology whose filter kills, which here never sees what it kills for."""
    file = topology.with_name("lethal.yml")
    file.write_text(stream.as_lethal().topology())
    return undisturbed(stream, file)


ALONE = [[fault] for fault in FAULTS if fault != "none"]
SHORT = [
    ["kill", "term", "join", "wipe", "freeze"],
    ["restart", "pause", "refuse"],
    ["ingest"],  # these two need workers of their own
    ["away"],
    ["rollout"],
    ["lethal"],
]
"""Each fault once. Those that go together share a broker and its workers."""


def test_each_fault_is_in_the_short_form() -> None:
    assert sorted(fault for faults in SHORT for fault in faults) == sorted(f for [f] in ALONE)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("faults", "lengths"),
    [
        *((faults, Lengths(pause=11.0, away=9.0)) for faults in SHORT),
        *(pytest.param(faults, Lengths(), marks=pytest.mark.full) for faults in ALONE),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else f"{one.away:g} s",
)
def test_nothing_is_lost_and_nothing_sent_twice(
    faults: list[str],
    lengths: Lengths,
    local_kafka: str,
    stream: Stream,
    expected: list[Candidate],
    expected_of_lethal: list[Candidate],
    tmp_path: Path,
) -> None:
    assert local_kafka
    if faults == ["lethal"]:
        stream, expected = stream.as_lethal(), expected_of_lethal
    rate = 200.0 / len(faults)  # three seconds for each round
    soak = Soak(
        faults, stream, tmp_path / "soak", seed=1, rate=rate, patience=90.0, lengths=lengths
    )
    result = soak.run(len(faults), expected)
    assert result.wrong == []
    assert (result.lost, result.doubled, result.sent_twice) == (set(), set(), set())
    assert result.equal
    assert result.letters == 3
    assert result.sent > 20


def states(stream: Stream, numbers: range) -> dict[str, ObjectState]:
    found: dict[str, ObjectState] = {}
    for number in numbers:
        if not stream.is_poison(number):
            name = stream.object_id(number)
            where = Coordinates(SOURCE, 0, number)
            one = AcceptedAlert(number, 1.0, 2.0, 3.0, ("all",), where)
            before = found.get(name, ObjectState(name, "ztf"))
            found[name] = msgspec.structs.replace(before, alerts=(*before.alerts, one))
    return found


def letters() -> Iterator[DeadLetter]:
    for number in range(200, PACKETS + 1, 200):
        yield DeadLetter(Coordinates(SOURCE, 0, number), "alerts", "decode", "DecodeError", "bad")


def test_the_check_of_packets_finds_what_is_wrong(stream: Stream) -> None:
    everything = range(1, PACKETS + 1)
    whole = states(stream, everything)
    assert judge_packets(stream, PACKETS, whole.values(), letters()).ok

    # a dead letter that came twice is still one
    twice = [*letters(), *letters()]
    assert judge_packets(stream, PACKETS, whole.values(), twice).ok

    lacking = states(stream, range(2, PACKETS + 1))
    assert judge_packets(stream, PACKETS, lacking.values(), letters()).lost == [1]
    buried = judge_packets(stream, PACKETS, whole.values(), list(letters())[1:])
    assert buried.lost == [200]

    # an object in two partitions
    name = stream.object_id(7)
    both = [*whole.values(), states(stream, range(7, 8))[name]]
    assert judge_packets(stream, PACKETS, both, letters()).doubled == [7]

    early = judge_packets(stream, PACKETS - 1, whole.values(), letters())
    assert len(early.strange) == 1
    other = msgspec.structs.replace(whole[name], object_id="ZTF00other")
    moved = [other if state.object_id == name else state for state in whole.values()]
    assert judge_packets(stream, PACKETS, moved, letters()).strange
    good = DeadLetter(Coordinates(SOURCE, 0, 5), "alerts", "objects", "StateError", "no")
    strange = judge_packets(stream, PACKETS, whole.values(), [*letters(), good])
    assert "soak[0]@5" in strange.strange[0]


def test_the_check_of_reactions_finds_what_is_wrong(
    topology: Path, expected: list[Candidate]
) -> None:
    built = build(load(topology), Resources(catalogs=CatalogStore(topology.parent / "none")))
    react = React(built, Transaction(MemoryBackend()), Accounting().tally(), lambda: 0.0)
    nowhere = Coordinates("memory", 0, -1)
    react.process([Record(nowhere, "candidates", candidate) for candidate in expected])
    entries = [
        LedgerEntry(entry.reaction, ("file:near.ndjson", "console")) for entry in react.entries()
    ]
    assert len(entries) > 5
    lines = [msgspec.json.encode(entry.reaction) + b"\n" for entry in entries]
    text = b"".join(lines)
    sent = judge_sent(text, entries)
    assert sent.ok
    assert judge_final(sent, expected) == []

    first = entries[0].reaction.id
    assert judge_sent(text + lines[0], entries).doubled == [first]
    assert first in judge_sent(b"".join(lines[1:]), entries).strange[0]
    assert first in judge_sent(text, entries[1:]).strange[0]
    assert not judge_sent(text[:-1], entries).ok
    assert not judge_sent(text, [LedgerEntry(entries[0].reaction), *entries[1:]]).ok
    assert not judge_sent(text, [*entries, entries[0]]).ok

    untold = judge_final(judge_sent(b"".join(lines[1:]), entries[1:]), expected)
    assert "was not told" in untold[0]
    told = entries[0].reaction
    rest = [one for one in expected if one.object_id != told.object_id]
    assert "is no candidate" in judge_final(sent, rest)[0]
    outside = [
        msgspec.structs.replace(one, status=CandidateStatus.OUTSIDE, results=())
        if (one.event_id, one.object_id) == (told.event_id, told.object_id)
        else one
        for one in expected
    ]
    assert "was not withdrawn" in judge_final(sent, outside)[0]
