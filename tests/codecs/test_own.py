"""Our own streams survive the way through Avro, and refuse what they do not know."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs import own
from ampelstream.errors import DecodeError
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance, UnitResult
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.event import EventRevision, ExternalCoincidence
from ampelstream.model.lightcurve import Datapoint
from ampelstream.model.reaction import Reaction
from ampelstream.shipped import earlier_schemas, schema_path

SCHEMAS = ("detection", "event", "announcement", "candidate", "dead_letter", "reaction", "tick")
text = st.text(max_size=8)
number = st.floats(allow_nan=False, allow_infinity=False)
longs = st.integers(-(2**63), 2**63 - 1)
small = st.integers(0, 100)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


places = st.builds(Coordinates, source=text, partition=small, offset=longs)
points = st.builds(
    Datapoint,
    id=longs,
    jd=number,
    fid=small,
    mag=maybe(number),
    drb=maybe(number),
    pid=maybe(longs),
    positive=maybe(st.booleans()),
    own=st.booleans(),
    flux=maybe(number),
    fluxerr=maybe(number),
    forced=st.booleans(),
)
json_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
bodies = st.dictionaries(text, json_data, max_size=3)
events = st.builds(
    EventRevision,
    event_id=text,
    alert_type=text,
    time_created=text,
    content_digest=text,
    t0_jd=maybe(number),
    significant=maybe(st.booleans()),
    instruments=st.lists(text, max_size=2).map(tuple),
    classification=st.dictionaries(text, number, max_size=3),
    external=maybe(st.builds(ExternalCoincidence, observatory=maybe(text))),
    test=st.booleans(),
    mission=maybe(text),
    ids=st.lists(text, max_size=2).map(tuple),
    ra=maybe(number),
    record_number=maybe(longs),
    notes=st.lists(text, max_size=2).map(tuple),
)
messages: dict[str, st.SearchStrategy[Any]] = {
    "detection": st.builds(
        Detection,
        object_id=text,
        survey=text,
        candid=longs,
        jd=number,
        ra=number,
        dec=number,
        channels=st.lists(text, max_size=3).map(tuple),
        where=places,
        datapoints=st.lists(points, max_size=3).map(tuple),
        facts=st.dictionaries(text, st.none() | st.booleans() | longs | number | text, max_size=3),
    ),
    "event": events,
    "announcement": st.builds(
        Announcement, revision=events, skymap=st.binary(max_size=20), where=places, member=text
    ),
    "candidate": st.builds(
        Candidate,
        object_id=text,
        event_id=text,
        channel=text,
        status=st.sampled_from(CandidateStatus),
        provenance=st.builds(
            Provenance,
            topology=text,
            topology_version=text,
            topology_hash=text,
            lightcurve_digest=text,
            event_revision=text,
            event_digest=text,
            alerts=st.lists(longs, max_size=3).map(tuple),
            records=st.lists(places, max_size=3).map(tuple),
        ),
        rank=maybe(number),
        results=st.lists(
            st.builds(
                UnitResult,
                name=text,
                unit=text,
                version=text,
                config_hash=text,
                input_digest=text,
                body=maybe(bodies),
                error=text,
            ),
            max_size=2,
        ).map(tuple),
        lightcurve=st.lists(points, max_size=2).map(tuple),
        scatter_arcsec=maybe(number),
        strays=small,
    ),
    "dead_letter": st.builds(
        DeadLetter,
        where=places,
        stream=text,
        step=text,
        error=text,
        reason=text,
        member=text,
        value=st.binary(max_size=20),
    ),
    "tick": st.builds(Tick, jd=number, source=text, partition=small, at=number),
    "reaction": st.builds(
        Reaction,
        id=text,
        rule=text,
        topology=text,
        event_id=text,
        object_id=text,
        channel=text,
        klass=text,
        payload=bodies,
    ),
}


WHERE = Coordinates("alerts", 0, 7)


def named(value: Any) -> dict[str, Any]:
    return dict(zip(value.__struct_fields__, msgspec.structs.astuple(value), strict=True))


def codec(name: str) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    return getattr(own, f"encode_{name}"), getattr(own, f"decode_{name}")


@pytest.mark.parametrize("name", SCHEMAS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    encode, decode = codec(name)
    message = data.draw(messages[name])
    assert decode(encode(message)) == message


@pytest.mark.parametrize("name", SCHEMAS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_truncated_or_foreign_messages_are_refused(name: str, data: st.DataObject) -> None:
    encode, decode = codec(name)
    whole = encode(data.draw(messages[name]))
    with pytest.raises(DecodeError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DecodeError, match=name):
        decode(b"\xc3\x01" + bytes(8) + whole[10:])


@pytest.mark.parametrize("name", SCHEMAS)
@settings(deadline=None, max_examples=10)
@given(data=st.data())
def test_a_later_reader_reads_an_earlier_message(name: str, data: st.DataObject) -> None:
    encode, _ = codec(name)
    body = encode(data.draw(messages[name]))[10:]
    written = json.loads(schema_path(name).read_text())
    later = json.loads(schema_path(name).read_text())
    later["fields"].append({"name": "more", "type": ["null", "string"], "default": None})
    record = fastavro.schemaless_reader(io.BytesIO(body), written, later)
    assert isinstance(record, dict)
    assert record["more"] is None


def test_ticks_of_an_earlier_version_are_read_and_name_no_source() -> None:
    former = bytes.fromhex("c3012873846dc7b49ec700000020b0c44241")
    assert own.is_tick(former)
    assert own.decode_tick(former) == Tick(2460000.25)
    with pytest.raises(DecodeError, match="tick"):
        own.decode_tick(former[:-1])
    assert own.is_tick(own.encode_tick(Tick(1.0, "a", 0, 2.0)))


def test_events_of_an_earlier_version_are_read_and_are_no_tests() -> None:
    [path] = earlier_schemas("event")
    schema = json.loads(path.read_text())
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    named = int(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"), 16)
    out = io.BytesIO()
    out.write(b"\xc3\x01" + named.to_bytes(8, "little"))
    said = {"event_id": "S1", "alert_type": "UPDATE", "time_created": "", "content_digest": "1"}
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), said | {"t0_jd": 2460000.5})
    found = own.decode_event(out.getvalue())
    assert found == EventRevision("S1", "UPDATE", "", "1", t0_jd=2460000.5)
    assert (found.test, found.ids, found.ra) == (False, (), None)


def fields_of(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield from schema.get("fields", [])
        for value in schema.values():
            yield from fields_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from fields_of(value)


@settings(deadline=None, max_examples=40)
@given(messages["announcement"], st.integers(1, 25))
def test_parts_of_an_announcement(whole: Announcement, most: int) -> None:
    parts = whole.split(most)
    assert [own.decode_announcement(own.encode_announcement(one)) for one in parts] == parts
    assert b"".join(one.skymap for one in parts) == whole.skymap
    if len(whole.skymap) <= most:
        assert parts == [whole]  # in the schema that earlier versions read
        return
    broken = msgspec.structs.replace(parts[-1], part=len(parts))
    with pytest.raises(DecodeError, match=rf"part {len(parts)} of {len(parts)}"):
        own.decode_announcement(own.encode_announcement(broken))


@pytest.mark.parametrize("name", [*SCHEMAS, "announcement_part", "tick"])
def test_every_field_is_documented(name: str) -> None:
    schema = json.loads(schema_path(name).read_text())
    assert schema["namespace"] == "ampelstream"
    found = list(fields_of(schema))
    assert found
    assert [field["name"] for field in found if not field.get("doc", "").endswith(".")] == []


def earlier_detection(detection: Detection) -> Detection:
    """A detection with what earlier versions knew of."""
    known = {"flux": None, "fluxerr": None, "forced": False}
    points = tuple(msgspec.structs.replace(one, **known) for one in detection.datapoints)
    return msgspec.structs.replace(detection, datapoints=points, facts={})


@pytest.mark.parametrize("path", earlier_schemas("detection"), ids=lambda path: str(path.name))
@given(messages["detection"].map(earlier_detection))
def test_what_an_earlier_version_wrote_is_read(path: Path, detection: Detection) -> None:
    schema = json.loads(path.read_text())
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    head = b"\xc3\x01" + int(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"), 16).to_bytes(
        8, "little"
    )
    record = {name: getattr(detection, name) for name in detection.__struct_fields__}
    record["where"] = named(detection.where)
    record["datapoints"] = [named(point) for point in detection.datapoints]
    record["packed"] = b""  # earlier versions packed none, the last one did
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    assert head != own.encode_detection(detection)[:10]
    assert own.decode_detection(head + out.getvalue()) == detection


def test_datapoints_that_are_none_make_no_detection() -> None:
    point = Datapoint(1, 2460000.5, 1, own=True)
    whole = Detection("a", "ztf", 1, 2460000.5, 1.0, 2.0, ("sky",), WHERE, (point,))
    packed = msgspec.msgpack.encode((point,))
    data = own.encode_detection(whole)
    assert packed in data
    with pytest.raises(DecodeError, match="datapoints of the detection are corrupt"):
        own.decode_detection(data.replace(packed, b"\xc1" * len(packed)))


def test_a_candidate_of_an_earlier_version_is_read() -> None:
    [path] = earlier_schemas("candidate")
    schema = json.loads(path.read_text())
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    head = int(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"), 16).to_bytes(8, "little")
    point = {"id": 7, "jd": 2460000.5, "fid": 1, "mag": 19.0, "positive": False, "own": True}
    origin = dict.fromkeys(
        ("topology", "topology_version", "topology_hash", "lightcurve_digest"), "x"
    )
    origin |= {"event_revision": "r", "event_digest": "d"}
    record = {
        "object_id": "a",
        "event_id": "e",
        "channel": "c",
        "status": "active",
        "provenance": {**origin, "alerts": [7], "records": []},
        "ra": 1.0,
        "dec": 2.0,
        "results": [],
        "lightcurve": [point],
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    read = own.decode_candidate(b"\xc3\x01" + head + out.getvalue())
    assert (read.ra, read.dec, read.scatter_arcsec, read.strays) == (1.0, 2.0, None, 0)
    assert read.lightcurve == (Datapoint(7, 2460000.5, 1, mag=19.0, positive=False, own=True),)
