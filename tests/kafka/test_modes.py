"""One stream, four ways: replayed, on Kafka in order, on Kafka as a backlog, embedded from topics.

Candidates are equal byte for byte. Of reactions the same matters are active at the end, and the
last message of each says the same; how many messages led there may differ (docs/reactions.md).
"""

import asyncio
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ampelstream.cli.workflow import open_inputs
from ampelstream.codecs.own import decode_reaction
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.export import last_values
from ampelstream.runtime.kafka.loading import load
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.sources import merge

from .workers import ampelstream, wait_for_work, workers

TOPOLOGY = """
name: {name}
version: 1
channels:
  sky:
    region: 0.9
    window: [0, 10]
    lightcurve: {{before: 50, after: 10}}
    units: [{{unit: SkyMapProbability}}, {{unit: RiseDecline}}]
react:
  - {{name: near, when: SkyMapProbability.cumprob < 0.5, sinks: [{{file: near.ndjson}}]}}
  - {{name: left, when: "status in ['outside', 'retracted']", sinks: [{{file: left.ndjson}}]}}
"""
Matters = dict[tuple[str, ...], Any]


def active(messages: Iterable[dict[str, Any]]) -> Matters:
    """What the last message of each matter that is active says."""
    last: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in messages:
        matter = (one["rule"], one["event_id"], one["object_id"], one["channel"])
        if matter not in last or last[matter]["turn"] < one["turn"]:
            last[matter] = one
    return {m: one["payload"] for m, one in last.items() if one["klass"] != "withdrawn"}


class Run:
    """A topology of its own with the same content, on the same broker."""

    def __init__(self, address: str, name: str, directory: Path) -> None:
        directory.mkdir()
        self.address, self.directory = address, directory
        self.connection, self.names = Connection(bootstrap=(address,)), TopicNames(name)
        self.topology = directory / "topology.yml"
        self.topology.write_text(TOPOLOGY.format(name=name))
        self.broker: list[str | Path] = [self.topology, "--broker", address]
        ampelstream("topics", "create", *self.broker, "--partitions", "2", "--yes")

    def bring(self, records: Sequence[SourceRecord]) -> None:
        asyncio.run(load(self.connection, self.names, records, create="the test creates them"))

    def work(self, parts: Sequence[Sequence[SourceRecord]]) -> None:
        """Two workers; each part is handled before the next one comes."""
        options: list[str | Path] = ["--engine", "faust", "--state", self.directory / "state"]
        options += ["--log", "json"]
        with workers(2, [*self.broker, *options], self.directory / "logs") as running:
            for part in parts or [()]:
                self.bring(part)
                wait_for_work(self.address, self.names.topology)
            assert [worker.stop() for worker in running] == [0, 0]

    def candidates(self) -> bytes:
        ampelstream("candidates", "export", *self.broker, "--out", self.directory / "c.ndjson")
        # the name of the topology is part of a candidate's provenance
        text = (self.directory / "c.ndjson").read_text()
        return text.replace(self.names.topology, "NAME").encode()

    def active(self) -> Matters:
        found = asyncio.run(last_values(self.connection, self.names.reactions, create="-"))
        return active(json.loads(_json(value)) for _, value in found.values())


def _json(value: bytes) -> bytes:
    return msgspec.json.encode(decode_reaction(value))


def plain(matters: Matters) -> Matters:
    """Without the hash, which holds the name of the topology."""
    return {m: {k: v for k, v in p.items() if k != "topology_hash"} for m, p in matters.items()}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "real", [False, pytest.param(True, marks=[pytest.mark.full, pytest.mark.realdata])]
)
def test_what_is_active_at_the_end_does_not_depend_on_the_way(
    real: bool,  # noqa: FBT001  (a parameter of the test)
    request: pytest.FixtureRequest,
    broker_address: str,
    unique: str,
    tmp_path: Path,
) -> None:
    if real:
        data = request.getfixturevalue("data_dir")
        inputs = [data / "ztf/night-20240115"], [data / "notices/lvk-2024-01"]
    else:
        night = request.getfixturevalue("make_night")(seed=7, alerts=600)
        inputs = [night.alerts], [night.notices]
    records = list(merge(open_inputs(*inputs), {}))

    topology = tmp_path / "topology.yml"
    topology.write_text(TOPOLOGY.format(name=unique))
    named = ["--alerts", inputs[0][0], "--notices", inputs[1][0]]
    ampelstream("replay", topology, *named, "--out", tmp_path / "replay")
    rows = (tmp_path / "replay" / "reactions.ndjson").read_text().splitlines()
    expected = plain(active(json.loads(row) for row in rows))
    text = (tmp_path / "replay" / "candidates.ndjson").read_text()
    assert len(expected) > 10
    assert {matter[0] for matter in expected} == {"near", "left"}

    def digestless(candidates: bytes) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in candidates.decode().splitlines()]
        for one in found:
            one["provenance"] |= {"topology": "", "topology_hash": ""}
        return found

    in_order = Run(broker_address, f"{unique}-order", tmp_path / "order")
    size = len(records) // 5 + 1
    in_order.work([records[at : at + size] for at in range(0, len(records), size)])
    backlog = Run(broker_address, f"{unique}-backlog", tmp_path / "backlog")
    backlog.bring(records)
    backlog.work(())
    for run in (in_order, backlog):
        assert digestless(run.candidates()) == digestless(text.encode())
        assert plain(run.active()) == expected

    embedded: list[str | Path] = ["--state", tmp_path / "embedded", "--once"]
    done = ampelstream("run", *backlog.broker, *embedded)
    came = [int(number) for number in re.findall(r"(\d+) in,", done.stderr)]
    assert sum(came) == len(records), done.stderr
    files = [tmp_path / "embedded" / f"{rule}.ndjson" for rule in ("near", "left")]
    sent = [file.read_bytes() for file in files]
    messages = [json.loads(line) for text_ in sent for line in text_.splitlines()]
    assert active(messages).keys() == expected.keys()
    again = ampelstream("run", *backlog.broker, *embedded)
    assert re.findall(r"(\d+) in,", again.stderr) == [str(number) for number in came]
    assert [file.read_bytes() for file in files] == sent  # it goes on behind its offsets
