"""What decoding costs, as ratios to bare cached fastavro, in one interleaved run.

python benchmarks/decode.py [--rounds 7]
"""

import argparse
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fastavro
from interleave import interleaved

from ampelstream.codecs.alerts import datapoints, decode
from ampelstream.codecs.avro.container import first_block, metadata, read_header
from ampelstream.codecs.lsst import FixedSchemas
from ampelstream.errors import DecodeError
from ampelstream.simulate import simulate_packets

Run = Callable[[], object]
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


def each(packets: Sequence[bytes], work: Callable[[bytes], object]) -> Callable[[], Run]:
    """Do something with every packet."""

    def run() -> None:
        for packet in packets:
            work(packet)

    return lambda: run


def table(medians: dict[str, float], bare: str, packets: int, title: str) -> str:
    """Times and ratios for people."""
    lines = [title, f"{'':34} {'us/alert':>9} {'alerts/s':>9} {'ratio':>6}"]
    for name, microseconds in medians.items():
        one = microseconds / packets
        lines.append(f"{name:34} {one:9.0f} {1e6 / one:9.0f} {medians[bare] / microseconds:6.2f}")
    return "\n".join(lines)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    packets, origin = load_packets()
    bare = "bare cached fastavro"
    work = {
        bare: bare_reader(packets),
        "fastavro.reader": each(packets, lambda p: next(fastavro.reader(io.BytesIO(p)))),
        "decode": each(packets, decode),
        "decode + epochs": each(packets, lambda p: decode(p).history.epochs()),
        "decode + datapoints": each(packets, lambda p: datapoints(decode(p))),
    }
    medians = interleaved(work, rounds=rounds)
    title = f"{len(packets)} {origin}; medians of {rounds} interleaved rounds"
    print(table(medians, bare, len(packets), title))
    messages, schemas = load_wire()
    if messages:
        messages *= WIRE_REPEATS
        wire = {
            bare: bare_wire(messages, schemas),
            "decode": each(messages, lambda m: decode(m, schemas)),
            "decode + epochs": each(messages, lambda m: decode(m, schemas).history.epochs()),
            "decode + datapoints": each(messages, lambda m: datapoints(decode(m, schemas))),
        }
        title = "real Rubin alerts in Confluent's wire format, schemas 7.1, 7.3 and 9.0"
        print(table(interleaved(wire, rounds=rounds), bare, len(messages), f"\n{title}"))


if __name__ == "__main__":
    main()
