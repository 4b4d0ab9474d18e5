"""What taking in a sky map costs: processor time of each step, and the most memory.

    python benchmarks/skymap.py [--rounds 5] [--only NAME] [--history FILE]

The columns:

bare
    The yardstick: the file is inflated, and its table is not looked at.
read
    The bytes of the notice to a `SkyMap`.
rank
    Credible levels of all tiles, in two dimensions and, with distances, in three.
pack
    The map as the state keeps it, in the records that the objects step gets.
store
    What the objects step does before the event is durable: the records back to a map, its regions
    (and for them the levels in two dimensions), and the map into the store.
all
    One notice through both steps, and a position with its distance looked up in it.

Each map has a process of its own, so that the memory is its alone: the peak while it is taken in
for the first time, above what the process had with the file at hand. The maps are real ones where
the real data is there, simulated ones otherwise; two are always made: a map whose values stand in
the RING order, and the largest map that is accepted.
"""

import argparse
import gzip
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import healpy as hp
import numpy as np
from astropy.io import fits
from decode import REAL_DATA, Run
from history import History, add_option, peak_mib
from interleave import interleaved
from numpy.typing import NDArray

from ampelstream.codecs import notices, own
from ampelstream.core.accounting import Accounting
from ampelstream.core.events import EventStore, skymap_of
from ampelstream.core.ingest import Ingest
from ampelstream.errors import DecodeError
from ampelstream.model.announcement import Announcement
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.event import Notice
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import MAP_PART_BYTES
from ampelstream.simulate import simulate_notice
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.folding import MAX_TILES
from ampelstream.sky.skymap import SkyMap
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology, build, load
from ampelstream.units import Resources

TOPOLOGY = """
name: skymap-bench
version: "1"
channels:
  all: {region: 0.9, window: [0, 20]}
"""
WHERE = Coordinates("notices", 0, 0)
ALERTS = ("S240112w-preliminary-20240112T125931Z", "MS181101ab-ext-update")
NSIDE = 1024
SAMPLE = "S190728q-lalinference-nside1024.fits.gz"
COLUMNS = ("PROB", "DISTMU", "DISTSIGMA", "DISTNORM")
POSITION = (150.0, 2.0, 100.0)
Columns = Mapping[str, NDArray[np.float64]]


def load_files() -> dict[str, bytes]:
    """Notices to measure with: maps of the archive, and alerts with a multi-order map in them."""
    root = Path(os.environ.get("AMPELSTREAM_DATA", REAL_DATA))
    alerts = sorted((root / "notices").glob("lvk-*/*"))
    files = sorted((root / "skymaps").glob("*.fit*.gz"))
    files += [path for path in alerts if path.name.startswith(ALERTS)]
    found = {path.name: path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if can_be_followed(data)}


def can_be_followed(notice: bytes) -> bool:
    """Whether it is a notice; a map needs the time of its trigger for that."""
    try:
        notices.decode(notice)
    except DecodeError:
        return False
    return True


def simulated() -> tuple[str, bytes]:
    """A notice with a multi-order map."""
    notice = simulate_notice(
        event_id="MS1",
        alert_type="PRELIMINARY",
        time_created="2020-01-01T00:00:00Z",
        t0_jd=2458849.5,
        ra=150.0,
        dec=2.0,
        width_deg=10.0,
    )
    return "simulated notice", notice


def flat(skymap: SkyMap) -> Columns:
    """Values of each pixel of NSIDE 1024, in the NESTED order."""
    repeats = 4 ** (hp.nside2order(NSIDE) - skymap.order.astype(np.int64))
    probability = skymap.density * hp.nside2pixarea(NSIDE)
    columns = (probability, skymap.distmu, skymap.distsigma, skymap.distnorm)
    return {
        name: np.repeat(one, repeats)
        for name, one in zip(COLUMNS, columns, strict=True)
        if one is not None
    }


def finest() -> Columns:
    """As many tiles as are accepted, of which no two have the same values."""
    rng = np.random.default_rng(1)
    columns = {name: rng.lognormal(3.0, 1.0, MAX_TILES) for name in COLUMNS}
    columns["PROB"] /= 4 * columns["PROB"].sum()
    return {
        name: np.repeat(one, hp.nside2npix(NSIDE) // MAX_TILES) for name, one in columns.items()
    }


def flat_file(columns: Columns, *, ring: bool) -> bytes:
    """FITS file of a flat map in double precision, one pixel in a row."""
    order = hp.ring2nest(NSIDE, np.arange(hp.nside2npix(NSIDE))) if ring else slice(None)
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "D", array=one[order]) for name, one in columns.items()]
    )
    cards = {"PIXTYPE": "HEALPIX", "NSIDE": NSIDE, "COORDSYS": "C", "OBJECT": "MS1"}
    more = {"ORDERING": "RING" if ring else "NESTED", "DATE-OBS": "2020-01-01T00:00:00"}
    table.header.update({**cards, **more})
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return gzip.compress(stream.getvalue(), 1)


