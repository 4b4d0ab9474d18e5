"""What an alert costs the objects step, by how many objects are stored and events are open.

    python benchmarks/growth.py [--most 1000000] [--rounds 5]

CPU time of `Objects.process` and the commit, for alerts of which half belong to objects that are
stored (ten datapoints each, one of them new) and half to new ones. RocksDB as on Kafka (no waiting
for the disk). No event reaches the alerts: what is measured is what an event costs those that it
has nothing to do with, which is nearly all of them. The stores are asked in turn, so that a
drifting machine moves all figures together. Of one thread: RocksDB sorts its files in others, and
what that took together with it is given behind the sum.
"""

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from kafka_state import T0, detection, stored

from ampelstream.cli.workflow import open_topology
from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.core.objects import Objects
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Record
from ampelstream.simulate import simulate_notice
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

BATCH, BATCHES = 100, 5
EVENTS = (0, 10, 100)
SOUTH = -30.0
"""Alerts lie south of it, and events far north of it [deg]."""


class Store:
    """A store with so many objects, and the processor that works on it."""

    def __init__(self, topology: Topology, path: Path, count: int) -> None:
        self.topology, self.count = topology, count
        self.backend = RocksBackend(path, sync=False)
        rng = random.Random(count)  # noqa: S311  (made-up objects, not a secret)
        southern: list[Detection] = []
        pending: dict[bytes, bytes | None] = {}
        for number in range(count):
            one = detection(number, rng)
            pending |= stored(one)
            if one.dec < SOUTH and len(southern) < 100_000:  # noqa: PLR2004  (of memory)
                southern.append(one)
            if len(pending) > 5_000:  # noqa: PLR2004  (as good as any)
                self.backend.write(pending)
                pending = {}
        self.backend.write(pending)
        rng.shuffle(southern)
        self.alerts = self._alerts(itertools.cycle(southern), rng)
        self.state = Transaction(self.backend)
        tally = Accounting().tally()
        self.objects = Objects(self.topology, self.state, tally, time.monotonic)

    def open_events(self, count: int) -> None:
        """Take in notices until so many events are open; the objects stored stay unmatched."""
        ingest = Ingest(self.topology, Accounting().tally(), time.time, ticks=False)
        for number in range(len(self.objects.events), count):
            notice = simulate_notice(
                event_id=f"SIM{number}",
                alert_type="PRELIMINARY",
                time_created="2023-12-20T00:00:00Z",
                t0_jd=T0 - 0.5,
                ra=3.6 * number,
                dec=60.0,
                width_deg=5.0,
                order=6,
            )
            where = Coordinates("notices", 0, number)
            for made in ingest.process([SourceRecord(where, "notices", notice)]):
                self.objects.process([Record(where, made.stream, made.value)])  # type: ignore[arg-type]  # (an announcement)

    def _alerts(self, known: Iterator[Detection], rng: random.Random) -> Iterator[Record]:
        for number in itertools.count(5_000_000):
            if number % 2:
                before = next(known)
                candid = number * 100
                jd = before.jd + 0.01
                point = msgspec.structs.replace(before.datapoints[0], id=candid, jd=jd)
                one = msgspec.structs.replace(
                    before, candid=candid, jd=jd, datapoints=(point, *before.datapoints)
                )
            else:
                one = detection(number, rng)
                while one.dec > SOUTH:
                    one = detection(number, rng)
            yield Record(Coordinates("alerts", 0, number), "detections", one)

    def measure(self) -> tuple[float, float]:
        """CPU time for an alert [us]: of this thread, and of the process."""
        batches = [list(itertools.islice(self.alerts, BATCH)) for _ in range(BATCHES)]
        thread, process = time.thread_time(), time.process_time()
        for batch in batches:
            outputs = self.objects.process(batch)
            if outputs:
                raise RuntimeError(f"nothing was to come of the alerts, but {outputs[0]} came")
            self.state.commit()
            self.objects.committed()
        count = BATCH * BATCHES / 1e6
        return (time.thread_time() - thread) / count, (time.process_time() - process) / count


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sizes = [size for size in (1_000, 100_000, 1_000_000) if size <= options.most]
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        _, topology = open_topology("skymap-only", here / "catalogs")
        stores = [Store(topology, here / str(size), size) for size in sizes]
        found: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for events in EVENTS:
            for store in stores:
                store.open_events(events)
                store.measure()  # warm
            for _ in range(options.rounds):
                for store in stores:
                    found.setdefault((events, store.count), []).append(store.measure())
        for store in stores:
            store.backend.close()
    median = {
        key: tuple(statistics.median(column) for column in zip(*values, strict=True))
        for key, values in found.items()
    }
    print(f"us for an alert, medians of {options.rounds} rounds of {BATCH * BATCHES} alerts")
    heads = "".join(f"{f'{size} objects':>20}" for size in sizes)
    print(f"{'':14}{heads}{'most/least':>14}")
    for events in EVENTS:
        cells = [median[events, size] for size in sizes]
        row = "".join(f"{f'{one:.1f} ({every:.1f})':>20}" for one, every in cells)
        ratio = max(one for one, _ in cells) / min(one for one, _ in cells)
        print(f"{f'{events} events':14}{row}{ratio:>14.2f}")
    last = EVENTS[-1]
    each = [(median[last, size][0] - median[0, size][0]) / last for size in sizes]
    print(f"{'for each event':14}{''.join(f'{one:20.2f}' for one in each)}")


if __name__ == "__main__":
    main()
