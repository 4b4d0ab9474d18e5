"""Odd schemas and crowded packets: together as one by one, and no worker goes down with them."""

import copy
import io
import json
import threading
from collections.abc import Callable
from typing import Any

import fastavro
import pytest

from ampelstream.codecs.alerts import batches, datapoints, decode
from ampelstream.codecs.avro.container import first_block, long_bytes, metadata, read_header
from ampelstream.codecs.avro.container import write_header as header_of
from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.model.alertbatch import Asked
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.record import SourceRecord
from ampelstream.simulate import simulate_packets
from ampelstream.topology import Topology

PACKET = simulate_packets(1)[0]
HEADER = read_header(PACKET)
SCHEMA: Any = json.loads(metadata(HEADER.key)["avro.schema"])
RECORD: Any = fastavro.schemaless_reader(
    io.BytesIO(first_block(PACKET, HEADER.body, "null")),
    fastavro.parse_schema(copy.deepcopy(SCHEMA)),
    None,
)
ALL = Asked(frozenset({"magpsf", "rb", "isdiffpos", "pid"}), epochs=True)


def container(schema: Any, record: bytes) -> bytes:
    head = header_of({"avro.schema": json.dumps(schema).encode()}, b"m" * 16)
    return b"".join((head, b"\x02", long_bytes(len(record)), record, b"m" * 16))


def packet(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(copy.deepcopy(schema)), record)
    return container(schema, out.getvalue())


def field_of(schema: Any, top: str, name: str | None = None) -> Any:
    (field,) = (one for one in schema["fields"] if one["name"] == top)
    if name is None:
        return field
    inner = field["type"]
    if isinstance(inner, list):
        inner = next(one for one in inner if one != "null")
    inner = inner.get("items", inner)
    (field,) = (one for one in inner["fields"] if one["name"] == name)
    return field


def odd(change: Callable[[Any, Any], None]) -> bytes:
    schema, record = copy.deepcopy(SCHEMA), copy.deepcopy(RECORD)
    change(schema, record)
    return packet(schema, record)


ENUM = {"type": "enum", "name": "sign", "symbols": ["t", "f"]}


def own_magnitude_of_two_types(schema: Any, record: Any) -> None:
    field_of(schema, "candidate", "magpsf")["type"] = ["null", "float", "int"]
    record["candidate"]["magpsf"] = 18.5


def own_sign_is_an_enum(schema: Any, record: Any) -> None:
    field_of(schema, "candidate", "isdiffpos")["type"] = ENUM
    record["candidate"]["isdiffpos"] = "t"


def signs_of_the_history_are_enums(schema: Any, record: Any) -> None:
    field_of(schema, "prv_candidates", "isdiffpos")["type"] = ["null", ENUM]
    for one in record["prv_candidates"] or ():
        one["isdiffpos"] = "f"


def image_is_a_date(schema: Any, record: Any) -> None:
    del record
    field_of(schema, "candidate", "pid")["type"] = {"type": "long", "logicalType": "time-micros"}


def candids_of_the_history_are_floats(schema: Any, record: Any) -> None:
    field_of(schema, "prv_candidates", "candid")["type"] = ["null", "double"]
    del record


def a_time_of_the_history_is_nan(schema: Any, record: Any) -> None:
    del schema
    record["prv_candidates"] = [
        {**one, "jd": float("nan") if n == 1 else one["jd"]}
        for n, one in enumerate(3 * (record["prv_candidates"] or []))
    ]


def five_arrays(schema: Any, record: Any) -> None:
    kind: Any = "int"
    for _ in range(5):
        kind = {"type": "array", "items": kind}
    schema["fields"].insert(0, {"name": "deep", "type": kind})
    record["deep"] = [[[[[1, 2], [3]]]], [[[[]]]]]


def two_namespaces(schema: Any, record: Any) -> None:
    for n, (space, kind) in enumerate((("a", "int"), ("b", "string"))):
        inner = {"type": "record", "name": "same", "fields": [{"name": "x", "type": kind}]}
        outer: Any = {"type": "record", "name": f"o{n}", "namespace": space}
        outer["fields"] = [{"name": "one", "type": inner}, {"name": "two", "type": "same"}]
        schema["fields"].insert(0, {"name": f"extra{n}", "type": outer})
        value = 5 if kind == "int" else "five"
        record[f"extra{n}"] = {"one": {"x": value}, "two": {"x": value}}


def history_is_one_record(schema: Any, record: Any) -> None:
    field = field_of(schema, "prv_candidates")
    field["type"] = ["null", {"type": "record", "name": "alone", "fields": [
        {"name": "jd", "type": "double"}, {"name": "candid", "type": "long"}]}]  # fmt: skip
    record["prv_candidates"] = {"jd": 2458000.5, "candid": 1}


def candidate_is_a_map(schema: Any, record: Any) -> None:
    field = field_of(schema, "candidate")
    field["type"] = {"type": "map", "values": field["type"]}
    record["candidate"] = {"one": record["candidate"], "two": record["candidate"]}


