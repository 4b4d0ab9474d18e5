"""Datapoints of one object and the light curve that they form."""

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from operator import attrgetter

import msgspec

from ampelstream.model.digest import digest

__all__ = ["BANDS", "Datapoint", "LightCurve", "mean_position"]

BANDS = {4: "u", 1: "g", 2: "r", 3: "i", 5: "z", 6: "y"}
"""Filter identifiers and the names of their bands, from blue to red.

The first three are ZTF's ``fid``; Rubin names its bands, and 4 to 6 are our numbers for them.
"""


class Datapoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One measurement, or one upper limit where ``mag`` is None.

    Attributes
    ----------
    id
        Detections: the survey's ``candid`` (Rubin: ``diaSourceId``). Upper limits: a number that
        is the same in every packet that repeats the limit.
    jd
        Julian date of the exposure [d, UTC]: ZTF its start, Rubin its middle.
    fid
        Filter: 1 g, 2 r, 3 i, 4 u, 5 z, 6 y; 0 where it is not known.
    mag, magerr
        PSF magnitude of the difference image and its 1-sigma error [AB mag].
    limmag
        5-sigma limiting magnitude of the exposure [AB mag].
    ra, dec
        Position [deg, ICRS].
    positive
        Whether the source is brighter than in the reference (ZTF: ``isdiffpos``).
    rb, drb
        Real-bogus scores, 0 (artefact) to 1 (real); of Rubin its ``reliability`` is ``rb``.
    pid
        Processing identifier of the image; Rubin: ``visit``.
    rcid
        Readout channel, 0 to 63; Rubin: ``detector``.
    xpos, ypos
        Position on the chip [pixel].
    programid
        ZTF only: 0 engineering, 1 public, 2 partnership, 3 Caltech.
    own
        Whether this is an alert's own detection (with all its fields) rather than an entry of a
        later packet's history (which has no ``drb``).
    """

    id: int
    jd: float
    fid: int
    mag: float | None = None
    magerr: float | None = None
    limmag: float | None = None
    ra: float | None = None
    dec: float | None = None
    positive: bool | None = None
    rb: float | None = None
    drb: float | None = None
    pid: int | None = None
    rcid: int | None = None
    xpos: float | None = None
    ypos: float | None = None
    programid: int | None = None
    own: bool = False

    @property
    def is_detection(self) -> bool:
        """Whether a source was measured."""
        return self.mag is not None

    @property
    def band(self) -> str:
        """Name of the filter: g, r, i, or ``fid<N>`` where unknown."""
        return BANDS.get(self.fid, f"fid{self.fid}")


def mean_position(points: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Mean direction of positions on the sphere.

    The mean of unit vectors: right also across RA 0/360 and near the poles, where an arithmetic
    mean of right ascensions is not.

    Parameters
    ----------
    points
        (ra, dec) [deg], at least one.

    Returns
    -------
    tuple of float
        (ra, dec) [deg], 0 <= ra < 360.

    Raises
    ------
    ValueError
        There is no point.
    """
    x = y = z = 0.0
    count = 0
    for ra, dec in points:
        lon, lat = math.radians(ra), math.radians(dec)
        x += math.cos(lat) * math.cos(lon)
        y += math.cos(lat) * math.sin(lon)
        z += math.sin(lat)
        count += 1
    if not count:
        raise ValueError("no position to average")
    ra = math.degrees(math.atan2(y, x)) % 360.0
    return (0.0 if ra == 360.0 else ra), math.degrees(math.atan2(z, math.hypot(x, y)))  # noqa: PLR2004  (a full turn)


_in_time = attrgetter("jd", "id")


class LightCurve:
    """Datapoints of one object, sorted by time; immutable.

    Parameters
    ----------
    object_id
        The survey's object identifier.
    datapoints
        In any order; they are sorted by (jd, id).
    """

    def __init__(self, object_id: str, datapoints: Iterable[Datapoint]) -> None:
        self.object_id = object_id
        self.datapoints = tuple(sorted(datapoints, key=_in_time))

    def __len__(self) -> int:
        return len(self.datapoints)

    def __iter__(self) -> Iterator[Datapoint]:
        return iter(self.datapoints)

    @cached_property
    def detections(self) -> tuple[Datapoint, ...]:
        """Those with a magnitude."""
        return tuple(p for p in self.datapoints if p.mag is not None)

    @cached_property
    def upper_limits(self) -> tuple[Datapoint, ...]:
        """Those without."""
        return tuple(p for p in self.datapoints if p.mag is None)

    @cached_property
    def position(self) -> tuple[float, float] | None:
        """Mean (ra, dec) of the detections [deg, ICRS]; None where there is none."""
        points = [(p.ra, p.dec) for p in self.detections if p.ra is not None and p.dec is not None]
        return mean_position(points) if points else None

    @cached_property
    def digest(self) -> str:
        """Digest of the datapoints: equal light curves have equal digests."""
        return digest(self.datapoints)

    def between(self, first_jd: float, last_jd: float) -> "LightCurve":
        """Light curve of the datapoints with first_jd <= jd <= last_jd [d]."""
        inside = [p for p in self.datapoints if first_jd <= p.jd <= last_jd]
        return self if len(inside) == len(self) else LightCurve(self.object_id, inside)
