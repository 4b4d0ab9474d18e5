"""Schemas of packets that only name theirs: a directory of them, and one waited for."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ampelstream.codecs.alerts import decode
from ampelstream.errors import ConfigError, InputError, UnknownSchema, UnreachableError
from ampelstream.model.record import SourceRecord
from ampelstream.sources import merge, open_source
from ampelstream.sources.schemaregistry import SchemaRegistry
from ampelstream.sources.writerschemas import RegistrySchemas, SchemaFiles, open_schemas
from tests.kafka.rubin import SCHEMA, Registry, packet, registry

pytestmark = pytest.mark.usefixtures("retries", "direct")
KNOWN, OTHER = 4200, 4201


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Alerts whose names have another order than their times."""
    root = tmp_path / "night"
    root.mkdir()
    for number, name in ((1, "c"), (2, "a"), (3, "b")):
        value = packet(number, KNOWN if number < 3 else OTHER, mjd=61109.25 + number)
        (root / f"{name}.avro").write_bytes(value)
    return root


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = tmp_path / "schemas"
    root.mkdir()
    for number in (KNOWN, OTHER):
        (root / f"{number}.avsc").write_text(json.dumps(SCHEMA))
    (root / "README.txt").write_text("no schema")
    return root


def names(records: Iterator[SourceRecord]) -> list[str]:
    return [one.where.source.rsplit("/", 1)[-1] for one in records]


def test_a_directory(directory: Path) -> None:
    schemas = open_schemas(str(directory), directory)
    assert schemas.known(KNOWN) is schemas.known(KNOWN)
    assert schemas.known(99) is None
    assert decode(packet(1, KNOWN), schemas).candid == 1
    with pytest.raises(UnknownSchema, match=r"--schemas, a directory with a file 99\.avsc"):
        decode(packet(1, 99), schemas)
    before = schemas.name
    (directory / f"{OTHER}.avsc").write_text(json.dumps({**SCHEMA, "doc": "another"}))
    assert open_schemas(str(directory), directory).name != before


@pytest.mark.parametrize(
    ("file", "text", "error", "said"),
    [
        ("lsst.v9_0.alert.avsc", "{}", ConfigError, "900.avsc for version 9.0; rename it"),
        ("900.avsc", "{", ConfigError, "900.avsc is no Avro schema of a record"),
        ("900.avsc", '{"type": "string"}', ConfigError, "900.avsc is no Avro schema of a record"),
        (
            "900.avsc",
            '{"type":"record","name":"a","fields":[{"name":"d","type":"lsst.v9_0.diaSource"}]}',
            ConfigError,
            "whole in one file",
        ),
        ("900.json", "{}", InputError, "there is no schema in"),
    ],
)
def test_what_is_wrong_with_a_directory_is_said(
    tmp_path: Path, file: str, text: str, error: type[Exception], said: str
) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(error, match=said.replace(".", r"\.")):
        SchemaFiles(tmp_path)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: No such file"):
        open_schemas(str(tmp_path / "nowhere"), tmp_path)


def test_packets_of_the_wire_are_read_in_the_order_of_time(night: Path, directory: Path) -> None:
    schemas = SchemaFiles(directory)
    assert names(open_source(night, "alerts", schemas).read({})) == ["c.avro", "a.avro", "b.avro"]
    assert names(open_source(night, "alerts").read({})) == ["a.avro", "b.avro", "c.avro"]
    single = [open_source(night / f"{name}.avro", "alerts", schemas) for name in "abc"]
    assert names(merge(single, {}, schemas)) == ["c.avro", "a.avro", "b.avro"]


# --- a registry ---------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[Registry]:
    with registry() as known:
        yield known


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schemas(server: Registry, clock: Clock, tmp_path: Path) -> RegistrySchemas:
    client = SchemaRegistry(server.url, tmp_path / "kept", clock=clock, attempts=2)
    return RegistrySchemas(client)


def test_a_registry_is_asked_once_for_each_number(
    night: Path, server: Registry, schemas: RegistrySchemas
) -> None:
    server.schemas = {KNOWN: SCHEMA, OTHER: SCHEMA}
    source = schemas.around(open_source(night, "alerts", schemas))
    assert names(source.read({})) == ["c.avro", "a.avro", "b.avro"]
    assert sorted(server.asked) == [KNOWN, OTHER]
    assert [decode(one.value, schemas).candid for one in source.read({})] == [1, 2, 3]
    assert sorted(server.asked) == [KNOWN, OTHER]


def test_what_the_registry_does_not_have_holds_nothing_back(
    night: Path, server: Registry, schemas: RegistrySchemas
) -> None:
    server.schemas = {KNOWN: SCHEMA}
    records = list(schemas.around(open_source(night, "alerts", schemas)).read({}))
    assert len(records) == 3
    with pytest.raises(UnknownSchema, match="4201"):
        decode(records[-1].value, schemas)
    assert server.asked.count(OTHER) == 1


@pytest.mark.parametrize("follows", ["", "again and again"])
def test_alerts_stay_in_their_source_while_the_registry_is_away(
    night: Path,
    server: Registry,
    schemas: RegistrySchemas,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    follows: str,
) -> None:
    server.schemas = {KNOWN: SCHEMA, OTHER: SCHEMA}
    answer: Callable[[str], object] = server.get
    monkeypatch.setattr(
        server, "get", lambda path: (503, {}) if path.endswith(str(OTHER)) else answer(path)
    )
    source = schemas.around(open_source(night, "alerts", schemas))
    source = source.following() if follows else source
    taken: list[SourceRecord] = []
    with pytest.raises(UnreachableError, match=r"schema 4201, which alerts wait for: .*503") as one:
        taken.extend(source.read({}))  # what comes before an error is taken, too
    assert one.value.cluster == server.url
    assert names(iter(taken)) == ["c.avro", "a.avro"]
    monkeypatch.setattr(server, "get", answer)
    after = {(record.where.source, 0): 0 for record in taken}
    with pytest.raises(UnreachableError, match="503"):  # it is not asked again at once
        list(source.read(after))
    clock.now = 61.0
    assert names(source.read(after)) == ["b.avro"]
