"""A topology that changes while it runs, with tens of thousands of objects.

    python benchmarks/kafka_change.py [--objects 50000] [--embedded] [--quick]

A simulated night is loaded; then a rule's threshold, a unit's configuration, a catalogue, a rule
and a channel (with a backfill) change, one after the other. After each the messages in the sinks
are counted, none of which may be there twice; at the end the candidates are compared with those of
a replay with the last file. Meanwhile alerts come in, one at a time: how long each takes from
produced to committed is printed.
"""

import argparse
import asyncio
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kafka_bench import broker_in, create_topics, drained, environment, produce

from ampelstream.cli.workflow import open_inputs, open_topology
from ampelstream.core.lookup import Lookup
from ampelstream.model.record import SourceRecord, record_bytes
from ampelstream.runtime.kafka.headers import encode_origin
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.simulate import Night, simulate_night
from ampelstream.sources import merge
from ampelstream.state.rocks import RocksBackend

NAME = "change"
TEXT = """
name: change
version: "1"
channels:
  sky:
    alerts: {where: "magpsf < 21.5"}
    region: 0.99
    window: [-1, 20]
    lightcurve: {before: 50, after: 20}
    units:
      - unit: CatalogMatch
        config: {catalogs: {galaxies: {catalog: GLADE+, radius_arcsec: 30}}}
      - unit: SkyMapProbability
      - unit: RiseDecline
      - {unit: KilonovaScore, config: {max_redshift: 0.2}}
    rank_by: KilonovaScore.kilonovaness
react:
  - {name: good, when: KilonovaScore.kilonovaness >= 3, sinks: [{file: good.ndjson}]}
"""
STEPS = (
    ("a rule's threshold", (("kilonovaness >= 3", "kilonovaness >= 2"),), ()),
    ("a unit's configuration", (("max_redshift: 0.2", "max_redshift: 0.1"),), ()),
    ("a catalogue in a new version", (), ()),
    (
        "a new rule",
        (("react:\n", "react:\n  - {name: any, when: rank >= 0, sinks: [{file: any.ndjson}]}\n"),),
        (),
    ),
    (
        "a new channel, with a backfill",
        (("react:\n", "  all: {region: 0.9, units: [{unit: SkyMapProbability}]}\nreact:\n"),),
        ("--backfill",),
    ),
)
PATIENCE = 900.0
"""For how long a step is waited for [s]."""
FED = 3000
"""Packets that are held back, to come in while the topology changes."""


def check(holds: bool, otherwise: str) -> None:  # noqa: FBT001  (a condition)
    """End with a message where something is wrong."""
    if not holds:
        raise RuntimeError(otherwise)


