"""What the ingest step makes of a batch."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ampelstream.codecs import own
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import Stream
from ampelstream.runtime.kafka.headers import encode_origin
from ampelstream.runtime.kafka.ingest import Ingest
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.topology import Topology

Night = Mapping[Stream, list[Any]]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make(small: Topology, names: TopicNames, metrics: Metrics) -> Callable[..., Ingest]:
    def make(stream: Stream, *, ours: bool = True, **options: Any) -> Ingest:
        schemas = WireSchemas(None, metrics)
        return Ingest(small, names, stream, 3, schemas, metrics, ours=ours, **options)

    return make


def of_topic(outputs: list[Outgoing], topic: str) -> list[Outgoing]:
    return [one for one in outputs if one.topic == topic and not own.is_tick(one.value or b"")]


def ticks_of(outputs: list[Outgoing], names: TopicNames) -> list[Outgoing]:
    found = [one for one in outputs if own.is_tick(one.value or b"")]
    assert {one.topic for one in found} <= {names.detections}
    return found


def test_alerts_become_detections_in_order(
    make: Callable[..., Ingest], night: Night, names: TopicNames, metrics: Metrics
) -> None:
    out = of_topic(make("alerts").work(night["alerts"]), names.detections)
    detections = [own.decode_detection(one.value or b"") for one in out]
    assert [one.key for one in out] == [one.object_id.encode() for one in detections]
    offsets = [one.where.offset for one in detections]
    assert offsets == sorted(offsets)
    assert len(out) > 200
    text = metrics.render()
    assert b'stream="alerts"} %d.0' % len(night["alerts"]) in text


def test_notices_are_copied_to_every_partition(
    make: Callable[..., Ingest], night: Night, names: TopicNames
) -> None:
    out = make("notices").work(night["notices"])
    copies = Counter((one.key, one.value) for one in of_topic(out, names.events))
    assert set(copies.values()) == {3}
    assert {one.partition for one in out} == {0, 1, 2}
    told = [own.decode_announcement(value or b"") for _, value in copies]
    assert all(isinstance(one, Announcement) for one in told)
    assert ticks_of(out, names) == []


def test_a_new_day_is_told_once(
    make: Callable[..., Ingest], night: Night, names: TopicNames
) -> None:
    ingest = make("alerts")
    out = ingest.work(night["alerts"])
    ticks = ticks_of(out, names)
    assert [one.partition for one in ticks] == [0, 1, 2]
    assert out[-3:] == ticks  # behind the detections that came before
    assert isinstance(own.decode_tick(ticks[0].value or b""), Tick)
    assert ticks_of(ingest.work(night["alerts"]), names) == []


def test_a_time_in_the_future_tells_nobody(
    make: Callable[..., Ingest], night: Night, names: TopicNames
) -> None:
    assert ticks_of(make("alerts", now=lambda: 0.0).work(night["alerts"]), names) == []


@pytest.mark.parametrize("stream", ["alerts", "notices"])
@pytest.mark.parametrize("value", [b"", b"not ours", None])
def test_poison_becomes_a_dead_letter_and_the_others_go_on(
    make: Callable[..., Ingest],
    night: Night,
    names: TopicNames,
    make_record: Callable[..., Any],
    stream: Stream,
    value: bytes | None,
) -> None:
    records = [make_record(stream, 77, value), *night[stream]]
    out = make(stream).work(records)
    letters = of_topic(out, names.dead_letters)
    letter = own.decode_dead_letter(letters[0].value or b"")
    assert len(letters) == 1
    assert (letter.where, letter.value) == (Coordinates(stream, 0, 77), value or b"")
    assert len(out) > 1


@pytest.mark.parametrize("ours", [True, False])
def test_headers_are_believed_on_our_own_cluster_only(
    make: Callable[..., Ingest], night: Night, names: TopicNames, *, ours: bool
) -> None:
    first = Coordinates("archive.tar", 0, 9)
    record = night["alerts"][0]
    copied = type(record)(**{**vars(record), "headers": tuple(encode_origin(first, "a.avro"))})
    out = of_topic(make("alerts", ours=ours).work([copied]), names.detections)
    detection = own.decode_detection(out[0].value or b"")
    assert detection.where == (first if ours else Coordinates("alerts", 0, record.offset))
