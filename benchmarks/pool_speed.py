"""How much faster the pool of processes is than one process, for a heavy unit that computes.

    python benchmarks/pool_speed.py [--objects 200] [--seconds 0.1] [--rounds 3]

Objects around an event are evaluated when its sky map comes, by a unit that uses so much processor
time for each; with pools of one process up to one for each core, in turn.
"""

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from interleave import Work, interleaved
from kafka_bench import environment

from ampelstream.cli.workflow import open_inputs, open_topology
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.unitpool import with_pool
from ampelstream.simulate import simulate_night
from ampelstream.sources import merge
from ampelstream.state.memory import MemoryBackend
from ampelstream.units import Inputs, ObjectUnit

TOPOLOGY = """
name: pool-speed
version: "1"
channels:
  all:
    region: 1.0
    window: [0, 20]
    units: [{{unit: "pool_speed:Spin", config: {{seconds: {seconds}}}}}]
"""


class Spin(ObjectUnit):
    """Uses processor time."""

    provides: ClassVar[str] = "spin"
    heavy: ClassVar[bool] = True
    seconds: float

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        """Turn round until the time is used."""
        until = time.process_time() + self.seconds
        turns = 0
        while time.process_time() < until:
            turns += 1
        return {"turns": turns > 0, "points": len(inputs.lightcurve.datapoints)}


def prepared(file: Path, night: Any, processes: int) -> Work:
    """An engine that has the alerts; the run is what the notices ask for."""
    _, topology = open_topology(str(file))
    alerts = list(merge(open_inputs([night.alerts], []), {}))
    notices = list(merge(open_inputs([], [night.notices]), {}))

    def run() -> None:
        with with_pool(topology, processes) as pooled:
            engine = Engine(pooled, MemoryBackend(), at_once=processes)
            engine.process(alerts)
            engine.process(notices[:1])
            engine.commit()

    return run


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a fifth of the objects")
    options = parser.parse_args()
    if options.quick:
        options.objects, options.rounds = options.objects // 5, 1
    print(environment())
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        night = simulate_night(scratch, seed=9, alerts=options.objects * 12 // 5)
        file = scratch / "pool-speed.yml"
        file.write_text(TOPOLOGY.format(seconds=options.seconds))
        took = interleaved(
            {
                str(processes): partial(prepared, file, night, processes)
                for processes in range(1, cores + 1)
            },
            rounds=options.rounds,
        )
    for name, microseconds in took.items():
        print(f"{name} processes: {microseconds / 1e6:.2f} s, {took['1'] / microseconds:.2f} times")


if __name__ == "__main__":
    main()