def ampelstream(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    command = [sys.executable, "-m", "ampelstream", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Feed(threading.Thread):
    """Brings in one alert after the other, and notes how long each takes."""

    def __init__(self, address: str, records: Iterator[SourceRecord]) -> None:
        super().__init__(daemon=True)
        self.address, self.records = address, records
        self.done = threading.Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        """Until stopped."""
        while not self.done.is_set():
            one = next(self.records, None)
            if one is None:
                return
            began = time.perf_counter()
            produce(self.address, [outgoing(one)])
            asyncio.run(drained(self.address, NAME, ["ingest", "objects"]))
            self.seconds.append(time.perf_counter() - began)


def outgoing(one: SourceRecord) -> Outgoing:
    """An alert or notice as `topics load` would bring it in."""
    names = TopicNames(NAME)
    topic = names.alerts if one.stream == "alerts" else names.notices
    return Outgoing(
        topic, None, record_bytes(one), headers=tuple(encode_origin(one.where, one.member))
    )


class Bench:
    """Files, catalogues and workers of the one topology."""

    def __init__(self, scratch: Path, night: Night) -> None:
        self.scratch, self.night = scratch, night
        self.text, self.number = TEXT, 0
        self.catalogs = scratch / "catalogs-0"
        lines = night.galaxies.read_text().splitlines(keepends=True)
        (scratch / "fewer.csv").write_text("".join(lines[: len(lines) * 2 // 3]))
        for number, table in enumerate((scratch / "fewer.csv", night.galaxies)):
            where = scratch / f"catalogs-{number}"
            done = ampelstream("catalogs", "add", "GLADE+", table, "--root", where)
            check(done.returncode == 0, done.stderr)
        self.inputs: list[str | Path] = ["--alerts", night.alerts, "--notices", night.notices]
        self.sent: Counter[str] = Counter()

    @property
    def file(self) -> Path:
        """The topology as it is now."""
        path = self.scratch / f"v{self.number}.yml"
        path.write_text(self.text)
        return path

    def edit(self, what: str, changes: Sequence[tuple[str, str]]) -> None:
        """Go on to the next version."""
        for old, new in changes:
            check(self.text.count(old) == 1, f"{old!r} is not there once")
            self.text = self.text.replace(old, new)
        if "catalogue" in what:
            self.catalogs = self.scratch / "catalogs-1"
        self.number += 1

    def replayed(self) -> bytes:
        """Candidates of a replay of all records with the file as it is."""
        out = self.scratch / "replay"
        shutil.rmtree(out, ignore_errors=True)
        ampelstream("replay", self.file, *self.inputs, "--catalogs", self.catalogs, "--out", out)
        return (out / "candidates.ndjson").read_bytes()

    def count_messages(self, state: Path) -> str:
        """How many messages the sinks hold; none may be there twice, none may be gone."""
        lines = [one for path in state.rglob("*.ndjson") for one in path.read_text().splitlines()]
        sent = Counter(json.loads(one)["id"] for one in lines if '"payload"' in one)
        twice = sum(1 for count in sent.values() if count > 1)
        check(not twice, f"{twice} messages were sent twice")
        check(self.sent.keys() <= sent.keys(), "messages are gone")
        new, self.sent = len(sent) - len(self.sent), sent
        return f"{new} messages sent, none twice"

    @contextmanager
    def workers(self, address: str, *options: str) -> Iterator[list[Path]]:
        """Two workers with the file as it is; gives their logs."""
        logs = [self.scratch / f"v{self.number}-{index}.log" for index in range(2)]
        running = []
        for index, log in enumerate(logs):
            command = [sys.executable, "-m", "ampelstream", "run", str(self.file)]
            command += ["--engine", "faust", "--broker", address, "--port", "0", "--log", "json"]
            command += ["--state", str(self.scratch / f"state-{index}"), *options]
            command += ["--catalogs", str(self.catalogs)]
            with log.open("wb") as out:
                running.append(subprocess.Popen(command, stdout=out, stderr=out))
        try:
            yield logs
        finally:
            for one in running:
                one.terminate()
                one.wait(60)


def exported(bench: Bench, address: str) -> bytes:
    """Candidates as they are on Kafka."""
    out = bench.scratch / "kafka.ndjson"
    ampelstream("candidates", "export", bench.file, "--broker", address, "--out", out)
    return out.read_bytes()


def on_kafka(bench: Bench, address: str) -> None:
    """Change after change, with alerts between."""
    create_topics(bench.file, address, 4)
    records = list(merge(open_inputs([bench.night.alerts], [bench.night.notices]), {}))
    held = [one for one in records if one.stream == "alerts"][-FED:]
    kept = {id(one) for one in held}
    produce(address, (outgoing(one) for one in records if id(one) not in kept))
    rest = iter(held)
    open_workers = bench.workers(address)
    open_workers.__enter__()
    settled(address)
    print(f"loaded: {len(records) - len(held)} records; {bench.count_messages(bench.scratch)}")
    for what, changes, options in STEPS:
        bench.edit(what, changes)
        feed = Feed(address, rest)
        feed.start()
        time.sleep(5.0)
        quiet = len(feed.seconds)
        began = time.perf_counter()
        before, open_workers = open_workers, bench.workers(address, *options)
        logs = open_workers.__enter__()
        started = until_logged(logs, '"started"', len(logs))
        before.__exit__(None, None, None)
        over = len(feed.seconds)
        if options:
            until_logged(logs, '"backfilled"', 1)
        time.sleep(5.0)
        settled(address)
        took = time.perf_counter() - began
        feed.done.set()
        feed.join()
        settled(address)
        print(
            f"{what}: new workers after {started:.1f} s, all done within {took:.1f} s; "
            f"an alert takes {delays(feed.seconds[:quiet])} before, "
            f"{delays(feed.seconds[quiet : over + 1])} while workers change, "
            f"{delays(feed.seconds[over + 1 :])} behind that; {bench.count_messages(bench.scratch)}"
        )
    produce(address, map(outgoing, rest))
    settled(address)
    expected, found = bench.replayed(), exported(bench, address)
    check(found == expected, "candidates are not those of a replay")
    print(f"candidates: {len(found.splitlines())}, those of a replay")
    open_workers.__exit__(None, None, None)


def until_logged(logs: Sequence[Path], text: str, count: int) -> float:
    """Wait until so many logs hold a text; gives how long that took [s]."""
    began = time.perf_counter()
    while sum(text in one.read_text() for one in logs) < count:
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError(f"{text} is not in the logs")
        time.sleep(0.2)
    return time.perf_counter() - began


def settled(address: str) -> None:
    """Wait until all steps have done all, sweeps too: nothing has come up for three looks."""
    for _ in itertools.repeat(None, 3):
        asyncio.run(drained(address, NAME, ["ingest", "notices", "objects", "react"]))
        time.sleep(2.0)


def delays(seconds: Sequence[float]) -> str:
    """Median and worst of some times."""
    if not seconds:
        return "(none came)"
    return f"{statistics.median(seconds):.2f} s (worst {max(seconds):.1f}, {len(seconds)} alerts)"


def embedded(bench: Bench) -> None:
    """The same changes in one process, each by a new start."""
    state = bench.scratch / "embedded"
    for what, changes, options in (("at first", (), ()), *STEPS):
        bench.edit(what, changes)
        began = time.perf_counter()
        words = [*bench.inputs, "--state", state, "--catalogs", bench.catalogs, "--once", *options]
        done = ampelstream("run", bench.file, *words)
        check(done.returncode == 0, done.stderr)
        print(
            f"embedded, {what}: {time.perf_counter() - began:.1f} s; {bench.count_messages(state)}"
        )
    bench.sent.clear()
    fresh = bench.scratch / "fresh"
    ampelstream(
        *(
            "run",
            bench.file,
            *bench.inputs,
            "--state",
            fresh,
            "--catalogs",
            bench.catalogs,
            "--once",
        )
    )
    print("embedded:", compare_states(bench.file, bench.catalogs, state, fresh))


def compare_states(file: Path, catalogs: Path, one: Path, other: Path) -> str:
    """Candidates of two states, which must be the same."""
    found = []
    for state in (one, other):
        backend = RocksBackend(state / NAME / "rocks")
        found.append(list(Lookup(open_topology(str(file), catalogs)[1], backend).candidates()))
        backend.close()
    check(found[0] == found[1], "candidates are not those of a fresh run")
    return f"{len(found[0])} candidates, equal to a fresh run"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=50_000)
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of the objects")
    options = parser.parse_args()
    if options.quick:
        options.objects //= 10
    print(environment())
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        (scratch / "night").mkdir()
        night = simulate_night(scratch / "night", seed=9, alerts=options.objects * 12 // 5)
        print(f"{len(night.truth)} objects, {sum(night.packets.values())} packets")
        bench = Bench(scratch, night)
        if options.embedded:
            embedded(bench)
            return
        with broker_in(scratch) as address:
            on_kafka(bench, address)


if __name__ == "__main__":
    main()
