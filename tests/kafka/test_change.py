"""A topology that changes while it runs on Kafka, by workers that take over from each other."""

import asyncio
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from aiokafka.admin import RecordsToDelete

from ampelstream.model.record import record_bytes
from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.retained import extent
from ampelstream.simulate import Night
from ampelstream.sky.catalogs.builder import build
from ampelstream.sky.catalogs.sourcetable import SourceTable
from ampelstream.sources import open_source

from .looking import answer, in_force, incidents, make_topic, produce, where
from .workers import Running, ampelstream, lags, wait_for_work, wait_until

FIRST = """
name: {name}
version: "1"
channels:
  sky:
    alerts: {{where: "candidate_where"}}
    region: 0.9
    window: [0, 10]
    lightcurve: {{before: 50, after: 10}}
    units: [{{unit: SkyMapProbability}}, {{unit: RiseDecline}}]
    rank_by: {{field: SkyMapProbability.cumprob, order: ascending}}
react:
  - {{name: near, when: SkyMapProbability.cumprob < 0.6, sinks: [{{file: near.ndjson}}]}}
""".replace("candidate_where", "magpsf < 19.5")
RULE = ("cumprob < 0.6", "cumprob < 0.8")
UNIT = ("window: [0, 10]", "window: [0, 5]")
NEW_RULE = (
    "react:\n",
    "react:\n  - {name: any, when: status == 'active', sinks: [{file: any.ndjson}]}\n",
)
_NEAR = "catalogs: {near: {catalog: stars, radius_arcsec: 3, optional: true}}"
CATALOG = ("RiseDecline}]", f"RiseDecline}}, {{unit: CatalogMatch, config: {{{_NEAR}}}}}]")
FILTER = ("magpsf < 19.5", "magpsf < 21")
CHANNEL = (
    "react:\n",
    "  wide: {region: 0.99, window: [0, 20], units: [{unit: SkyMapProbability}]}\nreact:\n",
)


class Change:
    """A topology on a broker, its file in versions, and its workers."""

    def __init__(self, address: str, name: str, directory: Path, night: Night) -> None:
        self.address, self.name, self.directory = address, name, directory
        self.text = FIRST.format(name=name)
        self.file = directory / "v0.yml"
        self.file.write_text(self.text)
        self.inputs: list[str | Path] = ["--alerts", night.alerts, "--notices", night.notices]
        self.broker: list[str | Path] = ["--broker", address]
        ampelstream("topics", "create", self.file, *self.broker, "--partitions", "2", "--yes")
        self.running: list[Running] = []
        self.number = 0

    def edit(self, *changes: tuple[str, str]) -> None:
        """Write the next version of the file."""
        for old, new in changes:
            assert self.text.count(old) == 1
            self.text = self.text.replace(old, new)
        self.number += 1
        self.file = self.directory / f"v{self.number}.yml"
        self.file.write_text(self.text)

    def worker(self, index: int, *options: str, file: Path | None = None) -> Running:
        log = self.directory / f"{(file or self.file).stem}-{index}-{len(self.running)}.log"
        arguments: list[str | Path] = [
            file or self.file,
            *self.broker,
            "--engine",
            "faust",
            "--log",
            "json",
        ]
        arguments += ["--state", self.directory / "state", *options]
        worker = Running(arguments, log, index)
        self.running.append(worker)
        return worker

    def settle(self) -> None:
        """Wait until everything is done, sweeps too."""
        wait_for_work(self.address, self.name)

    def backfilled(self, *workers: Running) -> None:
        """Wait until a backfill is done."""
        wait_until(
            lambda: any(incidents(one, "backfilled") for one in workers), 60, "alerts are reread"
        )
        self.settle()

    def candidates(self) -> list[dict[str, Any]]:
        out = self.directory / "kafka.ndjson"
        ampelstream("candidates", "export", self.file, *self.broker, "--out", out)
        return [json.loads(line) for line in out.read_text().splitlines()]

    def replayed(self) -> list[dict[str, Any]]:
        out = self.directory / "replay"
        shutil.rmtree(out, ignore_errors=True)
        ampelstream("replay", self.file, *self.inputs, "--out", out, check=False)
        text = (out / "candidates.ndjson").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def agrees(self) -> None:
        """Wait until the candidates are those of a replay of the file: no sweep may be left."""
        expected = self.replayed()
        wait_until(lambda: self.candidates() == expected, 30, "the candidates of a replay")

    def messages(self) -> list[dict[str, Any]]:
        """The messages in the files of the sinks."""
        found = (self.directory / "state").rglob("*.ndjson")
        lines = [line for path in sorted(set(found)) for line in path.read_text().splitlines()]
        return [json.loads(line) for line in lines if '"payload"' in line]

    def sent(self) -> Counter[str]:
        """Ids of the messages."""
        return Counter(one["id"] for one in self.messages())

    def stop(self) -> None:
        for one in self.running:
            if one.process.poll() is None:
                one.process.kill()
            one.process.wait()


