"""Alerts per second of decode + filter and of a whole replay, as ratios to bare cached fastavro.

    python benchmarks/replay.py [--rounds 7]

Bare: ``fastavro.schemaless_reader`` on the whole record with a parsed schema at hand. All figures come
from one interleaved run, so that a drifting machine moves them together. The packets are real ones
where the real data is there (ZTF, five schema versions), simulated ones otherwise; the output says which.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from decode import bare_reader, load_packets
from interleave import interleaved

from ampelstream.cli.workflow import open_topology
from ampelstream.codecs.ztf import decode
from ampelstream.core.ingest import ingest
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.simulate import simulate_notice
from ampelstream.state.rocks import RocksBackend
from ampelstream.topology import Topology

WHERE = Coordinates("benchmark", 0, 0)


def decode_and_filter(topology: Topology, packets: Sequence[bytes]) -> Callable[[], None]:
    """Ingest every packet: decode, filter, and datapoints of what passes."""

    def run() -> None:
        for packet in packets:
            ingest(topology, decode(packet), WHERE)

    return run


def whole_replay(topology: Topology, packets: Sequence[bytes]) -> Callable[[], None]:
    """Every packet through an engine on RocksDB, commits synced to disk, three events open."""
    first = min(decode(packet).jd for packet in packets)
    notices = [
        simulate_notice(
            event_id=f"MS{number}",
            alert_type="PRELIMINARY",
            time_created="2020-01-01T00:00:00Z",
            t0_jd=first - 0.1,
            ra=ra,
            dec=20.0,
            width_deg=20.0,
            order=5,
        )
        for number, ra in enumerate((30.0, 150.0, 270.0))
    ]

    def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            backend = RocksBackend(Path(directory) / "rocks")
            engine = Engine(topology, backend)
            for number, notice in enumerate(notices):
                engine.process(SourceRecord(Coordinates("notices", 0, number), "notices", notice))
            for number, packet in enumerate(packets):
                engine.process(SourceRecord(Coordinates("alerts", 0, number), "alerts", packet))
            engine.commit()
            backend.close()

    return run


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    packets, origin = load_packets()
    with tempfile.TemporaryDirectory() as empty:
        _, kilonova = open_topology("kilonova", Path(empty))
        _, everything = open_topology("skymap-only", Path(empty))
    work = {
        "bare cached fastavro": bare_reader(packets),
        "decode + filter (kilonova)": decode_and_filter(kilonova, packets),
        "decode + filter (skymap-only)": decode_and_filter(everything, packets),
        "replay (kilonova)": whole_replay(kilonova, packets),
        "replay (skymap-only)": whole_replay(everything, packets),
    }
    medians = interleaved(work, rounds=arguments.rounds)
    bare = medians["bare cached fastavro"]
    print(f"{len(packets)} packets, {origin}; medians of {arguments.rounds} interleaved rounds")
    print(f"{'':34} {'us/alert':>9} {'alerts/s':>9} {'ratio':>6}")
    for name, microseconds in medians.items():
        each = microseconds / len(packets)
        print(f"{name:34} {each:9.0f} {1e6 / each:9.0f} {bare / microseconds:6.2f}")


if __name__ == "__main__":
    main()
