"""What a long replay takes: the most memory, and packets per second.

    python benchmarks/memory.py [--packets 100000] [--limit 400] [--history FILE]

The packets are simulated, with objects that are seen again and again, and written to a tar in a
temporary directory (some 18 kB each; making them takes longer than the replays, and 40 kB of memory
each). ``ampelstream replay`` then runs in a process of its own, with the notices of the simulated
night, once for each shipped topology. The most memory is what the system says of that process,
looked at many times a second. Fails where it is above the limit.
"""

import argparse
import io
import multiprocessing
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from history import History, add_option, peak_mib

from ampelstream.simulate import simulate_night, simulate_packets

TOPOLOGIES = ("kilonova", "skymap-only")
LOOK_EVERY = 0.02
"""Time between two looks at the memory [s]."""


class Replay(NamedTuple):
    """What one replay took: time [s], most memory [MiB], candidates and output on disk [MB]."""

    seconds: float
    mib: float
    candidates: int
    megabytes: float


def make_inputs(directory: Path, count: int) -> None:
    """Write ``alerts.tar`` and ``notices``; in a process of its own, whose memory is given back."""
    night = simulate_night(directory)
    night.alerts.unlink()
    with tarfile.open(directory / "alerts.tar", "w") as tar:
        for number, packet in enumerate(simulate_packets(count)):
            member = tarfile.TarInfo(f"{number}.avro")
            member.size = len(packet)
            tar.addfile(member, io.BytesIO(packet))


def replay(topology: str, inputs: Path, out: Path) -> Replay:
    """Replay all of it, and watch the process.

    Raises
    ------
    CalledProcessError
        The replay failed.
    """
    command = [sys.executable, "-m", "ampelstream", "replay", topology]
    command += ["--alerts", str(inputs / "alerts.tar"), "--notices", str(inputs / "notices")]
    command += ["--out", str(out), "--catalogs", str(inputs / "no-catalogs")]
    said = out.with_suffix(".txt")
    began, mib = time.perf_counter(), 0.0
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            with suppress(StopIteration, OSError):  # it has just ended, and has no memory any more
                mib = max(mib, peak_mib(process.pid))
            time.sleep(LOOK_EVERY)
    seconds = time.perf_counter() - began
    if process.returncode:
        print(said.read_text()[-2000:], file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command)
    rows = (out / "candidates.ndjson").read_bytes().count(b"\n")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    return Replay(seconds, mib, rows, size)


def main() -> None:
    """Make the inputs, replay them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=100_000)
    parser.add_argument("--limit", type=int, default=400, help="most memory [MiB]")
    add_option(parser)
    options = parser.parse_args()
    count: int = options.packets
    history = History.begin(options.history, "memory")
    data = f"{count} simulated packets from a tar"
    over = []
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch) / "inputs"
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.apply(make_inputs, (inputs, count))
        print(f"{data}, {(inputs / 'alerts.tar').stat().st_size / 1e6:.0f} MB", flush=True)
        print(
            f"{'':20}{'seconds':>9}{'packets/s':>11}{'MiB':>7}{'candidates':>12}{'output MB':>11}"
        )
        for topology in TOPOLOGIES:
            took = replay(topology, inputs, Path(scratch) / topology)
            print(
                f"{topology:20}{took.seconds:9.1f}{count / took.seconds:11.0f}{took.mib:7.0f}"
                f"{took.candidates:12}{took.megabytes:11.0f}",
                flush=True,
            )
            history.add(
                f"replay ({topology})",
                microseconds=took.seconds / count * 1e6,
                ratio=None,
                rounds=1,
                data=data,
                mib=round(took.mib),
                candidates=took.candidates,
            )
            if took.mib > options.limit:
                over.append(topology)
    history.write()
    if over:
        raise SystemExit(f"more than {options.limit} MiB: {', '.join(over)}")


if __name__ == "__main__":
    main()
