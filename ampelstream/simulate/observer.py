"""A source seen by the survey: light curve, history, and packets with ZTF's fields.

`Observer` exposes a source, keeps its history and puts the packets together; the functions above it
say what ZTF's pipeline would write into the fields for an exposure and a detection. Fields that no
unit of the project reads have plausible constants.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from ampelstream.simulate.avrowriter import PREVIOUS, VERSION
from ampelstream.simulate.source import Look, Measurement, Neighbours, Source
from ampelstream.simulate.survey import DAYS_BEFORE, PIXELS, T0_JD, Exposure, Spot, spot

__all__ = [
    "ALERTS_SINCE_JD",
    "HISTORY_DAYS",
    "Observer",
    "Packet",
]

Packet = dict[str, Any]
"""A packet as plain data."""

_NOTHING: Final = -999.0  # ZTF's number for "none within reach"
_PIXEL_ARCSEC: Final = 1.01
_REFERENCE_JD: Final = (2457500.5, 2457700.5)
_EMPTY: Final[tuple[str, ...]] = tuple(word.split(":")[0] for word in PREVIOUS.split())


def _image(exposure: Exposure, at: Spot) -> dict[str, Any]:
    return {
        "jd": exposure.jd,
        "fid": exposure.fid,
        "pid": exposure.pid(at.rcid),
        "diffmaglim": exposure.limmag,
        "pdiffimfilename": f"simulated_{at.field:06d}_{exposure.nid}_{at.rcid:02d}.fits",
        "programpi": "simulation",
        "programid": 1,
        "nid": exposure.nid,
        "rcid": at.rcid,
        "field": at.field,
        "magzpsci": 26.2,
        "magzpsciunc": 5e-6,
        "magzpscirms": 0.03,
        "clrcoeff": 0.1,
        "clrcounc": 1e-5,
        "rbversion": "simulated",
    }


def _limit_fields(exposure: Exposure, at: Spot) -> dict[str, Any]:
    """History entry of an exposure that shows nothing."""
    entry: dict[str, Any] = dict.fromkeys(_EMPTY)
    return entry | _image(exposure, at)


def _detection_fields(
    exposure: Exposure,
    at: Spot,
    seen: Measurement,
    look: Look,
    position: tuple[float, float],
    neighbours: Neighbours,
) -> dict[str, Any]:
    """History entry of a detection, without its number and candid.

    Parameters
    ----------
    exposure, at
        When, and where on the detector.
    seen
        Brightness.
    look
        How clean it looks.
    position
        Measured (ra, dec) [deg].
    neighbours
        What is catalogued around it.
    """
    aperture = seen.mag + look.magdiff
    major = 0.3 * look.fwhm * look.elong**0.5
    minor = 0.3 * look.fwhm / look.elong**0.5
    edges = (at.xpos, at.ypos, PIXELS[0] - at.xpos, PIXELS[1] - at.ypos)
    return _image(exposure, at) | {
        "isdiffpos": "t" if seen.positive else "f",
        "xpos": at.xpos,
        "ypos": at.ypos,
        "ra": round(position[0] % 360.0, 7),
        "dec": round(position[1], 7),
        "magpsf": seen.mag,
        "sigmapsf": seen.magerr,
        "chipsf": 1.5,
        "magap": aperture,
        "sigmagap": 0.7 * seen.magerr,
        "distnr": neighbours.distances[0] / _PIXEL_ARCSEC,
        "magnr": neighbours.mag,
        "sigmagnr": 0.02,
        "chinr": 0.8,
        "sharpnr": 0.0,
        "sky": 0.5,
        "magdiff": look.magdiff,
        "fwhm": look.fwhm,
        "classtar": 0.98,
        "mindtoedge": min(edges),
        "magfromlim": exposure.limmag - aperture,
        "seeratio": 1.0,
        "aimage": major,
        "bimage": minor,
        "aimagerat": major / look.fwhm,
        "bimagerat": minor / look.fwhm,
        "elong": look.elong,
        "nneg": 1,
        "nbad": look.nbad,
        "rb": look.rb,
        "ssdistnr": None,
        "ssmagnr": None,
        "ssnamenr": None,
        "sumrat": 0.97,
        "magapbig": aperture,
        "sigmagapbig": 0.9 * seen.magerr,
        "ranr": round(position[0] % 360.0, 7),
        "decnr": round(position[1] - neighbours.distances[0] / 3600.0, 7),
        "scorr": 1.0857 / seen.magerr,
    }


def _neighbour_fields(neighbours: Neighbours) -> dict[str, Any]:
    made: dict[str, Any] = {}
    pairs = zip(neighbours.scores, neighbours.distances, strict=True)
    for number, (score, distance) in enumerate(pairs, start=1):
        mag = neighbours.mag + 0.8 * (number - 1)
        for colour, band in zip((0.4, 0.0, -0.2, -0.3), "griz", strict=True):
            made[f"s{band}mag{number}"] = mag + colour
        made[f"objectidps{number}"] = int(distance * 1e6) + number
        made[f"sgscore{number}"] = score
        made[f"distpsnr{number}"] = distance
    return made


def _closing_fields(
    source: Source, exposure: Exposure, first_jd: float, detections: int
) -> dict[str, Any]:
    """Fields that only an alert's own detection has, without ``drb``.

    Parameters
    ----------
    source
        What was seen.
    exposure
        In which exposure.
    first_jd
        First detection ever [JD].
    detections
        How many there have been, this one included.
    """
    solar = source.solar if source.solar is not None else (_NOTHING, _NOTHING, "null")
    return _neighbour_fields(source.neighbours) | {
        "ssdistnr": solar[0],
        "ssmagnr": solar[1],
        "ssnamenr": solar[2],
        "ndethist": detections,
        "ncovhist": 10 * detections + 90,
        "jdstarthist": first_jd,
        "jdendhist": exposure.jd,
        "tooflag": 0,
        "nmtchps": 6,
        "rfid": 1,
        "jdstartref": _REFERENCE_JD[0],
        "jdendref": _REFERENCE_JD[1],
        "nframesref": 15,
        "dsnrms": 8.0,
        "ssnrms": 20.0,
        "dsdiff": -12.0,
        "nmatches": 600,
        "zpclrcov": -6e-6,
        "zpmed": 26.2,
        "clrmed": 0.7,
        "clrrms": 0.3,
        "neargaia": source.neighbours.distances[0],
        "neargaiabright": _NOTHING,
        "maggaia": source.neighbours.mag,
        "maggaiabright": _NOTHING,
        "exptime": 30.0,
        "drbversion": "simulated",
    }


HISTORY_DAYS: Final = 30.0
"""How far back the history of a packet reaches [d], as in ZTF."""

ALERTS_SINCE_JD: Final = T0_JD - 1.0
"""First packet of the simulated stream [JD]; earlier detections are in histories only."""

_POSITIVE_DIGIT: Final = 5_000  # how ZTF marks in a candid from which subtraction it comes


@dataclass(frozen=True, slots=True)
class _Seen:
    """An exposure of a source: its history entry and, for a detection, the look of it."""

    exposure: Exposure
    entry: dict[str, Any]
    look: Look | None


class Observer:
    """Turns sources into packets and numbers their detections.

    Parameters
    ----------
    seed
        Same seed, same noise.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers: dict[int, int] = {}

    def packets(
        self, source: Source, object_id: str, exposures: Iterable[Exposure]
    ) -> Iterator[Packet]:
        """Give the packets of a source, by time.

        Parameters
        ----------
        source
            What is there.
        object_id
            Its name.
        exposures
            When the survey looks at its field, by time.
        """
        rng = Random(f"{self._seed}/noise/{object_id}")  # noqa: S311  (a simulation, no secrets)
        seen = [self._look(source, exposure, rng) for exposure in exposures]
        detected = [number for number, one in enumerate(seen) if one.look is not None]
        for count, number in enumerate(detected, start=1):
            one = seen[number]
            if one.exposure.jd >= ALERTS_SINCE_JD:
                first = seen[detected[0]].exposure.jd
                earlier = [
                    other.entry
                    for other in seen[:number]
                    if other.exposure.jd >= one.exposure.jd - HISTORY_DAYS
                ]
                yield self._packet(source, object_id, one, earlier, (first, count))

    def _look(self, source: Source, exposure: Exposure, rng: Random) -> _Seen:
        """Expose once."""
        there = spot(source.ra, source.dec)
        seen = source.measure(exposure, rng)
        if seen is None:
            return _Seen(exposure, _limit_fields(exposure, there), None)
        look = source.look(rng)
        north, east = (rng.gauss(0.0, source.scatter_arcsec) / 3600.0 for _ in range(2))
        position = (source.ra + east / math.cos(math.radians(source.dec)), source.dec + north)
        entry = _detection_fields(exposure, there, seen, look, position, source.neighbours)
        pid: int = entry["pid"]
        number = self._numbers[pid] = self._numbers.get(pid, 0) + 1
        entry["tblid"] = number
        digit = _POSITIVE_DIGIT if seen.positive else 0
        entry["candid"] = pid * 1_000_000 + 10_000 + digit + number
        return _Seen(exposure, entry, look)

    def _packet(
        self,
        source: Source,
        object_id: str,
        one: _Seen,
        earlier: list[dict[str, Any]],
        detections: tuple[float, int],
    ) -> Packet:
        """Put a packet together; ``detections``: JD of the first of the light curve, and count."""
        first, count = detections
        if source.known_since is not None and source.known_since < first:
            # a detection every four nights before the light curve begins
            count += 1 + int((T0_JD - DAYS_BEFORE - source.known_since) / 4.0 % 100)
            first = source.known_since
        candidate = one.entry | _closing_fields(source, one.exposure, first, count)
        candidate["drb"] = one.look.drb if one.look is not None else None
        return {
            "schemavsn": VERSION,
            "publisher": "ampelstream simulation",
            "objectId": object_id,
            "candid": candidate["candid"],
            "candidate": candidate,
            "prv_candidates": earlier or None,
            "fp_hists": None,
            "cutoutScience": None,
            "cutoutTemplate": None,
            "cutoutDifference": None,
        }
