"""Alerts per second of decode + filter and of a whole replay, as ratios to bare cached fastavro.

    python benchmarks/replay.py [--rounds 7] [--history FILE]

Bare: ``fastavro.schemaless_reader`` on the whole record with a parsed schema at hand. All figures
come from one interleaved run, so that a drifting machine moves them together. The packets are real
ones where the real data is there, simulated ones otherwise; the output says which. Opening the
state and taking in the three events is not timed. The second table is the same run by processor
time, which leaves out waiting for the disk, and what else uses the machine.
"""

import argparse
import io
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fastavro
from decode import BARE, Run, bare_reader, load_packets, table
from history import History, add_option
from interleave import interleaved_by

from ampelstream.cli.workflow import open_topology
from ampelstream.codecs.avro.container import metadata, read_header
from ampelstream.codecs.ztf import decode
from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.engine import BATCH, Engine
from ampelstream.runtime.service.allocator import collect_seldom
from ampelstream.simulate import simulate_notice
from ampelstream.state.rocks import RocksBackend
from ampelstream.topology import Topology

COPY = 10_000_000_000_000_003
"""Between the identifiers of two copies: some six hundred fit into 64 bits."""
COPIES = 4
"""Each packet is there so often, each time of another object: a night has many, and opening and
closing the state must not be most of it."""
WHERE = Coordinates("benchmark", 0, 0)


def renamed(packets: Sequence[bytes], copies: int) -> Iterator[bytes]:
    """The packets under other object names and identifiers, with their own schemas."""
    parsed = {}
    for copy in range(copies):
        for packet in packets:
            header = read_header(packet)
            if header.key not in parsed:
                schema = json.loads(metadata(header.key)["avro.schema"])
                parsed[header.key] = fastavro.parse_schema(schema)
            record: Any = next(iter(fastavro.reader(io.BytesIO(packet))))
            record["objectId"] = f"{record['objectId']}x{copy}"
            record["candid"] += copy * COPY
            record["candidate"]["candid"] = record["candid"]
            out = io.BytesIO()
            fastavro.writer(out, parsed[header.key], [record])
            yield out.getvalue()


def decode_and_filter(topology: Topology, packets: Sequence[bytes]) -> Callable[[], Run]:
    """Ingest every packet: decode, filter, and datapoints of what passes."""
    ingest = Ingest(topology, Accounting().tally(), time.time)
    records = [SourceRecord(WHERE, "alerts", packet) for packet in packets]

    def run() -> None:
        for first in range(0, len(records), BATCH):
            ingest.process(records[first : first + BATCH])

    return lambda: run


def three_events(first_jd: float) -> list[bytes]:
    """Notices of three events shortly before, so that there is something to match."""
    return [
        simulate_notice(
            event_id=f"SIM{number}",
            alert_type="PRELIMINARY",
            time_created="2020-01-01T00:00:00Z",
            t0_jd=first_jd - 0.1,
            ra=ra,
            dec=20.0,
            width_deg=20.0,
            order=5,
        )
        for number, ra in enumerate((30.0, 150.0, 270.0))
    ]


def whole_replay(
    topology: Topology, packets: Sequence[bytes], directory: Path
) -> Callable[[], Run]:
    """Every packet through an engine on RocksDB, commits synced to disk, three events open."""
    first = min(decode(packet).jd for packet in packets)
    notices = three_events(first)
    numbers = itertools.count()

    def prepare() -> Run:
        backend = RocksBackend(directory / f"{topology.name}-{next(numbers)}")
        engine = Engine(topology, backend)
        for number, notice in enumerate(notices):
            engine.process([SourceRecord(Coordinates("notices", 0, number), "notices", notice)])
        engine.commit()

        def run() -> None:
            records = (
                SourceRecord(Coordinates("alerts", 0, number), "alerts", packet)
                for number, packet in enumerate(packets)
            )
            while batch := list(itertools.islice(records, BATCH)):
                engine.process(batch)
            engine.commit()
            backend.close()

        return run

    return prepare


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    add_option(parser)
    options = parser.parse_args()
    rounds: int = options.rounds
    history = History.begin(options.history, "replay")
    few, origin = load_packets()
    packets = list(renamed(few, COPIES))
    collect_seldom()  # as the commands do
    with tempfile.TemporaryDirectory() as directory:
        here = Path(directory)
        _, kilonova = open_topology("kilonova", here / "catalogs")
        _, everything = open_topology("skymap-only", here / "catalogs")
        work = {
            BARE: bare_reader(packets),
            "decode + filter (kilonova)": decode_and_filter(kilonova, packets),
            "decode + filter (skymap-only)": decode_and_filter(everything, packets),
            "replay (kilonova)": whole_replay(kilonova, packets, here),
            "replay (skymap-only)": whole_replay(everything, packets, here),
        }
        clocks = (time.perf_counter, time.process_time)
        medians, processor = interleaved_by(work, rounds=rounds, clocks=clocks)
    data = f"{COPIES} x {len(few)} {origin}"
    title = f"{data}; medians of {rounds} interleaved rounds"
    print(table(medians, BARE, len(packets), title))
    print(table(processor, BARE, len(packets), "the same by processor time"), flush=True)
    for row, median in medians.items():
        history.add(
            row,
            microseconds=median / len(packets),
            ratio=medians[BARE] / median,
            rounds=rounds,
            data=data,
            processor_microseconds=round(processor[row] / len(packets), 3),
            processor_ratio=round(processor[BARE] / processor[row], 4),
        )
    history.write()


if __name__ == "__main__":
    main()
