"""Objects and events: what is known does not depend on what came last, and failures stay small."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.core import matching, objectstore
from ampelstream.core.objectstore import merge_detection
from ampelstream.core.ownership import Claim, claim
from ampelstream.core.state import commit_order, keys
from ampelstream.errors import ConfigError
from ampelstream.model.announcement import Tick
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.streams import KEY_SEPARATOR, Record
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

T0 = 2460000.0
CREATED = ["2023-02-25T00:05:00Z", "2023-02-25T01:05:00Z", "2023-02-25T02:05:00Z"]


def tick(jd: float) -> Tick:
    """All that is read has come so far."""
    return Tick(jd, "alerts", 0, T0 + 2000.0)


alerts: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    candid=st.integers(1, 2),
    jd=st.sampled_from([T0 + 1.0, T0 + 1.5, T0 + 30.0]),
    ra=st.sampled_from([40.0, 40.001, 80.0]),
    offset=st.integers(0, 3),
    channels=st.sampled_from([("all",), ("all", "other"), ("other",)]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(alerts, min_size=1, max_size=6), dice=st.randoms(use_true_random=False))
def test_a_candid_sent_again_with_another_position_or_time_merges_the_same_in_any_order(
    make_detection: Callable[..., Any], told: list[dict[str, Any]], dice: random.Random
) -> None:
    def merged(order: list[dict[str, Any]]) -> Any:
        state = None
        for facts in order:
            state, _ = merge_detection(state, make_detection(**facts))
        return state

    mixed = [*told, dice.choice(told)]
    dice.shuffle(mixed)
    assert merged(mixed) == merged(told)


@pytest.mark.parametrize("jd", [T0 + 2.0, T0 + 300.0])
def test_the_candidate_of_such_an_alert_is_the_same_in_either_order(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Any, jd: float
) -> None:
    one = make_detection(offset=4, ra=40.0)
    other = make_detection(offset=2, ra=200.0, jd=jd)  # as far as known, outside
    ends = []
    for order in ([one, other], [other, one]):
        partition = make_partition(wide)
        partition.take(make_notice(), *order)
        partition.commit()
        ends.append(sorted(partition.backend.scan(b"\x01", b"\xff")))
    assert ends[0] == ends[1]
    # the record with the smaller coordinates says where the alert was
    assert [key for key, _ in ends[0] if key[:1] == keys.CANDIDATE] == []


def test_a_notice_that_comes_twice_is_known_from_the_smaller_coordinates(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    notice, ends = make_notice(), []
    for order in ((7, 3), (3, 7)):
        partition = make_partition(wide)
        partition.take(make_detection())
        outputs = [
            partition.take(partition.announcement(notice, offset=offset)) for offset in order
        ]
        [candidate] = partition.objects.candidates()
        assert candidate.provenance.records[-1] == Coordinates("notices", 0, 3)
        ends.append(candidate)
        # where the record of the notice moved, readers are told
        assert [len(found) for found in outputs] == ([1, 1] if order == (7, 3) else [1, 0])
        assert partition.accounting.counts() == {}
        partition.commit()
        assert partition.accounting.total("known", "notices") == 1
    assert ends[0] == ends[1]


def test_one_channel_that_cannot_be_evaluated_keeps_no_other_back(
    make_topology: Any,
    make_partition: Any,
    make_detection: Any,
    make_notice: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "name: two\nversion: 1\nchannels:\n  a: {window: [0, 10]}\n  b: {window: [0, 10]}\n"
    partition = make_partition(make_topology(text))
    evaluate = matching.evaluate

    def moody(topology: Any, channel: Any, *more: Any) -> Any:
        if channel.name == "a":
            raise RuntimeError("not today")
        return evaluate(topology, channel, *more)

    monkeypatch.setattr(objectstore, "evaluate", moody)
    partition.take(make_notice())
    outputs = partition.take(make_detection(channels=("a", "b"), offset=9))
    [candidate] = [one for one in outputs if isinstance(one, Candidate)]
    [letter] = [one for one in outputs if isinstance(one, DeadLetter)]
    assert candidate.channel == "b"
    assert letter.reason.startswith("object ZTF01 against event SIM230225a: channel a: not today")
    assert (letter.stream, letter.step) == ("detections", "match")
    assert letter.where == Coordinates("alerts", 0, 9)


def test_bytes_that_are_nothing_are_a_dead_letter_with_their_coordinates(
    wide: Topology, make_partition: Any
) -> None:
    partition = make_partition(wide)
    where = Coordinates("ampel.wide.detections", 2, 5)
    [output] = partition.objects.process([Record(where, "detections", b"junk")])
    assert (output.value.where, output.value.value) == (where, b"junk")
    partition.commit()
    assert partition.accounting.total("failed", "detections") == 1


def test_a_record_that_could_not_be_read_is_a_dead_letter(
    wide: Topology, make_partition: Any
) -> None:
    partition = make_partition(wide)
    where = Coordinates("ampel.wide.events", 2, 5)
    [output] = partition.objects.process([Record(where, "events", None, "offsets 5 to 9 are bad")])
    letter = output.value
    assert (letter.where, letter.error, letter.reason, letter.value) == (
        *(where, "SourceError", "offsets 5 to 9 are bad", b""),
    )


def test_an_object_that_no_store_takes_stays_as_it_was(
    wide: Topology, make_partition: Any, make_detection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = make_partition(wide)
    partition.take(make_detection())
    before = partition.state.changes()
    monkeypatch.setattr("ampelstream.core.objectstore.MAX_RECORD_BYTES", 100)
    [letter] = partition.take(make_detection(candid=2))
    assert "object ZTF01 would take" in letter.reason
    assert partition.state.changes() == before


def test_sweeps_go_on_where_the_last_commit_was(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    partition = make_partition(wide)
    for number in range(60):
        partition.take(make_detection(f"ZTF{number:02d}", number, ra=40.0 + number * 1e-3))
    where = Coordinates("memory", 0, 99)
    record = Record(where, "events", partition.announcement(make_notice()))
    assert partition.objects.process([record]) == []
    first = partition.objects.advance(budget_seconds=0.0)
    assert len(first) == 1  # the time is looked at after each object
    partition.commit()
    partition.objects.advance(budget_seconds=0.0)
    partition.reopen()  # killed before that was committed
    assert partition.objects.pending == 1
    rest = partition.objects.advance()
    assert len(rest) == 59
    assert {one.key for one in first} & {one.key for one in rest} == set()


def test_an_event_known_only_by_a_retraction_expires(
    wide: Topology, make_partition: Any, make_notice: Any
) -> None:
    partition = make_partition(wide)
    partition.take(make_notice(kind="RETRACTION"))
    assert len(partition.objects.events) == 1
    partition.take(tick(T0 + 60))
    assert len(partition.objects.events) == 1
    partition.take(tick(T0 + 80))
    assert len(partition.objects.events) == 0


def test_a_day_of_the_future_that_an_earlier_version_left_does_not_stop_forgetting(
    wide: Topology, make_partition: Any, make_detection: Any
) -> None:
    partition = make_partition(wide)
    partition.take(make_detection())
    partition.state.put(keys.FORGOTTEN, str(int(T0 + 9000)).encode())  # of one alert of 2050
    partition.commit()
    partition.reopen()
    partition.take(tick(T0 + 200))
    assert list(partition.objects.store) == []
    assert partition.objects.watermark == T0 + 200
    assert partition.state.get(keys.FORGOTTEN) == str(int(T0 + 200)).encode()


def test_event_time_forgets_once_a_day_and_not_backwards(
    wide: Topology, make_partition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def expired(_store: Any, day: float) -> list[Any]:
        asked.append(day)
        return []

    monkeypatch.setattr("ampelstream.core.events.EventStore.expired", expired)
    partition = make_partition(wide)
    for days in (5.0, 5.5, 4.0, 6.0):
        partition.take(tick(T0 + days))
    assert partition.take(Tick(T0 + 50.0)) == []  # of an earlier version: it names no source
    assert asked == [T0 + 5, T0 + 6]


@pytest.mark.parametrize("keep", [1e9, float("inf")])
def test_what_is_kept_for_ever_is_kept(
    make_topology: Any, make_partition: Any, make_detection: Any, make_notice: Any, keep: float
) -> None:
    text = "name: long\nversion: 1\nchannels: {all: {window: [0, 10]}}\nretention: "
    named = {1e9: "{objects: 1.0e+9, events: 1.0e+8}"}.get(keep, "{objects: .inf, events: .inf}")
    partition = make_partition(make_topology(text + named + "\n"))
    partition.take(make_notice(), make_detection())
    assert partition.take(tick(T0 + 1000)) == []
    assert len(list(partition.objects.store)) == len(partition.objects.events) == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    jd=st.sampled_from([0.0, -1.0, -1e300, 1e300, 60000.0, 1e10]) | st.floats(-1e12, 1e12),
    more=st.sampled_from([0.0, -1e9, T0, 1e300]),
)
def test_objects_of_odd_times_are_kept_whole_and_forgotten_by_the_first_that_can(
    wide: Topology, make_partition: Any, make_detection: Any, jd: float, more: float
) -> None:
    """Codecs let no such time pass; but no half of an object may be left of one that came in."""
    partition = make_partition(wide)
    assert partition.take(make_detection(jd=jd), make_detection(candid=2, jd=more)) == []
    assert partition.take(make_detection("ZTF02", 3)) == []
    partition.take(tick(T0 + 1000))
    left = list(partition.objects.store)
    assert [one.object_id for one in left] == (["ZTF01"] if max(jd, more) >= T0 + 900 else [])
    partition.commit()
    entries = {key[:1] for key, _ in partition.backend.scan(b"\x01", b"\xff")}
    assert bool(entries & {keys.OBJECT, keys.TIME, keys.INDEX}) == bool(left)


def test_candidates_are_made_anew_from_their_keys(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    partition = make_partition(wide)
    [candidate] = partition.take(make_notice(), make_detection())
    key = KEY_SEPARATOR.join(candidate.key)
    gone = KEY_SEPARATOR.join(("E", "ZTF99", "all"))
    found = {one.key: one.value for one in partition.objects.again([key, gone])}
    assert found == {key: candidate, gone: None}
    partition.take(tick(T0 + 1000))  # the object is forgotten, and its candidate archived
    assert list(partition.objects.store) == []
    found = {one.key: one.value for one in partition.objects.again([key, gone])}
    assert found == {key: candidate, gone: None}


def test_an_object_that_comes_back_has_each_candidate_once(
    make_topology: Any, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    text = "name: long\nversion: 1\nchannels: {all: {window: [0, 100]}}\n"
    partition = make_partition(make_topology(text + "retention: {objects: 110, events: 10}\n"))
    # a later revision corrects the time: the event stays, and its window reaches further
    late = make_notice("2023-02-26T00:05:00Z", "UPDATE", t0_jd=T0 + 30)
    [first] = partition.take(make_notice(), make_detection())
    [first] = partition.take(late)
    partition.take(tick(T0 + 115))
    assert list(partition.objects.store) == []
    assert partition.objects.candidates() == [first]
    [again] = partition.take(make_detection(candid=2, jd=T0 + 116))
    assert partition.objects.candidates() == [again]
    assert list(partition.objects.store.candidates_for(first.event_id)) == [again]


def test_a_forgetting_that_a_kill_cut_short_is_done_again_and_archives_the_same(
    make_topology: Any, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    text = "name: two\nversion: 1\nchannels: {all: {window: [0, 10]}}\n"
    topology = make_topology(text + "retention: {objects: 30, events: 20}\n")

    def before() -> Any:
        partition = make_partition(topology)
        partition.take(make_notice(), make_detection(), make_detection("ZTF02", 2))
        partition.commit()
        return partition

    whole = before()
    whole.take(tick(T0 + 100))
    changes = sorted(whole.state.changes().items(), key=lambda change: commit_order(*change))
    kept = whole.objects.candidates(), whole.objects.censuses()
    assert [len(one.lightcurve) for one in kept[0]] == [1, 1]
    for written in range(len(changes)):
        partition = before()
        partition.backend.write(dict(changes[:written]))
        partition.reopen()
        partition.take(tick(T0 + 100))
        assert (partition.objects.candidates(), partition.objects.censuses()) == kept


def test_a_tick_that_fails_is_no_alert_that_failed(
    wide: Topology, make_partition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr("ampelstream.core.retention.Retention.advance", broken)
    partition = make_partition(wide)
    assert [one.reason.partition(" (")[0] for one in partition.take(tick(T0))] == ["not today"]
    partition.commit()
    assert partition.accounting.counts() == {
        ("dead_letters", "detections", "objects", "RuntimeError"): 1
    }


def test_a_state_belongs_to_one_topology(make_topology: Any) -> None:
    text = "name: mine\nversion: 1\nchannels: {a: {window: [0, 10]}}\n"
    mine, backend = make_topology(text), MemoryBackend()
    state = Transaction(backend)
    assert claim(state, mine) == Claim(used=False)
    state.commit()
    assert claim(Transaction(backend), mine) == Claim(used=True)
    other = make_topology(text.replace("mine", "yours"))
    with pytest.raises(ConfigError, match="not to topology yours"):
        claim(Transaction(backend), other)
    for strange in (b"0123456789abcdef", msgspec.msgpack.encode({"topology": "mine", "format": 2})):
        backend.write({keys.IDENTITY: strange})  # as earlier versions wrote it
        with pytest.raises(ConfigError, match=r"of an earlier version|layout of version 2"):
            claim(Transaction(backend), mine)


def test_a_replay_is_not_gone_on_with_by_another_content(make_topology: Any) -> None:
    text = "name: mine\nversion: 1\nchannels: {a: {window: [0, 10]}}\n"
    mine, backend = make_topology(text), MemoryBackend()
    state = Transaction(backend)
    claim(state, mine, "files")
    state.commit()
    changed = make_topology(text.replace("10", "11"))
    with pytest.raises(
        ConfigError, match=rf"mine with content {mine.digest}, not to .*{changed.digest}"
    ):
        claim(Transaction(backend), changed, "files")
    described = make_topology(text + "description: in other words\n")
    assert claim(Transaction(backend), described, "files") == Claim(used=True)
