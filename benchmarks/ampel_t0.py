"""AMPEL's own first tier on the same packets, as a ratio to bare fastavro in its process.

    python benchmarks/ampel_t0.py [--rounds 7] [--environment DIR] [--history FILE]

AMPEL comes from PyPI into an environment of its own (some 500 MB), which is made on the first run
and kept in the user's cache; it is not touched by ours, nor ours by it. There `ampel_peer.py` runs
AMPEL's alert supplier for ZTF and its DecentFilter with the configuration of the topology
``kilonova``, without its database. Where it cannot be installed the row says why.

Processor time. What AMPEL does more than this, and what others do: README.md beside this file.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from decode import BARE, load_packets, table
from history import History, add_option
from reading import filtered

from ampelstream.cli.workflow import open_topology
from ampelstream.core.judging import asked_of

REQUIRED = ("ampel-ztf==0.10.2", f"fastavro=={version('fastavro')}")
"""Ours is the fastavro that both are measured by. What AMPEL needs itself pip finds."""
PEER = Path(__file__).with_name("ampel_peer.py")
READY = "ready"
LONGEST_REASON = 200


def default_environment() -> Path:
    """Where AMPEL is installed: in the user's cache, for this Python and these versions."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    text = " ".join((sys.version, *REQUIRED))
    return cache / "ampelstream" / f"ampel-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def install(environment: Path) -> Path:
    """Make the environment if it is not there; gives its Python.

    Raises
    ------
    CalledProcessError
        pip cannot install it; what it said is in ``stderr``.
    """
    python = environment / "bin" / "python"
    if (environment / READY).exists():
        return python
    print(f"installing AMPEL in {environment}, once: 500 MB, some minutes", file=sys.stderr)
    venv.create(environment, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIRED]
    subprocess.run(pip, check=True, stderr=subprocess.PIPE, text=True)
    (environment / READY).touch()
    return python


def ask(python: Path, packets: Sequence[bytes], config: str, rounds: int) -> dict[str, Any]:
    """Let the peer measure.

    Raises
    ------
    CalledProcessError
        It failed; what it said is in ``stderr``.
    """
    with tempfile.NamedTemporaryFile() as file:
        for packet in packets:
            file.write(len(packet).to_bytes(4, "big") + packet)
        file.flush()
        done = subprocess.run(
            [str(python), str(PEER), file.name, config, str(rounds)],
            check=True,
            capture_output=True,
            text=True,
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Install, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--environment", type=Path, default=default_environment())
    add_option(parser)
    options = parser.parse_args()
    history = History.begin(options.history, "ampel")
    packets, origin = load_packets()
    data = f"{len(packets)} {origin}"
    with tempfile.TemporaryDirectory() as directory:
        spec, topology = open_topology("kilonova", Path(directory))
    (channel,) = spec.channels.values()
    (judge,) = channel.filters
    try:
        python = install(options.environment)
        answer = ask(python, packets, json.dumps(judge.config), options.rounds)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        why = said[-1][:LONGEST_REASON]
        print(f"AMPEL T0: not measured: {why}")
        history.add("AMPEL T0", microseconds=None, ratio=None, rounds=0, data=data, why=why)
        history.write()
        return
    versions, medians = answer["versions"], answer["medians"]
    name = f"AMPEL T0 (ampel-ztf {versions['ampel-ztf']})"
    medians = {name if row == "AMPEL T0" else row: median for row, median in medians.items()}
    title = (
        f"\n{data};\nAMPEL in its own environment; medians of {options.rounds} interleaved rounds"
    )
    print(table(medians, BARE, len(packets), title))
    ours = filtered(packets, topology, asked_of(topology.channels))
    print(
        f"AMPEL accepts {answer['accepted']} (and breaks down at {answer['crashed']}), "
        f"ampelstream {ours}",
        flush=True,
    )
    for row, median in medians.items():
        history.add(
            row,
            microseconds=median / len(packets),
            ratio=medians[BARE] / median,
            rounds=options.rounds,
            data=data,
            peer=versions,
        )
    history.write()


if __name__ == "__main__":
    main()