def candidate_of_two_kinds(schema: Any, record: Any) -> None:
    field = field_of(schema, "candidate")
    small = {"type": "record", "name": "small", "fields": [
        {"name": name, "type": "double"} for name in ("jd", "ra", "dec")]}  # fmt: skip
    field["type"] = [small, field["type"]]
    record["candidate"] = {name: record["candidate"][name] for name in ("jd", "ra", "dec")}


ODD = [
    own_magnitude_of_two_types,
    own_sign_is_an_enum,
    signs_of_the_history_are_enums,
    image_is_a_date,
    candids_of_the_history_are_floats,
    a_time_of_the_history_is_nan,
    five_arrays,
    two_namespaces,
    history_is_one_record,
    candidate_is_a_map,
    candidate_of_two_kinds,
]

EVERYTHING = """
name: everything
version: 1
channels:
  all: {alerts: {where: magpsf != 99 or magpsf == null}}
"""


def ingested(topology: Topology, values: list[bytes]) -> list[Any]:
    ingest = Ingest(topology, Accounting().tally(), lambda: 4e9, ticks=False)
    records = [SourceRecord(Coordinates("x", 0, n), "alerts", v) for n, v in enumerate(values)]
    return [one.value for one in ingest.process(records)]


@pytest.mark.parametrize("change", ODD)
def test_odd_schemas_come_to_what_decoding_gives(
    change: Callable[[Any, Any], None], make_topology: Callable[[str], Topology]
) -> None:
    value = odd(change)
    topology = make_topology(EVERYTHING)
    found = ingested(topology, [PACKET, value, PACKET, value])
    assert len(found) == 4
    assert isinstance(found[0], Detection)
    try:
        alert = decode(value)
        expected = datapoints(alert)
    except Exception:  # noqa: BLE001  (whatever it says, it is a dead letter)
        assert isinstance(found[1], DeadLetter)
        return
    assert isinstance(found[1], Detection), found[1]
    assert list(found[1].datapoints) == expected
    for batch, _ in batches([value, value], ALL):
        offsets, jds = batch.epochs()
        assert jds[: offsets[1]].tolist() == list(alert.history.epochs())


@pytest.mark.parametrize("size", [-2, -100_000_000, 1 << 31, True, "8", None])
@pytest.mark.parametrize("inside", [False, True])
def test_a_hostile_size_is_a_dead_letter(
    size: Any, *, inside: bool, make_topology: Callable[[str], Topology]
) -> None:
    schema = copy.deepcopy(SCHEMA)
    fixed: Any = {"type": "fixed", "name": "f", "size": size}
    kind = {"type": "array", "items": ["null", fixed]} if inside else fixed
    schema["fields"].insert(0, {"name": "hostile", "type": kind})
    value = container(schema, b"\x06\x02\x02\x02" + bytes(5000))
    first, letter, last = ingested(make_topology(EVERYTHING), [PACKET, value, PACKET])
    assert isinstance(first, Detection)
    assert isinstance(letter, DeadLetter)
    assert isinstance(last, Detection)


def crowded(entries: int) -> bytes:
    record = copy.deepcopy(RECORD)
    one = (RECORD["prv_candidates"] or [None])[0]
    record["prv_candidates"] = [{**one, "jd": 2458000.5 + n / 100} for n in range(entries)]
    return packet(SCHEMA, record)


def test_long_histories_take_neither_memory_nor_each_other(
    make_topology: Callable[[str], Topology],
) -> None:
    few, many = crowded(220), crowded(1200)
    topology = make_topology(EVERYTHING)
    for _ in range(4):
        found = ingested(topology, [few] * 480 + [many] * 20)
        assert [len(one.datapoints) for one in found] == [221] * 480 + [1201] * 20
    lone = len(ingested(topology, [many])[0].datapoints)
    assert lone == 1201


@pytest.mark.parametrize("entries", [257, 258, 300])
def test_histories_somewhat_longer_than_their_room_are_parted_once(entries: int) -> None:
    values = [crowded(entries)] * 300
    found = batches(values, ALL)
    assert [number for _, rows in found for number in rows] == list(range(300))
    assert len(found) <= 32  # that many of them are singles at most


def test_an_endless_history_is_refused_alone_and_among_others(
    make_topology: Callable[[str], Topology],
) -> None:
    topology = make_topology(EVERYTHING)
    head, _, tail = PACKET.partition(b"no such bytes")
    del head, tail
    endless = crowded(100_001)
    for values in ([endless], [PACKET] * 3 + [endless], [PACKET] * 500 + [endless]):
        *others, letter = ingested(topology, values)
        assert isinstance(letter, DeadLetter)
        assert "more entries" in letter.reason
        assert all(isinstance(one, Detection) for one in others)


def test_threads_share_what_is_known_of_schemas() -> None:
    values = []
    for n in range(80):
        schema = copy.deepcopy(SCHEMA)
        schema["doc"] = str(n)
        values.append(packet(schema, RECORD))
    failures: list[BaseException] = []

    def read(part: list[bytes]) -> None:
        try:
            for _ in range(5):
                assert sum(len(rows) for _, rows in batches(part, ALL)) == len(part)
        except BaseException as error:  # noqa: BLE001  (told below)
            failures.append(error)

    threads = [threading.Thread(target=read, args=(values[n::2],)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
