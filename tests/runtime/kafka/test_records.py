"""Outputs of the processors as records of topics, and records as what processors take."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ampelstream.codecs import own
from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.event import EventRevision
from ampelstream.model.reaction import Reaction
from ampelstream.model.record import Stream
from ampelstream.model.streams import Output, Parked
from ampelstream.runtime.kafka.headers import SINCE, decode_origin, encode_origin
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.records import encode, record_of, source_record
from ampelstream.runtime.safefaust.unreadable import unreadable
from ampelstream.topology import Topology

Night = Mapping[Stream, list[Any]]
WHERE = Coordinates("lsst-alerts", 2, 40)


@pytest.fixture
def outputs(small: Topology, night: Night) -> list[Output]:
    """What ingest gives for a night."""
    ingest = Ingest(small, Accounting().tally(), lambda: 1.8e9)
    records = [source_record(one, stream, ours=True) for stream in night for one in night[stream]]
    return ingest.process(records)


def test_the_parts_of_a_large_map_stay_in_order_in_each_partition(names: TopicNames) -> None:
    revision = EventRevision("S230101a", "INITIAL", "2023-01-01T00:00:00Z", "00")
    parts = Announcement(revision, b"12345", WHERE).split(2)
    found = encode([Output("events", "S230101a", one) for one in parts], names, 3)
    for partition in range(3):
        mine = [one.value or b"" for one in found if one.partition == partition]
        assert [own.decode_announcement(one) for one in mine] == parts


def of_kind(outputs: list[Output], kind: type[Any]) -> list[Output]:
    return [one for one in outputs if isinstance(one.value, kind)]


def test_detections_go_by_their_object(outputs: list[Output], names: TopicNames) -> None:
    detections = of_kind(outputs, Detection)
    found = encode(detections, names, 3)
    assert {(one.topic, one.partition) for one in found} == {(names.detections, None)}
    assert [one.key for one in found] == [one.key.encode() for one in detections]
    assert [own.decode_detection(one.value or b"") for one in found] == [
        one.value for one in detections
    ]
    assert len(found) > 200


def test_what_concerns_all_partitions_is_copied_to_each(
    outputs: list[Output], names: TopicNames
) -> None:
    for kind, topic in ((Announcement, names.events), (Tick, names.detections)):
        wanted = of_kind(outputs, kind)
        found = encode(wanted, names, 3)
        assert [one.partition for one in found] == [0, 1, 2] * len(wanted)
        assert {one.topic for one in found} == {topic}
        assert len({one.value for one in found}) == len(wanted) > 0


def test_a_tick_stays_behind_the_detections_before_it(
    outputs: list[Output], names: TopicNames
) -> None:
    at = next(n for n, one in enumerate(outputs) if isinstance(one.value, Tick))
    found = encode(outputs[: at + 1], names, 2)
    assert [own.is_tick(one.value or b"") for one in found[-3:]] == [False, True, True]


def test_candidates_stay_in_the_partition_of_their_object(names: TopicNames) -> None:
    (gone,) = encode(
        [Output("candidates", "event\x1fobject\x1fchannel", None)], names, 4, partition=3
    )
    assert (gone.topic, gone.key, gone.value, gone.partition) == (
        names.candidates,
        b"event\x1fobject\x1fchannel",
        None,
        3,
    )


def test_dead_letters_and_reactions(names: TopicNames) -> None:
    letter = DeadLetter(WHERE, "alerts", "decode", "DecodeError", "no Avro", value=b"\x00")
    reaction = Reaction("1234", "rule", "small", "event", "object", "sky", "new", {}, 1)
    found = encode(
        [Output("dead-letters", str(WHERE), letter), Output("reactions", "1234", reaction)],
        names,
        4,
        partition=1,
    )
    assert [(one.topic, one.key, one.partition) for one in found] == [
        (names.dead_letters, str(WHERE).encode(), None),
        (names.reactions, b"1234", None),
    ]
    assert own.decode_dead_letter(found[0].value or b"") == letter


def test_what_waits_keeps_where_and_when_it_came_first(names: TopicNames) -> None:
    value = Parked(WHERE, "member", b"packet", 1000.0)
    (out,) = encode([Output("parked", str(WHERE), value)], names, 4)
    assert (out.topic, out.value) == (names.parked, b"packet")
    assert decode_origin(out.headers) == (WHERE, "member")
    assert dict(out.headers)[SINCE] == b"1000.0"


@pytest.mark.parametrize("ours", [True, False])
def test_headers_are_believed_on_our_own_cluster_only(
    make_record: Callable[..., Any], *, ours: bool
) -> None:
    record = make_record("alerts", 7, b"packet")
    record.headers = (*encode_origin(WHERE, "a.avro"), (SINCE, b"5.0"))
    found = source_record(record, "alerts", ours=ours)
    here = Coordinates("alerts", 0, 7)
    expected = (WHERE, "a.avro", 5.0) if ours else (here, "", 0.0)
    assert (found.where, found.member, found.since) == expected
    assert (found.position, found.value) == (here, b"packet")


def test_a_batch_that_could_not_be_read_is_a_record_with_a_fault(names: TopicNames) -> None:
    found = source_record(unreadable("alerts", 2, 5, 9, "5 to 9"), "alerts", ours=True)
    assert (found.where, found.value, found.fault) == (Coordinates("alerts", 2, 5), b"", "5 to 9")
    record = record_of(unreadable(names.events, 2, 5, 9, "5 to 9"), names)
    assert (record.where, record.stream, record.value, record.fault) == (
        *(Coordinates(names.events, 2, 5), "events", None, "5 to 9"),
    )


def test_a_record_without_a_value_is_an_empty_one(make_record: Callable[..., Any]) -> None:
    assert source_record(make_record("alerts", 7, None), "alerts", ours=True).value == b""


def test_records_of_our_own_streams(names: TopicNames, make_record: Callable[..., Any]) -> None:
    topics = {
        names.detections: "detections",
        names.events: "events",
        names.candidates: "candidates",
    }
    for topic, stream in topics.items():
        found = record_of(make_record(topic, 9, b"1"), names)
        assert (found.stream, found.where, found.value) == (stream, Coordinates(topic, 0, 9), b"1")
    assert record_of(make_record(names.candidates, 9, None), names).value is None
