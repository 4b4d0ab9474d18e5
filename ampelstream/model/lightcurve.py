"""Datapoints of one object and the light curve that they form."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from operator import attrgetter

import msgspec

from ampelstream.model.digest import digest
from ampelstream.model.position import Position, robust_position

__all__ = [
    "AB_OF_NJY",
    "BANDS",
    "DETECTED_SIGMA",
    "LIMIT_SIGMA",
    "Datapoint",
    "LightCurve",
    "places_of",
]

BANDS = {4: "u", 1: "g", 2: "r", 3: "i", 5: "z", 6: "y"}
"""Filter identifiers and the names of their bands, from blue to red.

The first three are ZTF's ``fid``; Rubin names its bands, and 4 to 6 are our numbers for them.
"""

AB_OF_NJY = 31.4
"""AB magnitude of a flux of 1 nJy [mag]: 8.9 + 2.5 log10(1e9), since 8.9 mag are 1 Jy."""
DETECTED_SIGMA = 3.0
"""A measured flux whose absolute value is below this many times its error has no magnitude [1]."""
LIMIT_SIGMA = 5.0
"""An upper limit is this many times the error of the flux [1]."""


class Datapoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One measurement, or one upper limit where ``mag`` is None.

    A detection is what the survey found in a difference image; forced photometry is measured at the
    object's position, whether or not something is found there. An exposure may have both.

    Attributes
    ----------
    id
        Detections: the survey's ``candid`` (Rubin: ``diaSourceId``). Upper limits: a number that
        is the same in every packet that repeats the limit. Forced photometry: Rubin's
        ``diaForcedSourceId``, ZTF's ``pid``; these count by themselves, so that what names a
        datapoint is ``id`` and ``forced``.
    jd
        Julian date of the exposure [d, UTC]: ZTF its start, Rubin its middle.
    fid
        Filter: 1 g, 2 r, 3 i, 4 u, 5 z, 6 y; 0 where it is not known.
    mag, magerr
        PSF magnitude of the absolute flux in the difference image and its 1-sigma error [AB mag].
        It is a brightness only where the flux is positive (`LightCurve.detections`).
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
    flux, fluxerr
        PSF flux in the difference image, negative where the source is fainter than in the
        reference, and its 1-sigma error [nJy]. Rubin's as it is; ZTF's forced photometry by the
        zero point of its image, ZTF's detections by magnitude and ``isdiffpos``. None for upper
        limits of ZTF, which have no flux.
    forced
        Whether it is forced photometry.
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
    flux: float | None = None
    fluxerr: float | None = None
    forced: bool = False

    @property
    def is_detection(self) -> bool:
        """Whether the survey found a source that is brighter than the reference.

        One whose sign is not known counts as that.
        """
        return self.mag is not None and self.positive is not False and not self.forced

    @property
    def is_negative(self) -> bool:
        """Whether it found one that is fainter: its magnitude is no brightness."""
        return self.mag is not None and self.positive is False and not self.forced

    @property
    def is_brightness(self) -> bool:
        """Whether its magnitude is one, of a detection or of forced photometry."""
        return self.mag is not None and self.positive is not False

    @property
    def band(self) -> str:
        """Name of the filter: g, r, i, or ``fid<N>`` where unknown."""
        return BANDS.get(self.fid, f"fid{self.fid}")


def places_of(points: Iterable[Datapoint]) -> list[tuple[float, float]]:
    """(ra, dec) [deg, ICRS] of each source that was found, of either sign, in their order."""
    return [
        (p.ra, p.dec)
        for p in points
        if p.mag is not None and not p.forced and p.ra is not None and p.dec is not None
    ]


_in_time = attrgetter("jd", "forced", "id")


class LightCurve:
    """Datapoints of one object, sorted by time; immutable.

    Which of its views is for what: `detections` is what is counted, shown as brightness, and asked
    for positions and real-bogus scores; `brightness` is what is fitted; `negative` says that the
    source was fainter than in the reference. None of them has an exposure twice.

    Parameters
    ----------
    object_id
        The survey's object identifier.
    datapoints
        In any order; they are sorted by (jd, id), and detections come before forced photometry.
    place
        Where the object is, where that is known from more than these datapoints.
    """

    def __init__(
        self, object_id: str, datapoints: Iterable[Datapoint], place: Position | None = None
    ) -> None:
        self.object_id = object_id
        self.datapoints = tuple(sorted(datapoints, key=_in_time))
        self._place = place

    def __len__(self) -> int:
        return len(self.datapoints)

    def __iter__(self) -> Iterator[Datapoint]:
        return iter(self.datapoints)

    @cached_property
    def detections(self) -> tuple[Datapoint, ...]:
        """Sources that the survey found, brighter than in the reference."""
        return tuple(p for p in self.datapoints if p.is_detection)

    @cached_property
    def negative(self) -> tuple[Datapoint, ...]:
        """Sources that the survey found, fainter than in the reference."""
        return tuple(p for p in self.datapoints if p.is_negative)

    @cached_property
    def upper_limits(self) -> tuple[Datapoint, ...]:
        """Exposures in which the survey found nothing; forced photometry is not among them."""
        return tuple(p for p in self.datapoints if p.mag is None and not p.forced)

    @cached_property
    def forced(self) -> tuple[Datapoint, ...]:
        """Forced photometry, of either sign and however faint."""
        return tuple(p for p in self.datapoints if p.forced)

    @cached_property
    def brightness(self) -> tuple[Datapoint, ...]:
        """One magnitude of each exposure that has one, in the order of time.

        That of forced photometry where it is positive and at least `DETECTED_SIGMA` above the
        noise: it is measured at one place, and is there where nothing was found. Otherwise that of
        the detection.
        """
        forced = tuple(p for p in self.datapoints if p.forced and p.is_brightness)
        if not forced:
            return self.detections
        measured = {(p.jd, p.fid) for p in forced}
        others = (p for p in self.detections if (p.jd, p.fid) not in measured)
        return tuple(sorted((*forced, *others), key=_in_time))

    @cached_property
    def place(self) -> Position | None:
        """Where the object is; None where no source was found at a known position.

        That of the whole object (`core/lightcurves.py`), where the light curve was made of one. Of
        one that was not, that of the sources that were found (`robust_position`).
        """
        return self._place or robust_position(self.places())

    @property
    def position(self) -> tuple[float, float] | None:
        """Its (ra, dec) [deg, ICRS]."""
        place = self.place
        return None if place is None else (place.ra, place.dec)

    def places(self) -> list[tuple[float, float]]:
        """(ra, dec) [deg, ICRS] of each source that was found, of either sign, in order of time."""
        return places_of(self.datapoints)

    @cached_property
    def digest(self) -> str:
        """Digest of the datapoints: equal light curves have equal digests."""
        return digest(self.datapoints)

    def between(self, first_jd: float, last_jd: float) -> "LightCurve":
        """Light curve of the datapoints with first_jd <= jd <= last_jd [d], of the same object."""
        inside = [p for p in self.datapoints if first_jd <= p.jd <= last_jd]
        if len(inside) == len(self):
            return self
        return LightCurve(self.object_id, inside, self._place)
