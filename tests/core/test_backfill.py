"""What a backfill takes in, and what it leaves."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.core.objects import Objects
from ampelstream.core.ownership import Word
from ampelstream.core.state import commit_order, decode, encode
from ampelstream.model.announcement import Backfilled
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Record
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

from .conftest import T0, WIDE


@pytest.fixture
def changed(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(WIDE.replace("{region: 0.99", "{alerts: {where: rb > 0.5}, region: 0.99"))


def reopen(partition: Any, topology: Topology, backfill: str = "") -> None:
    """The worker comes back with a changed file."""
    partition.commit()
    partition.topology = topology
    partition.state = Transaction(partition.backend)
    partition.objects = Objects(
        topology,
        partition.state,
        Accounting().tally(),
        lambda: 0.0,
        word=Word.BACKFILL,
        backfill=backfill or topology.filters,
    )
    partition.objects.advance()


def alerts(partition: Any) -> dict[str, list[int]]:
    return {one.object_id: [a.candid for a in one.alerts] for one in partition.objects.store}


def test_what_old_filters_accepted_last_is_not_taken_for_new(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    partition = make_partition(wide)

    def by(topology: Topology, candid: int, *, backfill: bool = False) -> Any:
        one = make_detection(candid=candid, offset=candid)
        return msgspec.structs.replace(one, filters=topology.filters, backfill=backfill)

    partition.take(by(wide, 1))
    reopen(partition, changed)
    partition.take(by(wide, 2))  # was on its way when the filters changed
    partition.take(by(changed, 3), by(changed, 1, backfill=True))
    assert alerts(partition) == {"ZTF01": [1, 2, 3]}
    partition.take(Backfilled("of an earlier change"))
    assert alerts(partition) == {"ZTF01": [1, 2, 3]}
    partition.take(Backfilled(changed.filters))
    assert alerts(partition) == {"ZTF01": [1, 3]}
    assert not partition.objects.pending
    partition.take(Backfilled(changed.filters))  # by another worker that saw the end
    assert alerts(partition) == {"ZTF01": [1, 3]}


def test_alerts_that_could_not_be_read_again_stay(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    partition = make_partition(wide)
    for number, days in enumerate((1.0, 3.0, 5.0)):
        partition.take(
            make_detection("ZTF01", candid=number, jd=T0 + days, offset=number),
            make_detection(f"ZTF1{number}", candid=10 + number, jd=T0 + days, offset=10 + number),
        )
    reopen(partition, changed)
    partition.objects.keep(T0 + 2.0, {})
    partition.take(Backfilled(changed.filters))
    assert alerts(partition) == {"ZTF01": [0], "ZTF10": [10]}


def test_its_end_says_how_old_what_could_not_be_read_again_is(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    """Retention goes on while alerts are read again: what is known at the end counts."""
    partition = make_partition(wide)
    for number, days in enumerate((1.0, 3.0, 5.0)):
        partition.take(make_detection("ZTF01", candid=number, jd=T0 + days, offset=number))
    reopen(partition, changed)
    partition.objects.keep(T0 + 2.0, {})
    partition.take(Backfilled(changed.filters, T0 + 4.0))
    assert alerts(partition) == {"ZTF01": [0, 1]}


def test_alerts_of_topics_that_were_deleted_stay(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    """As a survey does with that of a night; what topics that are there hold was read again."""
    partition = make_partition(wide)
    topics = ["ztf_1", "ztf_2", "ztf_10", "night.tar.gz"]
    for number, topic in enumerate(topics):
        one = make_detection("ZTF01", candid=number, offset=number)
        where = Coordinates(topic, 0, number)
        partition.take(msgspec.structs.replace(one, where=where))
    reopen(partition, changed)
    mark = Backfilled(changed.filters, held={"ztf_[12]": ("ztf_2",), "other": ()})
    partition.take(mark)
    assert alerts(partition) == {"ZTF01": [0]}


def test_what_a_run_cannot_read_again_is_known_to_a_restart(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    partition = make_partition(wide)
    for number, days in enumerate((1.0, 3.0)):
        one = make_detection("ZTF01", candid=number, jd=T0 + days, offset=number)
        where = Coordinates(f"night-{number}", 0, number)
        partition.take(msgspec.structs.replace(one, where=where))
    reopen(partition, changed)
    partition.objects.keep(None, {"night-.*": ("night-0",)})
    partition.objects.keep(T0 + 2.0, {})
    reopen(partition, changed, changed.filters)
    partition.take(Backfilled(changed.filters))
    assert alerts(partition) == {"ZTF01": [0, 1]}


def test_an_object_that_is_left_with_nothing_is_withdrawn(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    partition = make_partition(wide)
    partition.take(make_notice(), make_detection())
    [candidate] = partition.objects.candidates()
    reopen(partition, changed)
    [gone] = partition.take(Backfilled(changed.filters))
    assert (gone.key, gone.status.value) == (candidate.key, "rejected")
    assert partition.objects.candidates() == []
    partition.commit()
    keys_left = {key[:1] for key, _ in partition.backend.scan(b"\x00", b"\xff")}
    assert keys_left == {b"e", b"m", b"v"}  # the event, its map, and whose state it is


def test_a_second_change_begins_the_backfill_anew(
    wide: Topology,
    changed: Topology,
    make_topology: Callable[[str], Topology],
    make_partition: Any,
    make_detection: Any,
) -> None:
    partition = make_partition(wide)
    partition.take(make_detection(candid=1))
    reopen(partition, changed)

    def read_again(topology: Topology, candid: int) -> None:
        one = make_detection(candid=candid, offset=candid)
        partition.take(msgspec.structs.replace(one, filters=topology.filters, backfill=True))

    read_again(changed, 1)
    last = make_topology(WIDE.replace("{region: 0.99", "{alerts: {where: rb > 0.9}, region: 0.99"))
    reopen(partition, last)
    assert partition.objects.awaits_backfill
    read_again(last, 2)
    partition.take(Backfilled(changed.filters), Backfilled(last.filters))
    assert alerts(partition) == {"ZTF01": [2]}


def test_a_failure_costs_only_its_object(
    wide: Topology,
    changed: Topology,
    make_partition: Any,
    make_detection: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partition = make_partition(wide)
    for number in range(3):
        partition.take(make_detection(f"ZTF{number}", candid=number, offset=number))
    reopen(partition, changed)
    store = partition.objects.store
    whole = type(store).refilter

    def broken(self: Any, object_id: str, *rest: Any) -> Any:
        if object_id == "ZTF1":
            raise RuntimeError("not this one")
        return whole(self, object_id, *rest)

    monkeypatch.setattr(type(store), "refilter", broken)
    where = Coordinates("memory", 0, 99)
    partition.objects.process([Record(where, "detections", Backfilled(changed.filters))])
    [letter] = [one.value for one in partition.objects.advance()]
    assert letter.reason.startswith("object ZTF1 brought over by a backfill: not this one")
    assert alerts(partition) == {"ZTF1": [1]}
    assert not partition.objects.pending


def test_a_commit_that_was_cut_short_loses_no_object_that_is_brought_over(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    partition = make_partition(wide)
    partition.take(make_notice())
    for number in range(4):
        partition.take(make_detection(f"ZTF{number}", candid=number, offset=number))
    reopen(partition, changed)
    for number in range(3):  # the last one is accepted no longer
        one = make_detection(f"ZTF{number}", candid=number, offset=number)
        partition.take(msgspec.structs.replace(one, filters=changed.filters, backfill=True))
    partition.commit()
    where = Coordinates("memory", 0, 99)
    mark = Record(where, "detections", Backfilled(changed.filters))
    partition.objects.process([mark])
    partition.commit()
    before = dict(partition.backend.scan(b"\x00", b"\xff"))
    partition.objects.advance()
    changes = partition.state.changes().items()
    ordered = sorted(changes, key=lambda change: commit_order(*change))
    expected = {f"ZTF{number}": [number] for number in range(3)}
    for length in range(len(ordered) + 1):
        backend = MemoryBackend()
        backend.write({**before, **dict(ordered[:length])})
        partition.backend = backend
        partition.state = Transaction(backend)
        partition.objects = Objects(
            changed,
            partition.state,
            Accounting().tally(),
            lambda: 0.0,
            word=Word.BACKFILL,
            backfill=changed.filters,
        )
        outputs = [one.value for one in partition.objects.advance()]
        assert alerts(partition) == expected, ordered[:length]
        gone = {one.object_id for one in outputs if one.status.value == "rejected"}
        assert gone <= {"ZTF3"}
        partition.commit()
        tables = {key[:1] for key, _ in backend.scan(b"\x00", b"\xff")}
        assert not tables & {b"b", b"z"}


def test_a_beginning_that_was_cut_short_leaves_nothing_of_an_earlier_backfill(
    make_topology: Callable[[str], Topology], make_partition: Any, make_detection: Any
) -> None:
    two = "channels:\n  other: {region: 0.5, window: [0, 10]}"
    wide = make_topology(WIDE.replace("channels:", two))
    where = "{alerts: {where: rb > 0.5}, region: 0.99"
    changed = make_topology(WIDE.replace("channels:", two).replace("{region: 0.99", where))
    fewer = make_topology(WIDE.replace("{region: 0.99", where))  # a channel goes: no word is asked
    partition = make_partition(wide)
    partition.take(*(make_detection(f"ZTF{n}", candid=n, offset=n) for n in range(3)))
    reopen(partition, changed)
    for number in range(3):
        one = make_detection(f"ZTF{number}", candid=number, offset=number)
        partition.take(msgspec.structs.replace(one, filters=changed.filters, backfill=True))
    partition.commit()
    before = dict(partition.backend.scan(b"\x00", b"\xff"))
    state = Transaction(partition.backend)
    Objects(fewer, state, Accounting().tally(), lambda: 0.0, backfill="second")
    ordered = sorted(state.changes().items(), key=lambda change: commit_order(*change))
    for length in range(len(ordered) + 1):
        backend = MemoryBackend()
        backend.write({**before, **dict(ordered[:length])})
        state = Transaction(backend)
        objects = Objects(fewer, state, Accounting().tally(), lambda: 0.0, backfill="second")
        assert objects.awaits_backfill
        objects.advance()  # removes what the first one gathered
        assert not list(state.scan(b"b", b"c")), ordered[:length]
        assert objects.awaits_backfill


def test_what_was_given_up_is_seen_by_nobody_and_removed_slice_by_slice(
    wide: Topology,
    changed: Topology,
    make_topology: Callable[[str], Topology],
    make_partition: Any,
    make_detection: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ampelstream.core.objects._CLEARED_AT_ONCE", 2)
    partition = make_partition(wide)
    partition.take(*(make_detection(f"ZTF{n}", candid=n, offset=n) for n in range(7)))
    reopen(partition, changed)

    def read_again(topology: Topology, *numbers: int) -> None:
        for number in numbers:
            one = make_detection(f"ZTF{number}", candid=number, offset=number)
            value = msgspec.structs.replace(one, filters=topology.filters, backfill=True)
            partition.objects.process([Record(one.where, "detections", value)])

    read_again(changed, *range(7))
    last = make_topology(WIDE.replace("{region: 0.99", "{alerts: {where: rb > 0.9}, region: 0.99"))

    def start() -> None:
        partition.commit()
        partition.state = Transaction(partition.backend)
        partition.objects = Objects(
            *(last, partition.state, Accounting().tally(), lambda: 0.0),
            word=Word.BACKFILL,
            backfill="last",
        )

    def shadows() -> int:
        return len(list(partition.state.scan(b"b", b"c")))

    partition.topology = last
    start()
    assert not [one for one in partition.state.changes() if one[:1] == b"b"]  # no long commit
    read_again(last, 1)
    assert shadows() == 8
    for left in (6, 4):
        partition.objects.advance(0.0)
        assert shadows() == left
        start()  # a kill: what is left is still to be removed
        assert partition.objects.pending
    mark = Record(Coordinates("memory", 0, 99), "detections", Backfilled("last"))
    partition.objects.process([mark])  # the end comes before they are gone
    partition.objects.advance()
    assert alerts(partition) == {"ZTF1": [1]}
    assert shadows() == 0
    assert not partition.objects.pending


def test_a_backfill_that_an_earlier_version_began_goes_on(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    """Its shadows have no number."""
    partition = make_partition(wide)
    partition.take(*(make_detection(f"ZTF{n}", candid=n, offset=n) for n in range(3)))
    reopen(partition, changed)
    partition.take(
        msgspec.structs.replace(
            make_detection("ZTF1", candid=1, offset=1), filters=changed.filters, backfill=True
        )
    )
    [(key, value)] = partition.state.scan(b"b", b"c")
    partition.state.delete(key)
    partition.state.put(b"bZTF1", value)
    now = decode.backfill(partition.state.get(b"z"))
    partition.state.put(b"z", encode(msgspec.structs.replace(now, number=0)))
    reopen(partition, changed)
    assert not partition.objects.pending
    two = make_detection("ZTF2", candid=2, offset=2)
    partition.take(
        msgspec.structs.replace(two, filters=changed.filters, backfill=True),
        Backfilled(changed.filters),
    )
    assert alerts(partition) == {"ZTF1": [1], "ZTF2": [2]}
    assert not list(partition.state.scan(b"b", b"c"))


def test_from_now_on_ends_a_backfill_that_is_under_way(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    partition = make_partition(wide)
    partition.take(make_detection(candid=1))
    reopen(partition, changed)
    assert partition.objects.awaits_backfill
    partition.commit()
    state = Transaction(partition.backend)
    now, mine = Word.FROM_NOW_ON, changed.filters
    named = Objects(changed, state, Accounting().tally(), lambda: 0.0, word=now, backfill=mine)
    assert named.awaits_backfill  # on Kafka all is chosen for the whole cluster, and named
    assert not named.gave_up
    objects = Objects(changed, state, Accounting().tally(), lambda: 0.0, word=now)
    assert objects.gave_up
    assert not objects.awaits_backfill
    partition.objects = objects
    assert alerts(partition) == {"ZTF01": [1]}


def test_what_is_read_again_is_no_second_dead_letter_and_no_second_failure(
    wide: Topology, make_partition: Any, make_detection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounting = Accounting()
    tally = accounting.backfill_tally()
    where = Coordinates("alerts", 0, 1)
    ingest = Ingest(wide, tally, lambda: 4e9, backfill=True, given_up={where}.__contains__)
    unreadable = SourceRecord(where, "alerts", b"", fault="it inflates to too much")
    assert ingest.process([unreadable, SourceRecord(where, "alerts", b"no packet")]) == []
    ingest.committed()
    assert accounting.counts() == {("refiltered",): 2}

    def broken(*_args: Any) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr("ampelstream.core.backfill.Refiltering.add", broken)
    partition = make_partition(wide)
    [letter] = partition.take(msgspec.structs.replace(make_detection(), backfill=True))
    assert letter.error == "RuntimeError"
    partition.commit()
    assert partition.accounting.total("failed") == 0
    assert partition.accounting.total("dead_letters") == 1


def test_a_shadow_that_no_changelog_takes_is_a_dead_letter_and_the_object_has_the_alert(
    wide: Topology,
    changed: Topology,
    make_partition: Any,
    make_detection: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partition = make_partition(wide)
    reopen(partition, changed)
    monkeypatch.setattr("ampelstream.core.backfill.MAX_RECORD_BYTES", 200)
    for candid in range(3):
        one = make_detection(candid=candid, offset=candid)
        new = msgspec.structs.replace(one, filters=changed.filters)
        found = partition.take(new, msgspec.structs.replace(new, candid=9, backfill=True))
        assert [one.error for one in found] == ["StateError"] * len(found)
    assert len(found) == 2
    assert "with what changed filters accept" in found[0].reason
    assert alerts(partition) == {"ZTF01": [0, 1, 2]}
    large = [value for _, value in partition.state.scan(b"b", b"c") if len(value) > 200]
    assert large == []


@pytest.mark.parametrize("last", ["another filter", "a channel less"])
def test_what_was_read_is_brought_over_also_under_the_next_topology(
    make_topology: Callable[[str], Topology], make_partition: Any, make_detection: Any, last: str
) -> None:
    two = WIDE.replace("channels:", "channels:\n  other: {region: 0.5, window: [0, 10]}")
    where = "{alerts: {where: rb > LEAST}, region: 0.99"
    old = make_topology(two)
    new = make_topology(two.replace("{region: 0.99", where.replace("LEAST", "0.5")))
    least, text = ("0.9", two) if last == "another filter" else ("0.5", WIDE)
    third = make_topology(text.replace("{region: 0.99", where.replace("LEAST", least)))
    partition = make_partition(old)

    def by(topology: Topology, candid: int, *, backfill: bool = False) -> Record:
        one = make_detection(f"ZTF{candid % 2}", candid=candid, offset=candid)
        value = msgspec.structs.replace(one, filters=topology.filters, backfill=backfill)
        return Record(Coordinates("memory", 0, candid), "detections", value)

    partition.objects.process([by(old, candid) for candid in (0, 1, 2)])
    reopen(partition, new)
    again = [by(new, candid, backfill=True) for candid in (1, 2, 3)]
    mark = Record(Coordinates("memory", 0, 9), "detections", Backfilled(new.filters))
    partition.objects.process([*again, mark])
    partition.commit()  # killed before any object was brought over
    state = Transaction(partition.backend)
    tally = Accounting().tally()
    objects = Objects(third, state, tally, lambda: 0.0, word=Word.FROM_NOW_ON)
    # what was on its way when the topology changed, and what came since
    objects.process([by(new, 4), by(third, 5)])
    objects.advance()
    partition.objects = objects
    assert alerts(partition) == {"ZTF0": [2, 4], "ZTF1": [1, 3, 5]}
    assert not objects.pending


@pytest.mark.parametrize("over", [False, True])
def test_a_backfill_after_a_topology_that_the_partition_never_saw(
    wide: Topology,
    changed: Topology,
    make_partition: Any,
    make_detection: Any,
    over: bool,  # noqa: FBT001  (a case)
) -> None:
    """Others went back meanwhile, and forward again, while this partition had no worker."""
    partition = make_partition(wide)
    partition.take(make_detection(candid=1))
    reopen(partition, changed, backfill="first")
    if over:
        partition.take(Backfilled("first"))

    def by(topology: Topology, candid: int, *, backfill: bool = False) -> Any:
        one = make_detection(candid=candid, offset=candid)
        return msgspec.structs.replace(one, filters=topology.filters, backfill=backfill)

    reopen(partition, changed, backfill="second")
    partition.take(by(wide, 2), by(changed, 3, backfill=True), Backfilled("first"))
    assert partition.objects.awaits_backfill
    partition.take(Backfilled("second"))
    assert alerts(partition) == {"ZTF01": [3]}
    reopen(partition, changed, backfill="second")
    assert not partition.objects.awaits_backfill
    assert alerts(partition) == {"ZTF01": [3]}
