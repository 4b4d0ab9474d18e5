"""Every value of every real packet is that of fastavro, in both interpreters."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.codecs.avro.backend import Interpreter
from ampelstream.codecs.avro.columns import Reader
from ampelstream.codecs.avro.container import MAGIC, first_block, metadata, read_header
from ampelstream.errors import DecodeError
from tests.codecs.avro.told import column, same

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


def records_in(schema: Any) -> dict[str, list[str]]:
    """Names of the fields under each record and array of records of a packet; "" its own."""
    named: dict[str, Any] = {}

    def learn(one: Any) -> None:
        if isinstance(one, list):
            for branch in one:
                learn(branch)
        elif isinstance(one, dict):
            if one.get("type") == "record":
                named[one["name"]] = one
                named[f"{one.get('namespace')}.{one['name']}"] = one
            for part in (
                *(f["type"] for f in one.get("fields", ())),
                one.get("items"),
                one["type"],
            ):
                learn(part)

    def record(one: Any) -> Any:
        if isinstance(one, list):
            return next((found for branch in one if (found := record(branch))), None)
        if isinstance(one, str):
            return named.get(one)
        if one.get("type") == "record":
            return one
        inner = one.get("items") or one["type"]
        return record(inner) if inner not in ("map", "array", "string") else None

    learn(schema)
    found: dict[str, list[str]] = {"": [field["name"] for field in schema["fields"]]}
    for field in schema["fields"]:
        inner = record(field["type"])
        if inner is not None:
            found[field["name"]] = [one["name"] for one in inner["fields"]]
    return found


def by_schema(paths: list[Path]) -> Iterator[tuple[Any, list[bytes]]]:
    """Bodies of the packets in files, by their writer schema."""
    groups: dict[bytes, list[bytes]] = {}
    for path in paths:
        data = path.read_bytes()
        if data[:4] != MAGIC:
            continue
        try:
            header = read_header(data)
            codec = metadata(header.key).get("avro.codec", b"null").decode()
            groups.setdefault(header.key, []).append(first_block(data, header.body, codec))
        except DecodeError:
            continue
    for key, bodies in groups.items():
        yield json.loads(metadata(key)["avro.schema"]), bodies


def check(
    schema: Any, bodies: list[bytes], start: int, interpreter: Interpreter
) -> tuple[int, int]:
    """Compare all fields of all packets; how many values, and how many of them null."""
    parsed = fastavro.parse_schema(json.loads(json.dumps(schema)))
    whole: list[Any] = []
    for body in bodies:
        stream = io.BytesIO(body)
        stream.seek(start)
        whole.append(fastavro.schemaless_reader(stream, parsed, None))
    wanted = {
        record: [name for name in names if not name.startswith("cutout") and name not in known]
        for known in [records_in(schema)]
        for record, names in known.items()
    }
    columns = Reader(schema, wanted, interpreter).read(bodies, [start] * len(bodies), framed=False)
    assert (columns.status >= 0).all()
    values = nulls = 0
    for record, names in wanted.items():
        if not record:
            entries = whole
        elif columns.is_table(record):
            entries = [one for packet in whole for one in packet[record] or () if one is not None]
        else:
            entries = [packet[record] or {} for packet in whole]
        for name in names:
            found = column(columns, record, name)
            if found is None:
                assert columns.kind(record, name) == "other", (record, name)
                continue
            expected = [entry.get(name) for entry in entries]
            assert len(found) == len(expected), (record, name)
            wrong = [
                n for n, pair in enumerate(zip(found, expected, strict=True)) if not same(*pair)
            ]
            assert not wrong, (record, name, found[wrong[0]], expected[wrong[0]])
            values += len(found)
            nulls += found.count(None)
    return values, nulls


def test_ztf(data_dir: Path, interpreter: Interpreter) -> None:
    values = nulls = packets = 0
    for schema, bodies in by_schema(sorted((data_dir / "ztf").rglob("*.avro"))):
        some, none = check(schema, bodies, 0, interpreter)
        values, nulls, packets = values + some, nulls + none, packets + len(bodies)
    assert packets == 748
    assert values > 1_000_000
    assert nulls > 500_000


@pytest.mark.parametrize("folder", ["fink-v7_4", "fink-v9_0", "elasticc"])
def test_containers(data_dir: Path, folder: str, interpreter: Interpreter) -> None:
    files = sorted((data_dir / "lsst" / folder).glob("*.avro"))
    packets = 0
    for schema, bodies in by_schema(files):
        assert check(schema, bodies, 0, interpreter)[0] > 50
        packets += len(bodies)
    assert packets == sum(path.read_bytes()[:4] == MAGIC for path in files) > 0


def test_the_wire(data_dir: Path, interpreter: Interpreter) -> None:
    for path in sorted((data_dir / "lsst" / "boom-wire").glob("*.avro")):
        value = path.read_bytes()
        number = int.from_bytes(value[1:5], "big")
        schema = json.loads((data_dir / "lsst" / "schemas" / f"{number}.avsc").read_text())
        assert check(schema, [value], 5, interpreter)[0] > 50
