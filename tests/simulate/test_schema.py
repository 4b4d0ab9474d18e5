"""The schema of the simulated packets is ZTF's in names, order and types."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.simulate.schema import VERSION, packet_schema

Fields = dict[str, Any]


def fields(schema: Any) -> Iterator[tuple[str, Any]]:
    """Names and types of a record's fields, in order; records in them as such pairs again."""
    for field in schema["fields"]:
        yield field["name"], plain(field["type"])


def plain(kind: Any) -> Any:
    if isinstance(kind, list):
        return [plain(one) for one in kind]
    if isinstance(kind, dict) and kind["type"] == "array":
        return ["array", plain(kind["items"])]
    if isinstance(kind, dict) and kind["type"] == "record":
        return list(fields(kind))
    return kind


def test_the_schema_is_valid() -> None:
    parsed = fastavro.parse_schema(packet_schema())
    assert isinstance(parsed, dict)
    assert len(packet_schema()["fields"][4]["type"]["fields"]) == 103


@pytest.mark.realdata
def test_a_real_packet_has_the_same_fields(data_dir: Path) -> None:
    path = data_dir / "ztf/boom/tests/data/alerts/ztf/3005140370015010009.avro"
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        real: Any = reader.writer_schema
        packet: Any = next(reader)
    assert packet["schemavsn"] == VERSION
    assert list(fields(packet_schema())) == list(fields(real))