async def expire(address: str, topic: str) -> None:
    """Remove most records, as retention does."""
    connection = Connection(bootstrap=(address,))
    ends = {place: end for place, (_, end) in (await extent(connection, topic.__eq__)).items()}
    assert ends
    async with open_admin(connection) as admin:
        await admin.delete_records(
            {place: RecordsToDelete(before_offset=end - 10) for place, end in ends.items()}
        )


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return make_night(seed=7, alerts=400)


@pytest.fixture
def change(night: Night, broker_address: str, unique: str, tmp_path: Path) -> Any:
    made = Change(broker_address, unique, tmp_path, night)
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_changes_one_after_the_other_give_what_a_replay_gives(change: Change) -> None:
    pair = [change.worker(0), change.worker(1)]
    ampelstream("topics", "load", change.file, *change.broker, *change.inputs)
    change.settle()
    change.agrees()
    before = change.sent()
    assert before
    steps: list[tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = [
        ((RULE, UNIT), ()),
        ((NEW_RULE,), ()),
        ((FILTER, CHANNEL), ("--backfill",)),
    ]
    for changes, options in steps:
        change.edit(*changes)
        fresh = [change.worker(0, *options), change.worker(1, *options)]
        codes = [one.process.wait(60) for one in pair]
        assert codes == [77, 77], [one.log.read_text()[-3000:] for one in pair]
        assert all(incidents(one, "superseded") for one in pair)
        pair = fresh
        change.settle()
        if options:
            change.backfilled(*pair)
        change.agrees()
        sent = change.sent()
        assert set(sent.values()) == {1}
        assert before.keys() <= sent.keys()
        before = sent
    diff = ampelstream("topology", "diff", change.file, *change.broker)
    assert (diff.stdout, diff.stderr) == ("", "no difference\n")
    assert [one.stop() for one in pair] == [0, 0]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_backfill_leaves_what_the_topic_holds_no_longer(change: Change) -> None:
    """Retention has removed most of the alerts that candidates came of."""
    first = change.worker(0)
    ampelstream("topics", "load", change.file, *change.broker, *change.inputs)
    change.settle()
    before, sent = change.candidates(), change.sent()
    assert before
    assert sent
    asyncio.run(expire(change.address, TopicNames(change.name).alerts))
    change.edit(CHANNEL)
    second = change.worker(0, "--backfill")
    assert first.process.wait(60) == 77
    change.backfilled(second)
    after = change.candidates()
    known = [one["object_id"] for one in after if one["channel"] == before[0]["channel"]]
    assert known == [one["object_id"] for one in before]
    assert all(one["status"] != "rejected" for one in after)
    # nothing is withdrawn, and nothing told again
    assert Counter(one["id"] for one in change.messages() if one["channel"] == "sky") == sent
    assert second.stop() == 0


async def delete(address: str, topic: str) -> None:
    async with open_admin(Connection(bootstrap=(address,))) as admin:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():  # noqa: ASYNC110  (the cluster has no event for it)
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_backfill_leaves_what_came_of_topics_that_are_gone(change: Change, night: Night) -> None:
    """Such as those of last month, of a survey that has one for each night."""
    here = Connection(bootstrap=(change.address,))
    values = [record_bytes(one) for one in open_source(night.alerts, "alerts").read({})]
    for number, part in enumerate((values[:200], values[200:])):
        make_topic(here, f"{change.name}-night-{number}")
        produce(here, f"{change.name}-night-{number}", part)
    sources = change.directory / "sources.yml"
    notices = TopicNames(change.name).notices
    sources.write_text(
        json.dumps(
            {
                "alerts": [{"pattern": f"{re.escape(change.name)}-night-[0-9]+"}],
                "notices": [{"topics": notices}],
            }
        )
    )
    ampelstream("topics", "load", change.file, *change.broker, "--notices", night.notices)
    options = ("--sources", str(sources), "--refresh", "2")
    first = change.worker(0, *options)
    expected = {(one["object_id"], one["channel"]) for one in change.replayed()}

    def found() -> set[tuple[str, str]]:
        return {(one["object_id"], one["channel"]) for one in change.candidates()}

    wait_until(lambda: found() == expected, 90, "all candidates")
    assert expected
    asyncio.run(delete(change.address, f"{change.name}-night-0"))
    change.edit(FILTER, CHANNEL)
    second = change.worker(0, *options, "--backfill")
    assert first.process.wait(60) == 77
    change.backfilled(second)
    # of the night that is there those of the new file; of the other what was accepted once
    fresh = {(one["object_id"], one["channel"]) for one in change.replayed()}
    assert expected <= found() <= fresh | expected
    assert found() != expected
    assert second.process.poll() is None
    assert second.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_only_who_evaluates_candidates_needs_catalogues(change: Change) -> None:
    """As the shipped manifests have it: ingest beside the other steps, which have the volume."""
    change.edit(CATALOG)
    made = change.directory / "catalogs"
    table = {"ra": [1.0], "dec": [2.0], "name": ["a star"]}
    build(made, "stars", SourceTable(Path("stars.csv"), pa.table(table)))
    others = ("--steps", "objects,react", "--catalogs")
    ingest = change.worker(0, "--steps", "ingest", "--catalogs", str(change.directory / "none"))
    where(ingest)
    objects = change.worker(1, *others, str(made))
    ampelstream("topics", "load", change.file, *change.broker, *change.inputs)
    where(objects)
    wait_for_work(change.address, change.name)
    # a new pod with an empty volume
    wrong = change.worker(2, *others, str(change.directory / "none"))
    assert wrong.process.wait(60) == 78
    assert "see --catalogs" in wrong.log.read_text()
    # a new version of the catalogue: nothing but the candidates is evaluated again
    build(made, "stars", SourceTable(Path("s.csv"), pa.table(table | {"dec": [3.0]})), replace=True)
    again = change.worker(2, *others, str(made))
    assert objects.process.wait(60) == 77
    where(again)
    assert ingest.process.poll() is None
    assert again.stop() == 0
    assert ingest.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("steps", ["ingest", "ingest,objects,react"])
def test_a_changed_filter_consumes_nothing_without_a_word(change: Change, steps: str) -> None:
    first = change.worker(0)
    ampelstream("topics", "load", change.file, *change.broker, *change.inputs)
    change.settle()
    assert first.stop() == 0
    old = change.file
    change.edit(FILTER)
    ampelstream("topics", "load", change.file, *change.broker, *change.inputs)
    waiting = asyncio.run(lags(change.address, change.name))
    assert sum(waiting.values()) > 0
    refused = change.worker(0, "--steps", steps)
    assert refused.process.wait(60) == 78
    log = refused.log.read_text()
    assert "--from-now-on" in log
    assert "magpsf < 19.5 -> magpsf < 21" in log
    assert asyncio.run(lags(change.address, change.name)) == waiting
    # beside one with the old file, which goes on
    first = change.worker(0, file=old)
    where(first)
    refused = change.worker(1, "--steps", steps)
    assert refused.process.wait(60) == 78
    change.settle()
    assert answer(f"{where(first)}/live")[0] == 200
    # with the word the old one stops; started again, it is refused until it is to be rolled back
    second = change.worker(1, "--from-now-on")
    assert first.process.wait(60) == 77
    where(second)
    refused = change.worker(0, file=old)
    assert refused.process.wait(60) == 78
    assert "was replaced" in refused.log.read_text()
    assert second.process.poll() is None
    content = in_force(change.address, change.name)
    back = change.worker(0, "--roll-back", content, "--from-now-on", file=old)
    assert second.process.wait(60) == 77
    change.settle()
    assert back.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_backfill_is_seen_from_outside(change: Change) -> None:
    def seen() -> tuple[dict[str, tuple[int, int]], str]:
        """Workers, and what is left to read, of each step; what is wrong."""
        done = ampelstream("status", change.name, *change.broker, check=False)
        row = json.loads(done.stdout)
        return {one["step"]: (one["members"], one["lag"]) for one in row["steps"]}, done.stderr

    first = change.worker(0)
    ampelstream("topics", "load", change.file, *change.broker, *change.inputs)
    change.settle()
    assert first.stop() == 0
    change.edit(FILTER)
    second = change.worker(0, "--backfill")
    wait_until(lambda: bool(incidents(second, "topology_accepted")), 60, "it is in force")
    second.process.kill()
    wait_until(lambda: "backfill alerts: " in seen()[1], 30, "nobody goes on with it")
    members, left = seen()[0]["backfill alerts"]
    assert members == 0
    assert 0 < left <= 400
    third = change.worker(0)
    change.backfilled(third)
    steps, wrong = seen()
    assert "backfill alerts" not in steps
    assert wrong == ""
    assert third.stop() == 0