def load_maps() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name of each map, and what gives its notice: some are large, and take long to make."""
    files = load_files() or dict([simulated()])
    for name, data in files.items():
        yield name, partial(bytes, data)
    sample = files.get(SAMPLE, next(iter(files.values())))
    skymap = skymap_of(topology(), notices.decode(sample))
    if skymap is not None:
        yield "made: a RING map of that sky", lambda: flat_file(flat(skymap), ring=True)
    yield "made: the largest accepted", lambda: flat_file(finest(), ring=False)


def topology() -> Topology:
    """One channel that takes all within the 90 % region."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bench.yml"
        path.write_text(TOPOLOGY)
        return build(load(path), Resources(catalogs=CatalogStore(Path(directory))))


def records_of(skymap: SkyMap, notice: Notice) -> list[bytes]:
    """What ingest hands to the objects step."""
    whole = Announcement(notice.revision, skymap.to_bytes(), WHERE)
    return [own.encode_announcement(part) for part in whole.split(MAP_PART_BYTES)]


def stored(topology: Topology, records: Iterable[bytes]) -> EventStore:
    """What the objects step makes of it."""
    tables = Transaction(MemoryBackend())
    events = EventStore(topology, tables)
    for announcement in map(own.decode_announcement, records):
        if announcement.part + 1 < announcement.parts:
            events.keep_part(announcement)
        else:
            events.add(announcement)
    tables.commit()
    return events


def ranked(skymap: SkyMap) -> None:
    """Credible levels in all dimensions that the map has."""
    skymap.area(0.9)
    skymap.credible_level(*POSITION[:2])
    skymap.at(*POSITION)


def whole_way(topology: Topology, notice: bytes) -> None:
    """From the bytes of a notice to what a candidate is told of its place."""
    ingest = Ingest(topology, Accounting().tally(), time.time)
    outputs = ingest.process([SourceRecord(WHERE, "notices", notice)])
    parts = [output.value for output in outputs if isinstance(output.value, Announcement)]
    (event,) = stored(topology, map(own.encode_announcement, parts))
    found = event.skymap()
    if found is not None:
        found.at(*POSITION)


def inflated(data: bytes) -> None:
    """Inflate a FITS file, and do nothing with it."""
    if data.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while file.read(1 << 20):
                pass


def measure(notice: bytes, rounds: int) -> tuple[int, float, dict[str, float]]:
    """Tiles of a map, its peak of memory [MiB], and the processor time of each step [us]."""
    one_channel = topology()
    whole_way(one_channel, simulated()[1])  # what is done once in a process is done
    before = peak_mib()
    whole_way(one_channel, notice)
    peak = peak_mib() - before

    def read() -> SkyMap:
        found = skymap_of(one_channel, notices.decode(notice))
        if found is None:
            raise SystemExit("a notice without a sky map is no benchmark")
        return found

    skymap, decoded = read(), notices.decode(notice)
    packed, records = skymap.to_bytes(), records_of(skymap, decoded)

    def rank() -> Run:
        return partial(ranked, SkyMap.from_bytes(packed))

    work: dict[str, Callable[[], Run]] = {
        "bare": lambda: partial(inflated, decoded.skymap),
        "read": lambda: read,
        "rank": rank,
        "pack": lambda: partial(records_of, skymap, decoded),
        "store": lambda: partial(stored, one_channel, records),
        "all": lambda: partial(whole_way, one_channel, notice),
    }
    return len(skymap.order), peak, interleaved(work, rounds=rounds, clock=time.process_time)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="maps whose name contains this")
    add_option(parser)
    arguments = parser.parse_args()
    history = History.begin(arguments.history, "skymap")
    print(f"seconds of processor time, medians of {arguments.rounds} interleaved rounds")
    steps = ("bare", "read", "rank", "pack", "store", "all")
    print(f"{'':48}" + "".join(f"{one:>7}" for one in ("tiles", *steps, "MiB")))
    for name, make in load_maps():
        if arguments.only not in name:
            continue
        # spawned: a forked process has the peak of the one that it comes from
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            tiles, peak, times = pool.apply(measure, (make(), arguments.rounds))
        seconds = "".join(f"{times[one] / 1e6:7.3f}" for one in steps)
        print(f"{name:48}{tiles:7}{seconds}{peak:7.0f}", flush=True)
        for step in steps:
            history.add(
                step,
                microseconds=times[step],
                ratio=times["bare"] / times[step],
                rounds=arguments.rounds,
                data=name,
                mib=round(peak),
            )
    history.write()


if __name__ == "__main__":
    main()
