"""A whole night on disk: packets, notices, a galaxy table and the truth."""

import gzip
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from ampelstream.errors import ConfigError
from ampelstream.simulate.at2017gfo import OBJECT_ID
from ampelstream.simulate.avrowriter import PacketWriter
from ampelstream.simulate.lvknotices import MERGER_ID, PRELIMINARY, UPDATE, night_notices
from ampelstream.simulate.mocksky import Galaxy, Sky, galaxy_table, mock_galaxies
from ampelstream.simulate.observer import Observer, Packet
from ampelstream.simulate.population import background, kilonova_packets
from ampelstream.simulate.source import Kind
from ampelstream.simulate.survey import Survey

__all__ = ["MINIMUM", "Night", "simulate_night", "simulate_packets"]

MINIMUM: Final = 100
"""Fewer packets than this make no night."""

_CUTOUT: Final = 13_000  # bytes of a stamp in ZTF's packets, roughly


@dataclass(frozen=True, slots=True)
class Night:
    """What was written, and what it is.

    Attributes
    ----------
    directory
        Where everything is.
    alerts
        Archive of the packets, one Avro container each, by time.
    notices
        Directory of the notices.
    galaxies
        Galaxy table, CSV with the names of GLADE+'s columns.
    truth_file
        The truth table, JSON: object -> class.
    packets
        Number of packets by class.
    truth
        Class of each object.
    kilonova
        Object that belongs to the merger.
    event_id
        The merger.
    """

    directory: Path
    alerts: Path
    notices: Path
    galaxies: Path
    truth_file: Path
    packets: Mapping[str, int]
    truth: Mapping[str, str]
    kilonova: str = OBJECT_ID
    event_id: str = MERGER_ID


def _stream(seed: int, count: int, galaxies: list[Galaxy]) -> list[tuple[Kind, Packet]]:
    """Packets of a night, by time."""
    survey, observer = Survey(seed), Observer(seed)
    sky = Sky(PRELIMINARY, UPDATE, galaxies, survey)
    made = list(kilonova_packets(survey, observer))
    made += background(count - len(made), sky, survey, observer, seed)
    made.sort(key=lambda one: (one[1]["candidate"]["jd"], one[1]["candid"]))
    return made


def _archive(packets: Iterable[Packet]) -> bytes:
    """Pack packets into a tar.gz that depends on nothing but them."""
    writer, out = PacketWriter(), io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for packet in packets:
            value = writer.encode(packet)
            member = tarfile.TarInfo(f"{packet['candid']}.avro")
            member.size = len(value)
            tar.addfile(member, io.BytesIO(value))
    return out.getvalue()


def simulate_night(directory: Path, *, seed: int = 170817, alerts: int = 3000) -> Night:
    """Write a simulated night; the same seed and size give the same bytes.

    Everything is made up but AT2017gfo, whose magnitudes are published, and its host galaxy.

    Parameters
    ----------
    directory
        Where to write; made where it is not there, files in it are replaced.
    seed
        Another seed, another night; the merger stays.
    alerts
        How many packets, all classes together.

    Raises
    ------
    ConfigError
        Fewer than 100 packets are asked for.
    """
    if alerts < MINIMUM:
        raise ConfigError(f"a night of {alerts} alerts is too small; ask for {MINIMUM} or more")
    galaxies = mock_galaxies(PRELIMINARY, seed)
    stream = _stream(seed, alerts, galaxies)
    truth = {str(packet["objectId"]): kind.value for kind, packet in stream}
    night = Night(
        directory=directory,
        alerts=directory / "alerts.tar.gz",
        notices=directory / "notices",
        galaxies=directory / "catalogs-source" / "galaxies.csv",
        truth_file=directory / "truth.json",
        packets=dict(sorted(Counter(kind.value for kind, _ in stream).items())),
        truth=dict(sorted(truth.items())),
    )
    for folder in (night.notices, night.galaxies.parent):
        folder.mkdir(parents=True, exist_ok=True)
    night.alerts.write_bytes(_archive(packet for _, packet in stream))
    for name, value in night_notices().items():
        (night.notices / name).write_bytes(value)
    night.galaxies.write_text(galaxy_table(galaxies), encoding="utf-8")
    night.truth_file.write_text(json.dumps(night.truth, indent=0) + "\n", encoding="utf-8")
    return night


def simulate_packets(n: int, seed: int = 170817, *, cutouts: bool = False) -> list[bytes]:
    """Give packets for tests and benchmarks, each an Avro container, by time.

    Parameters
    ----------
    n
        How many; all are held in memory.
    seed
        Same seed, same packets.
    cutouts
        Whether each has three stamps of the size of ZTF's (noise, not images).

    Raises
    ------
    ConfigError
        Fewer than one packet is asked for.
    """
    if n < 1:
        raise ConfigError(f"{n} packets cannot be simulated; ask for 1 or more")
    writer = PacketWriter()
    made = []
    galaxies = mock_galaxies(PRELIMINARY, seed)
    for _, packet in _stream(seed, max(n, MINIMUM), galaxies)[:n]:
        stamps = _stamps(int(packet["candid"])) if cutouts else {}
        made.append(writer.encode(packet | stamps))
    return made


def _stamps(candid: int) -> Packet:
    """Three stamps that cannot be compressed, as gzipped images cannot."""
    rng = Random(candid)  # noqa: S311  (a simulation, no secrets)
    made: Packet = {}
    for kind in ("Science", "Template", "Difference"):
        name = f"simulated_{candid}_{kind.lower()}"
        made[f"cutout{kind}"] = {"fileName": name, "stampData": rng.randbytes(_CUTOUT)}
    return made
