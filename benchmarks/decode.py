"""What decoding costs, as ratios to bare cached fastavro, in one interleaved run.

    python benchmarks/decode.py [--rounds 15] [--history FILE]

Each table comes twice: with the compiled interpreter of packets and with the plain one, in a
process of its own with its own bare fastavro in it. Where nothing is compiled there is only that.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
from history import History, add_option, interpreter
from interleave import interleaved
from reading import one_by_one, rows_of

from ampelstream.cli.workflow import open_topology
from ampelstream.codecs.alerts import decode
from ampelstream.codecs.avro.backend import VARIABLE
from ampelstream.codecs.avro.container import first_block, metadata, read_header
from ampelstream.codecs.lsst import FixedSchemas
from ampelstream.errors import DecodeError
from ampelstream.simulate import simulate_packets

Run = Callable[[], object]
BARE = "bare cached fastavro"
WIRE_REPEATS = 60
"""There are three messages: each is decoded this often in a round."""
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def load_packets() -> tuple[list[bytes], str]:
    """Packets to measure with, and where they are from.

    Real ZTF packets where the real data is there: one whole night of 2018 (schema 3.1), and packets
    of 3.3, 4.01 and 4.02; simulated ones otherwise.
    """
    root = Path(os.environ.get("AMPELSTREAM_DATA", REAL_DATA)) / "ztf"
    if not root.is_dir():
        return simulate_packets(500), "simulated packets"
    folders = ("fink-alert-simulator", "kowalski", "boom", "sn2021rhu")
    files = [path for name in folders for path in sorted((root / name).rglob("*.avro"))]
    packets = []
    for path in files:
        data = path.read_bytes()
        try:
            decode(data)
        except DecodeError:
            continue
        packets.append(data)
    return packets, f"real ZTF packets of {', '.join(folders)}"


def bare_reader(packets: Sequence[bytes]) -> Callable[[], Run]:
    """Decode whole records with fastavro, parsed schema and position of the record at hand."""
    schemas: dict[bytes, Any] = {}
    bodies: list[tuple[bytes, Any]] = []
    for packet in packets:
        header = read_header(packet)
        if header.key not in schemas:
            schema = json.loads(metadata(header.key)["avro.schema"])
            schemas[header.key] = fastavro.parse_schema(schema)
        bodies.append((first_block(packet, header.body, "null"), schemas[header.key]))

    def run() -> None:
        for body, schema in bodies:
            fastavro.schemaless_reader(io.BytesIO(body), schema, None)

    return lambda: run


def load_wire() -> tuple[list[bytes], FixedSchemas]:
    """Rubin alerts in Confluent's wire format, and their schemas; none without the real data."""
    root = Path(os.environ.get("AMPELSTREAM_DATA", REAL_DATA)) / "lsst"
    files = sorted((root / "boom-wire").glob("*.avro"))
    schemas = {
        int(path.stem): json.loads(path.read_text()) for path in (root / "schemas").glob("*.avsc")
    }
    return [path.read_bytes() for path in files], FixedSchemas(schemas)


def bare_wire(messages: Sequence[bytes], schemas: FixedSchemas) -> Callable[[], Run]:
    """Decode whole messages with fastavro, parsed schemas at hand."""
    parsed: list[tuple[bytes, Any]] = []
    for message in messages:
        schema: Any = schemas.known(int.from_bytes(message[1:5], "big"))
        parsed.append((message[5:], fastavro.parse_schema(dict(schema))))

    def run() -> None:
        for body, schema in parsed:
            fastavro.schemaless_reader(io.BytesIO(body), schema, None)

    return lambda: run


def table(medians: dict[str, float], bare: str, packets: int, title: str) -> str:
    """Times and ratios for people."""
    lines = [title, f"{'':45} {'us/alert':>9} {'alerts/s':>9} {'ratio':>7}"]
    for name, microseconds in medians.items():
        one = microseconds / packets
        ratio = medians[bare] / microseconds
        lines.append(f"{name:45} {one:9.1f} {1e6 / one:9.0f} {ratio:7.2f}")
    return "\n".join(lines)


def timed(work: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, float]:
    """Median processor time of each, in turn: nothing waits, and others may use the machine."""
    for prepare in work.values():
        prepare()()  # what is done once for a writer schema is done
    return interleaved(work, rounds=rounds, clock=time.process_time)


def measure_ztf(history: History, rounds: int) -> None:
    """ZTF's table."""
    packets, origin = load_packets()
    with tempfile.TemporaryDirectory() as directory:
        _, kilonova = open_topology("kilonova", Path(directory))
        work = {
            BARE: bare_reader(packets),
            "fastavro.reader": one_by_one(packets, lambda p: next(fastavro.reader(io.BytesIO(p)))),
            **rows_of(packets, topology=kilonova),
        }
        medians = timed(work, rounds)
    data = f"{len(packets)} {origin}"
    title = f"{data};\n{interpreter()} interpreter; medians of {rounds} interleaved rounds"
    print(table(medians, BARE, len(packets), title), flush=True)
    history.add_all(medians, BARE, len(packets), rounds=rounds, data=data)


def measure_rubin(history: History, rounds: int) -> None:
    """Rubin's table, where the real data is there."""
    messages, schemas = load_wire()
    if not messages:
        return
    messages *= WIRE_REPEATS
    work = {BARE: bare_wire(messages, schemas), **rows_of(messages, schemas)}
    medians = timed(work, rounds)
    data = "real Rubin alerts in Confluent's wire format, schemas 7.1, 7.3 and 9.0"
    title = f"\n{data};\n{interpreter()} interpreter; medians of {rounds} interleaved rounds"
    print(table(medians, BARE, len(messages), title), flush=True)
    history.add_all(medians, BARE, len(messages), rounds=rounds, data=data)


def main() -> None:
    """Run and print the tables; once more with the plain interpreter, in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--once", action="store_true", help="only with the interpreter that runs")
    add_option(parser)
    options = parser.parse_args()
    history = History.begin(options.history, "decode")
    measure_ztf(history, options.rounds)
    measure_rubin(history, options.rounds)
    history.write()
    if interpreter() == "compiled" and not options.once:
        print(flush=True)
        subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--once"],
            env={**os.environ, VARIABLE: "plain"},
            check=True,
        )


if __name__ == "__main__":
    main()
